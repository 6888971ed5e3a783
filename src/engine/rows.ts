/**
 * The rows of the newest state that were read one by one, with their values as they were decoded: a hot key is one look-up in
 * a Map, whatever lies beneath. Each entry that is applied corrects the rows that it changes; the state that a snapshot
 * keeps knows nothing of them. When they are too many, those go that were not used since they were last looked at (the CLOCK
 * algorithm), so that nothing has to be put in order when a row is read.
 */
import type { MapKey } from '../bytes/keys.js'
import type { StoredRecord } from '../segment/record.js'
import type { Memtable } from './memtable.js'
import { Row, type Point } from './point.js'
import type { Slot } from './slot.js'

/** An entry that was applied, as far as rows have to know it. */
interface Change {
  readonly entry: { readonly kind: string }
  readonly memtable: Memtable | undefined
  readonly references: unknown
}

/** Has the memory of which rows may take their budget. */
interface Lender {
  /** How much of it they take now, at most. */
  lend(bytes: number): void
}

/** About how many bytes a row takes beside twice those of its value, which is kept as it was decoded. */
const ROW = 200

export class Rows {
  readonly #budget: number
  readonly #lender: Lender
  /** The newest state, of which only counts which one it is. */
  #state: object
  /** By the id of the slot. */
  #rows = new Map<string, Map<MapKey, Row>>()
  #weight = 0
  #hand = this.#sweep()

  /** About so many bytes of a cache. */
  constructor(budget: number, lender: Lender, state: object) {
    this.#state = state
    this.#budget = budget
    this.#lender = lender
  }

  find(state: object, slot: Slot, key: MapKey): Point | undefined {
    if (state !== this.#state) return undefined
    const row = this.#rows.get(slot.id)?.get(key)
    if (row !== undefined) row.isUsed = true
    return row
  }

  /** Keeps what a segment had for a key in `state`, which may be the newest one no longer; returns what to go on with. */
  add(state: object, slot: Slot, key: MapKey, record: StoredRecord): Point | StoredRecord {
    if (state !== this.#state || record.bytes === undefined) return record
    let rows = this.#rows.get(slot.id)
    if (rows === undefined) this.#rows.set(slot.id, (rows = new Map()))
    // A copy, as the bytes are a part of a block, all of which they would keep in memory.
    const row = new Row(record.bytes.slice(), record.expires, ROW + 2 * record.bytes.length)
    this.#weight += row.size - (rows.get(key)?.size ?? 0)
    rows.set(key, row)
    while (this.#weight > this.#budget) this.#hand.next()
    this.#lender.lend(this.#weight)
    return row
  }

  /** Each step looks at one row, and lets it go unless it was used; round and round. */
  *#sweep(): Generator<void, never> {
    for (;;) {
      for (const rows of this.#rows.values()) {
        for (const [key, row] of rows) {
          if (!row.isUsed) {
            rows.delete(key)
            this.#weight -= row.size
          }
          row.isUsed = false
          yield
        }
      }
    }
  }

  /** `after` is the newest state now; by `entries`, if they are known, it differs from `before`. */
  follow(before: object, after: object, entries: readonly Change[] | undefined): void {
    // Where changes are in segments, or all of the state is another one, nobody knows which rows still hold.
    const isKnown = entries?.every(({ entry, references }) => entry.kind !== 'reset' && references === undefined)
    if (before !== this.#state || !isKnown) return this.restart(after)
    this.#state = after
    for (const { memtable } of entries!) {
      if (memtable === undefined) continue
      this.#weight -= forget(this.#rows, memtable)
    }
  }

  /** Begins with a state of which nothing is known. */
  restart(state: object): void {
    this.#state = state
    this.#rows = new Map()
    this.#weight = 0
    this.#hand = this.#sweep()
    this.#lender.lend(0)
  }
}

/** Lets go of the rows that a memtable changes; returns what they weighed. */
function forget(all: ReadonlyMap<string, Map<MapKey, Row>>, memtable: Memtable): number {
  let weight = 0
  for (const { slot, points, ranges } of memtable.slots.values()) {
    const rows = all.get(slot.id)
    if (rows === undefined) continue
    const gone = ranges.length > 0 ? rows.keys() : points.keys()
    for (const key of gone) {
      weight += rows.get(key)?.size ?? 0
      rows.delete(key)
    }
  }
  return weight
}
