/** The working copy of one decision: members and shards, with the counts by which they are compared kept beside them. */
import { hashOf, least } from './least.js'
import { Ranking } from './ranking.js'
import { inOrder, type GroupState, type Settings, type Shard } from './state.js'
import { mergesOf } from './target.js'

export interface DraftMember {
  readonly id: string
  readonly hash: number
  readonly weight: number
  readonly zone: string
  readonly isLeaving: boolean
  /** How many shards it will have. Parents that come together count as the one that they become. */
  load: number
  /** How many shards are on their way to it. */
  coming: number
  /** How many shards that kill it has, or will have. */
  suspects: number
  /** For how many shards it stands by. */
  standsBy: number
}

export interface DraftShard {
  readonly was: Shard
  readonly hash: number
  readonly isSuspect: boolean
  readonly merge: DraftMerge | undefined
  owner: DraftMember | undefined
  next: DraftMember | undefined
  standbys: readonly DraftMember[]
}

/** Parents that come together at one member. */
export interface DraftMerge {
  readonly parents: DraftShard[]
  at: DraftMember | undefined
}

/** Shards per weight. */
export function loadOf({ load, weight }: DraftMember): number {
  return load / weight
}

/** Shards per weight with one more. */
export function loadWithOneMore({ load, weight }: DraftMember): number {
  return (load + 1) / weight
}

export class Draft {
  readonly settings: Settings
  /** In the order of their partitions, whatever the order of the state's. */
  readonly shards: readonly DraftShard[]
  readonly merges: readonly DraftMerge[]
  /** The members that may be given something, in the order of their ids. */
  readonly takers: readonly DraftMember[]
  readonly #state: GroupState
  readonly #members: ReadonlyMap<string, DraftMember>
  #byLoad: Ranking<DraftMember> | undefined

  constructor(state: GroupState) {
    this.#state = state
    this.settings = state.settings
    const members = [...state.members.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    this.#members = new Map(
      members.map(({ id, weight, zone, isLeaving }) => [
        id,
        { id, hash: hashOf(id), weight, zone, isLeaving, load: 0, coming: 0, suspects: 0, standsBy: 0 },
      ]),
    )
    this.takers = [...this.#members.values()].filter(({ isLeaving }) => !isLeaving)
    const lists = state.target ? mergesOf(state) : []
    this.merges = lists.map(() => ({ parents: [], at: undefined }))
    const mergeOf = new Map(lists.flatMap((list, i) => list.map(({ id }) => [id, this.merges[i]!])))
    this.shards = inOrder(state).map((shard) => this.#draw(shard, mergeOf.get(shard.id)))
    for (const merge of this.merges) this.#findPlace(merge)
  }

  /** The members that may be given something, by what they would have with one more. */
  get byLoad(): Ranking<DraftMember> {
    return (this.#byLoad ??= new Ranking(this.takers, loadWithOneMore))
  }

  /** Makes `member` the owner, at once. */
  give(shard: DraftShard, member: DraftMember): void {
    this.#change(shard, member, undefined)
    if (shard.standbys.includes(member)) shard.standbys = shard.standbys.filter((standby) => standby !== member)
  }

  /** Sends the shard to `member`, which takes it when it is warm. */
  send(shard: DraftShard, member: DraftMember | undefined): void {
    this.#change(shard, shard.owner, member)
  }

  /** The member is to have one more, which cannot be sent to it yet. */
  expect(member: DraftMember): void {
    this.#load(member, 1)
  }

  /** Whether a member may be sent one more now. */
  isOpen({ coming }: DraftMember): boolean {
    return coming < this.settings.moves
  }

  /** The state with what was changed here; the same object when nothing was. */
  result(): GroupState {
    const changed = this.shards.filter(isChanged)
    if (changed.length === 0) return this.#state
    const shards = new Map(this.#state.shards)
    for (const { was, owner, next, standbys } of changed) {
      shards.set(was.id, { ...was, owner: owner?.id, next: next?.id, standbys: standbys.map(({ id }) => id) })
    }
    return { ...this.#state, shards }
  }

  /** The shard without those who are no members any more, or leave; a parked one is at nobody. */
  #draw(was: Shard, merge: DraftMerge | undefined): DraftShard {
    const { owner: ownerId, next: nextId, isParked, fails } = was
    const owner = ownerId === undefined || isParked ? undefined : this.#members.get(ownerId)
    const next = nextId === undefined || isParked ? undefined : this.#taker(nextId)
    const standbys = was.standbys.length === 0 || isParked ? [] : this.#standbysOf(was, owner)
    const shard = { was, hash: hashOf(was.id), isSuspect: fails > 0, merge, owner, next, standbys }
    merge?.parents.push(shard)
    this.#count(shard, 1)
    return shard
  }

  #standbysOf({ standbys }: Shard, owner: DraftMember | undefined): DraftMember[] {
    return standbys.flatMap((id) => this.#taker(id) ?? []).filter((member) => member !== owner)
  }

  #taker(id: string): DraftMember | undefined {
    const member = this.#members.get(id)
    return member?.isLeaving ? undefined : member
  }

  /** Who gathers parents: who has most of them, and among these who has least else. */
  #findPlace(merge: DraftMerge): void {
    const has = new Map<DraftMember, number>()
    for (const { owner, next } of merge.parents) {
      const holder = next ?? owner
      if (holder && !holder.isLeaving) has.set(holder, (has.get(holder) ?? 0) + 1)
    }
    const most = Math.max(0, ...has.values())
    const members = has.size > 0 ? [...has.keys()].filter((member) => has.get(member) === most) : this.takers
    merge.at = least(members, loadWithOneMore)
    if (merge.at) merge.at.load++
  }

  #change(shard: DraftShard, owner: DraftMember | undefined, next: DraftMember | undefined): void {
    this.#count(shard, -1)
    shard.owner = owner
    shard.next = next
    this.#count(shard, 1)
  }

  #count({ owner, next, merge, isSuspect }: DraftShard, by: 1 | -1): void {
    if (next) next.coming += by
    const holder = next ?? owner
    if (!holder) return
    if (!merge) this.#load(holder, by)
    if (isSuspect) holder.suspects += by
  }

  #load(member: DraftMember, by: 1 | -1): void {
    if (this.#byLoad) this.#byLoad.change(member, () => (member.load += by))
    else member.load += by
  }
}

function isChanged({ was, owner, next, standbys }: DraftShard): boolean {
  return (
    was.owner !== owner?.id ||
    was.next !== next?.id ||
    was.standbys.length !== standbys.length ||
    was.standbys.some((id, i) => id !== standbys[i]!.id)
  )
}
