/**
 * Who owns what: a pure function of the state and the storage's time, so that whoever decides, decides the same. It changes
 * only what has to change: shards without an owner get one, who leaves hands off, parents of a merge come together, and loads
 * become even. A planned move names the next owner, who takes the shard by himself once he is warm.
 */
import { Draft, loadOf, loadWithOneMore, type DraftMember, type DraftShard } from './draft.js'
import { least, tie } from './least.js'
import { placeStandbys } from './standbys.js'
import type { GroupState } from './state.js'

/** The state as it should be at `now`, the storage's time; the same object when nothing has to change. */
export function assign(state: GroupState, now: number): GroupState {
  const draft = new Draft(state)
  giveOwnerless(draft)
  handOff(draft)
  gather(draft, now)
  balance(draft, now)
  placeStandbys(draft)
  return draft.result()
}

/** Shards without an owner go to whom they were sent, else to a standby, which is warm, else to who has least. */
function giveOwnerless(draft: Draft): void {
  for (const shard of draft.shards) {
    if (shard.owner || shard.was.isParked) continue
    const { next, standbys, merge } = shard
    draft.send(shard, undefined)
    const member =
      (next && ableTo(shard, [next])[0]) ??
      leastLoaded(shard, ableTo(shard, standbys)) ??
      merge?.at ??
      leastLoaded(shard, ableTo(shard, draft.takers))
    if (member) draft.give(shard, member)
  }
}

/** Who leaves hands off first. */
function handOff(draft: Draft): void {
  for (const shard of draft.shards) {
    if (!shard.owner?.isLeaving || shard.next) continue
    const able = ableTo(shard, shard.merge?.at ? [shard.merge.at] : draft.takers)
    const member = leastLoaded(
      shard,
      able.filter((one) => draft.isOpen(one)),
    )
    if (member) draft.send(shard, member)
  }
}

/** Parents of one child come together, neighbours first. */
function gather(draft: Draft, now: number): void {
  for (const { at, parents } of draft.merges) {
    const held = parents.findIndex(({ owner }) => owner === at)
    const distance = (i: number): number => Math.abs(i - Math.max(held, 0))
    const order = [...parents.keys()].sort((a, b) => distance(a) - distance(b))
    for (const shard of order.map((i) => parents[i]!)) {
      if (!at || !draft.isOpen(at)) break
      const mayMove = shard.owner && shard.owner !== at && !shard.next && isCool(shard, draft, now)
      if (mayMove) draft.send(shard, at)
    }
  }
}

/** Loads become even, by the fewest moves. */
function balance(draft: Draft, now: number): void {
  const stock = new Stock(draft, now)
  for (;;) {
    const open = draft.takers.filter((member) => draft.isOpen(member))
    const to = least(open, loadWithOneMore)
    if (!to) return
    const from = least(
      draft.takers.filter((member) => stock.has(member) && isWorthIt(member, to)),
      (member) => -loadOf(member),
      (member) => tie(member, to),
    )
    if (!from) return
    draft.send(stock.take(from, to), to)
  }
}

/** A move is made only if it lowers the higher of the two loads (A1); the margin is for fractions, which are never quite exact. */
function isWorthIt(from: DraftMember, to: DraftMember): boolean {
  return loadOf(from) > loadWithOneMore(to) + 1e-9
}

/** A shard that was moved stays for a while (A2). */
function isCool({ was }: DraftShard, { settings }: Draft, now: number): boolean {
  return was.movedAt === undefined || now - was.movedAt >= settings.coolMs
}

/** Of shards that kill their owners, a member has one at a time: so it is known which did it, and not all members die. */
function ableTo({ isSuspect }: DraftShard, members: readonly DraftMember[]): readonly DraftMember[] {
  return isSuspect ? members.filter(({ suspects }) => suspects === 0) : members
}

function leastLoaded(shard: DraftShard, members: readonly DraftMember[]): DraftMember | undefined {
  return least(
    members,
    loadWithOneMore,
    (member) => (shard.standbys.includes(member) ? 0 : 1),
    (member) => tie(shard, member),
  )
}

/** What members could give away, so that no move looks through all shards. */
class Stock {
  readonly #owned = new Map<DraftMember, Set<DraftShard>>()
  /** By who stands by for them. */
  readonly #warm = new Map<DraftMember, Set<DraftShard>>()

  constructor(draft: Draft, now: number) {
    const byHash = draft.shards.filter(({ owner, next, merge, isSuspect }) => owner && !next && !merge && !isSuspect)
    for (const shard of byHash.sort((a, b) => a.hash - b.hash)) {
      if (!isCool(shard, draft, now)) continue
      add(this.#owned, shard.owner!, shard)
      for (const member of shard.standbys) add(this.#warm, member, shard)
    }
  }

  has(member: DraftMember): boolean {
    return (this.#owned.get(member)?.size ?? 0) > 0
  }

  /** One of `from`, if there is one for which `to` stands by. */
  take(from: DraftMember, to: DraftMember): DraftShard {
    const warm = [...(this.#warm.get(to) ?? [])].find(({ owner }) => owner === from)
    const [first] = this.#owned.get(from)!
    const shard = warm ?? first!
    this.#owned.get(from)!.delete(shard)
    for (const member of shard.standbys) this.#warm.get(member)!.delete(shard)
    return shard
  }
}

function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key)
  if (set) set.add(value)
  else map.set(key, new Set([value]))
}
