/**
 * The rows of the newest state that were read one by one, with their values as they were decoded: a hot key is one look-up in
 * a Map, whatever lies beneath. Each entry that is applied corrects the rows that it changes; the state that a snapshot
 * keeps knows nothing of them.
 *
 * There are two generations, each of half the budget: what is used in the old one moves to the young one, and when that is
 * full the old one goes. So nothing has to be put in order when a row is read.
 */
import type { MapKey } from '../bytes/keys.js'
import type { Point } from './memtable.js'
import type { Slot } from './slot.js'
import type { AppliedEntry, ShardState } from './state.js'

type Generation = Map<string, Map<MapKey, Point>>

/** What a row takes beside its bytes, which are there twice and a bit: encoded and decoded. */
const ROW = 200
const DECODED = 3

export class Rows {
  readonly #half: number
  #state: ShardState | undefined
  #young: Generation = new Map()
  #old: Generation = new Map()
  #weight = 0

  /** About so many bytes. */
  constructor(budget: number) {
    this.#half = budget / 2
  }

  find(state: ShardState, slot: Slot, key: MapKey): Point | undefined {
    if (state !== this.#state) return undefined
    const point = this.#young.get(slot.id)?.get(key)
    if (point !== undefined) return point
    const old = this.#old.get(slot.id)
    const kept = old?.get(key)
    if (kept === undefined) return undefined
    old!.delete(key)
    this.#set(slot, key, kept)
    return kept
  }

  /** What was read in `state`, which may be the newest one no longer. */
  add(state: ShardState, slot: Slot, key: MapKey, point: Point): void {
    if (state === this.#state) this.#set(slot, key, point)
  }

  #set({ id }: Slot, key: MapKey, point: Point): void {
    let rows = this.#young.get(id)
    if (rows === undefined) this.#young.set(id, (rows = new Map()))
    rows.set(key, point)
    this.#weight += ROW + DECODED * (point.bytes?.length ?? 0)
    if (this.#weight <= this.#half) return
    this.#old = this.#young
    this.#young = new Map()
    this.#weight = 0
  }

  /** `after` is the newest state now; by `applied` alone it differs from `before`. */
  follow(before: ShardState, after: ShardState, { entry, memtable, references }: AppliedEntry): void {
    // What changed is in segments, or all of it is another.
    if (before !== this.#state || references || entry.kind === 'reset') return this.restart(after)
    this.#state = after
    if (memtable === undefined) return
    for (const generation of [this.#young, this.#old]) {
      for (const { slot, points, ranges } of memtable.slots.values()) {
        const rows = generation.get(slot.id)
        if (rows === undefined) continue
        if (ranges.length > 0) generation.delete(slot.id)
        else for (const key of points.keys()) rows.delete(key)
      }
    }
  }

  /** Begins with a state of which nothing is known. */
  restart(state: ShardState): void {
    this.#state = state
    this.#young = new Map()
    this.#old = new Map()
    this.#weight = 0
  }
}
