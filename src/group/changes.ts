/** Tells a program what has become of its group: what it owns, who is a member, what is parked. */
import type { Events } from '../store/events.js'
import type { GroupEvents } from './events.js'
import type { ShardRange } from './program.js'
import type { GroupState } from './state.js'

type Change = 'newlyAssigned' | 'revoked' | 'lost'

const NOTHING = { newlyAssigned: [], revoked: [], lost: [] }

export class GroupChanges {
  readonly #events: Events<GroupEvents>
  readonly #assigned: () => readonly ShardRange[]
  readonly #generation: () => number
  #gathered: Record<Change, ShardRange[]> | undefined
  #state: GroupState | undefined

  constructor(events: Events<GroupEvents>, generation: () => number, assigned: () => readonly ShardRange[]) {
    this.#events = events
    this.#generation = generation
    this.#assigned = assigned
  }

  /** What happens in one turn of the program is told together. */
  add(change: Change, shard: ShardRange): void {
    if (this.#gathered === undefined) void Promise.resolve().then(() => this.#tell())
    this.#gathered ??= structuredClone(NOTHING)
    this.#gathered[change].push(rangeOf(shard))
  }

  #tell(): void {
    const gathered = this.#gathered!
    this.#gathered = undefined
    this.#events.emit('rebalance', {
      generation: this.#generation(),
      assigned: this.#assigned().map(rangeOf),
      ...gathered,
    })
  }

  /** The control store says something else. */
  follow(state: GroupState): void {
    const before = this.#state
    this.#state = state
    if (before === undefined) return
    for (const { id, info } of state.members.values()) {
      if (!before.members.has(id)) this.#events.emit('member', { member: id, info, change: 'joined' })
    }
    for (const { id, info } of before.members.values()) {
      if (!state.members.has(id)) this.#events.emit('member', { member: id, info, change: 'gone' })
    }
    for (const shard of state.shards.values()) {
      const was = before.shards.get(shard.id)
      if (shard.isParked && was && !was.isParked) this.#events.emit('parked', { shard: rangeOf(shard) })
    }
  }
}

export function rangeOf({ id, first, last }: ShardRange): ShardRange {
  return { id, first, last }
}
