/**
 * Members that come, go and die at random, beside the real `assign()` and the real edits: every decision is checked, and what
 * is sent to a member is taken at random. `assign` is handed in, so that a test may leave a rule out of it.
 */
import { expect } from 'vitest'
import { Random } from 'tidemark/testing'
import type { assign } from '../../src/group/assign.js'
import { inOrder, newState, type GroupState, type Member, type Settings, type Shard } from '../../src/group/state.js'
import { aimed, bury, join, leave, left, replaced, taken, type Blame } from '../../src/group/transitions.js'
import { mergesAt, splitsAt } from '../../src/group/target.js'

const COOL = 300

export class AssignmentWorld {
  readonly random: Random
  state: GroupState
  now = 0
  /** Planned moves so far, and the shards that leavers handed off beside them. */
  moves = 0
  handoffs = 0
  readonly #assign: typeof assign
  /** When a planned move last took each shard. */
  readonly #movedAt = new Map<string, number>()

  constructor(decide: typeof assign, seed: number, settings: Partial<Settings> = {}, shards?: number) {
    this.#assign = decide
    this.random = new Random(seed)
    const partitions = settings.partitions ?? 1 + this.random.below(20)
    const all = { assignVersion: 1, moves: 2, coolMs: COOL, standbys: 0, warmEntries: 16, ...settings, partitions }
    const count = shards ?? partitions
    const start = (i: number): number => Math.floor((i * partitions) / count)
    const logs = Array.from({ length: count }, (_, i) => ({ id: this.id(), first: start(i), last: start(i + 1) - 1 }))
    this.state = newState(all, logs)
  }

  id(): string {
    return [...this.random.bytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  }

  get takers(): Member[] {
    return [...this.state.members.values()].filter(({ isLeaving }) => !isLeaving)
  }

  get due(): Shard[] {
    return inOrder(this.state).filter(({ next }) => next !== undefined)
  }

  join(of: Partial<Member> = {}): string {
    const id = this.id()
    const weight = this.random.chance(0.8) ? 1 : 2
    const zone = `z${this.random.below(3)}`
    const member = { id, zone, weight, info: null, isLeaving: false, assignVersion: 1, joinedAt: this.now, ...of }
    this.state = join(this.state, member)
    return id
  }

  leave(id: string): void {
    this.state = leave(this.state, id)
  }

  die(id: string, blame: () => Blame = () => 'none'): void {
    const own = inOrder(this.state).filter(({ owner }) => owner === id)
    this.state = bury(this.state, id, new Map(own.map((shard) => [shard.id, blame()])))
  }

  /** One decision, and some of those who were sent a shard take it. Says whether anything was to do. */
  step(taking = 0.6): boolean {
    this.now += 10
    const before = this.state
    this.state = this.#assign(before, this.now)
    this.#checkSame(this.#assign(this.#shuffled(before), this.now))
    this.#checkQuiet()
    this.#checkDecision(before)
    const due = this.due
    for (const shard of due) if (this.random.chance(taking)) this.take(shard)
    const before2 = this.state
    for (const { id } of this.state.members.values()) this.state = left(this.state, id)
    return before !== this.state || due.length > 0 || before2 !== this.state
  }

  /** Steps until nothing is to do any more. */
  rest(most = 60): void {
    for (let round = 0; this.step(); round++) if (round === most) expect.fail(`no rest after ${most} rounds`)
  }

  /** Waits for shards to cool down, again and again, until all is even. */
  settle(most = 60): void {
    for (let round = 0; ; round++) {
      if (round === most) expect.fail('it never comes to rest')
      this.now += COOL
      if (!this.step(1)) return
    }
  }

  take(shard: Shard): void {
    const isPlanned = this.state.members.get(shard.owner!)?.isLeaving === false
    const since = this.now - (this.#movedAt.get(shard.id) ?? -Infinity)
    if (isPlanned && since < COOL) expect.fail(`${shard.id} moved twice within the time to cool down`)
    if (isPlanned) this.moves++
    else this.handoffs++
    this.#movedAt.set(shard.id, this.now)
    this.state = taken(this.state, shard.id, shard.next!, this.now)
  }

  aim(cuts: readonly number[]): void {
    this.state = aimed(this.state, { cuts })
  }

  /** Owners split and merge what they have to, some of them now. */
  rescale(share = 0.6): void {
    for (const { id } of this.takers) {
      const plans = [
        ...splitsAt(this.state, id).map(({ shard, into }) => ({ parents: [shard], into })),
        ...mergesAt(this.state, id).map((parents) => ({
          parents,
          into: [{ first: parents[0]!.first, last: parents.at(-1)!.last }],
        })),
      ]
      for (const { parents, into } of plans) {
        if (!this.random.chance(share)) continue
        const children = into.map((range) => ({ ...range, id: this.id() }))
        const moved = Math.max(...parents.map((parent) => this.#movedAt.get(parent.id) ?? -Infinity))
        for (const child of children) this.#movedAt.set(child.id, moved)
        const ids = parents.map((parent) => parent.id)
        this.state = replaced(this.state, ids, children)
      }
    }
  }

  /** How many shards each member has, beside how many are fair. */
  checkFair(): void {
    const total = this.takers.reduce((sum, { weight }) => sum + weight, 0)
    const shards = inOrder(this.state).filter(({ isParked }) => !isParked)
    for (const { id, weight } of this.takers) {
      const has = shards.filter(({ owner }) => owner === id).length
      const fair = (shards.length * weight) / total
      if (has > Math.ceil(fair) + 1 || has < Math.floor(fair) - 1)
        expect.fail(`${id} has ${has} of ${shards.length} shards, ${fair.toFixed(1)} are fair`)
    }
  }

  #shuffled(state: GroupState): GroupState {
    const order = <K, V>(map: ReadonlyMap<K, V>): Map<K, V> => {
      const list = [...map]
      for (let i = list.length - 1; i > 0; i--) {
        const j = this.random.below(i + 1)
        ;[list[i], list[j]] = [list[j]!, list[i]!]
      }
      return new Map(list)
    }
    return { ...state, members: order(state.members), shards: order(state.shards) }
  }

  #checkSame(other: GroupState): void {
    for (const [id, { owner, next, standbys }] of this.state.shards) {
      const same = other.shards.get(id)!
      if (owner !== same.owner || next !== same.next || standbys.join() !== same.standbys.join())
        expect.fail(`two members decide differently on ${id}`)
    }
  }

  /** A decision may let another one follow, but not one after the other without an end. */
  #checkQuiet(): void {
    let state = this.state
    for (let again = 0; again < 4; again++) {
      const next = this.#assign(state, this.now)
      if (next === state) return
      state = next
    }
    expect.fail('one decision follows another, though nothing happens')
  }

  #checkDecision(before: GroupState): void {
    const { members, shards, settings } = this.state
    const { takers } = this
    const suspects = countOf(before, this.state)
    for (const [id, shard] of shards) {
      const was = before.shards.get(id)!
      if (shard.isParked && (shard.owner ?? shard.next)) expect.fail(`${id} is parked, and somebody has it`)
      if (!shard.isParked && shard.fails === 0 && !shard.owner && takers.length > 0) expect.fail(`${id} has no owner`)
      if (shard.owner !== was.owner && was.owner && members.has(was.owner) && !was.isParked)
        expect.fail(`${id} moved before anybody was warm`)
      const some = new Set([shard.owner, ...shard.standbys])
      if (shard.owner && some.size <= shard.standbys.length) expect.fail(`${id} has one standby twice`)
      if (shard.standbys.length > settings.standbys) expect.fail(`${id} has ${shard.standbys.length} standbys`)
    }
    const { due } = this
    for (const { id } of takers) {
      const coming = due.filter(({ next }) => next === id).length
      if (coming > settings.moves) expect.fail(`${coming} shards at once are on their way to ${id}`)
      const [had, has] = suspects.get(id) ?? [0, 0]
      if (has > Math.max(1, had)) expect.fail(`${id} has ${has} suspects`)
    }
  }
}

/** How many suspects each member had, and has. */
function countOf(...states: readonly [GroupState, GroupState]): Map<string, [number, number]> {
  const counts = new Map<string, [number, number]>()
  for (const [i, { shards }] of states.entries()) {
    for (const { fails, owner, next } of shards.values()) {
      const holder = next ?? owner
      if (fails === 0 || holder === undefined) continue
      const both = counts.get(holder) ?? [0, 0]
      both[i]!++
      counts.set(holder, both)
    }
  }
  return counts
}
