/**
 * Who owns what: a pure function of the state and the storage's time, so that whoever decides, decides the same. It changes
 * only what has to change: shards without an owner get one, who leaves hands off, parents of a merge come together, and loads
 * become even. A planned move names the next owner, who takes the shard by himself once he is warm.
 */
import { Draft, loadOf, loadWithOneMore, type DraftMember, type DraftShard } from './draft.js'
import { least } from './least.js'
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
    const able = (member: DraftMember): boolean => isAble(member, shard)
    const member =
      (next && isAble(next, shard) ? next : undefined) ??
      least(standbys, loadWithOneMore, able) ??
      merge?.at ??
      draft.byLoad.least(shard, able)
    if (member) draft.give(shard, member)
  }
}

/**
 * Who leaves hands off first, to who has least. When so many are on their way there already, the shard waits for it, and others
 * count with it: elsewhere it would have to move once more.
 */
function handOff(draft: Draft): void {
  for (const shard of draft.shards) {
    if (!shard.owner?.isLeaving || shard.next) continue
    const member = shard.merge ? shard.merge.at : draft.byLoad.least(shard, (one) => isAble(one, shard))
    if (member && draft.isOpen(member)) draft.send(shard, member)
    else if (member && !shard.merge) draft.expect(member)
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

/** Equals that are to be given one are taken in the order of their hashes. */
const FIRST = { hash: 0 }

/** Loads become even, by the fewest moves. */
function balance(draft: Draft, now: number): void {
  const stock = new Stock(draft, now)
  for (;;) {
    const to = draft.byLoad.least(FIRST, (member) => draft.isOpen(member))
    if (!to) return
    const isGiver = (member: DraftMember): boolean => isWorthIt(member, to) && stock.has(member)
    const from = least(draft.takers, (member) => -loadOf(member), isGiver)
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
function isAble({ suspects }: DraftMember, { isSuspect }: DraftShard): boolean {
  return !isSuspect || suspects === 0
}

/** What members could give away: so no move has to look through all shards. */
class Stock {
  readonly #owned = new Map<DraftMember, DraftShard[]>()
  readonly #sorted = new Set<DraftMember>()
  /** By who stands by for them. */
  readonly #warm = new Map<DraftMember, DraftShard[]>()

  constructor(draft: Draft, now: number) {
    for (const shard of draft.shards) {
      const { owner, next, merge, isSuspect, standbys } = shard
      if (!owner || next || merge || isSuspect || !isCool(shard, draft, now)) continue
      add(this.#owned, owner, shard)
      for (const member of standbys) add(this.#warm, member, shard)
    }
  }

  has(member: DraftMember): boolean {
    const shards = this.#owned.get(member) ?? []
    while (shards.at(-1)?.next) shards.pop()
    return shards.length > 0
  }

  /** One of `from`, which has some; if there is one, one for which `to` stands by. */
  take(from: DraftMember, to: DraftMember): DraftShard {
    const shards = this.#owned.get(from)!
    // The order is as good as random, and the same for everybody.
    if (!this.#sorted.has(from)) shards.sort((a, b) => a.hash - b.hash)
    this.#sorted.add(from)
    const warm = this.#warm.get(to)?.find(({ owner, next }) => owner === from && !next)
    while (shards.at(-1)!.next) shards.pop()
    return warm ?? shards.at(-1)!
  }
}

function add<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
