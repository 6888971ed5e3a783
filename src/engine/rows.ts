/**
 * The rows of the newest state that were read one by one, with their values as they were decoded: a hot key is one look-up in
 * a Map, whatever lies beneath. Each entry that is applied corrects the rows that it changes; the state that a snapshot
 * keeps knows nothing of them.
 *
 * There are two generations, each of half the budget: what is used in the old one moves to the young one, and when that is
 * full the old one goes. So nothing has to be put in order when a row is read.
 */
import type { MapKey } from '../bytes/keys.js'
import type { StoredRecord } from '../segment/record.js'
import type { Memtable } from './memtable.js'
import { Point } from './point.js'
import type { Slot } from './slot.js'

type Generation = Map<string, Map<MapKey, Point>>

/** An entry that was applied, as far as rows have to know it. */
interface Change {
  readonly entry: { readonly kind: string }
  readonly memtable: Memtable | undefined
  readonly references: unknown
}

/** Has the memory of which rows may take their budget. */
interface Lender {
  /** How much of it they take now. */
  lend(bytes: number): void
}

/** About how many bytes a row takes beside twice those of its value, which is kept as it was decoded. */
const ROW = 200

export class Rows {
  readonly #half: number
  readonly #lender: Lender
  /** The newest state, of which only counts which one it is. */
  #state: object
  #young: Generation = new Map()
  #old: Generation = new Map()
  #weight = 0

  /** About so many bytes of a cache. */
  constructor(budget: number, lender: Lender, state: object) {
    this.#state = state
    this.#half = budget / 2
    this.#lender = lender
  }

  find(state: object, slot: Slot, key: MapKey): Point | undefined {
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

  /** Keeps what a segment had for a key in `state`, which may be the newest one no longer; returns what to go on with. */
  add(state: object, slot: Slot, key: MapKey, record: StoredRecord): Point | StoredRecord {
    if (state !== this.#state || record.bytes === undefined) return record
    // A copy, as the bytes are a part of a block, all of which they would keep in memory.
    const point = Point.row(record.bytes.slice(), record.expires)
    point.size = ROW + 2 * record.bytes.length
    this.#set(slot, key, point)
    return point
  }

  #set({ id }: Slot, key: MapKey, point: Point): void {
    let rows = this.#young.get(id)
    if (rows === undefined) this.#young.set(id, (rows = new Map()))
    rows.set(key, point)
    this.#weight += point.size
    // The old ones are as many, or there will soon be some.
    this.#lender.lend(this.#half + this.#weight)
    if (this.#weight <= this.#half) return
    this.#old = this.#young
    this.#young = new Map()
    this.#weight = 0
  }

  /** `after` is the newest state now; by `entries`, if they are known, it differs from `before`. */
  follow(before: object, after: object, entries: readonly Change[] | undefined): void {
    // Where changes are in segments, or all of the state is another one, nobody knows which rows still hold.
    const isKnown = entries?.every(({ entry, references }) => entry.kind !== 'reset' && references === undefined)
    if (before !== this.#state || !isKnown) return this.restart(after)
    this.#state = after
    for (const { memtable } of entries!) {
      if (memtable === undefined) continue
      this.#weight -= forget(this.#young, memtable)
      forget(this.#old, memtable)
    }
  }

  /** Begins with a state of which nothing is known. */
  restart(state: object): void {
    this.#state = state
    this.#young = new Map()
    this.#old = new Map()
    this.#weight = 0
  }
}

/** Lets go of the rows that a memtable changes; returns what they weighed. */
function forget(generation: Generation, memtable: Memtable): number {
  let weight = 0
  for (const { slot, points, ranges } of memtable.slots.values()) {
    const rows = generation.get(slot.id)
    if (rows === undefined) continue
    const gone = ranges.length > 0 ? rows.keys() : points.keys()
    for (const key of gone) {
      weight += rows.get(key)?.size ?? 0
      rows.delete(key)
    }
  }
  return weight
}
