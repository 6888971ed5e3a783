/** How an iteration begins, and where it goes on when a segment on its way turns out to be damaged. */
import { compareBytes } from '../bytes/compare.js'
import { isPromise } from '../bytes/kinds.js'
import { isExpired } from '../errors.js'
import type { Bounds, Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { holdLayers, scan, type Held, type View } from '../shard/reads.js'
import { prefixed, type Slot } from '../shard/slot.js'
import { PartitionsCursor, type Failed } from './iterate.js'
import { slotRange, type KeyBounds } from './range.js'
import type { TableHost } from './table.js'

export class Scans {
  readonly #host: TableHost
  readonly #slots: readonly Slot[]
  readonly #bounds: readonly Bounds[]
  /** What the iteration shows, as of its first step; and what the layers held then, slot by slot. */
  #view: View | undefined
  #held: readonly Held[] = []

  constructor(host: TableHost, slots: readonly Slot[], bounds: KeyBounds, reverse: boolean) {
    this.#host = host
    this.#slots = slots
    this.#bounds = slots.map((slot) => ({ ...slotRange(slot, bounds), reverse }))
  }

  start(failed: Failed | undefined): Cursor | Promise<Cursor> {
    if (failed !== undefined) return this.#goOn(failed)
    const view = this.#host.view()
    this.#view = view
    // Scanning takes what the layers hold now, in all partitions in this very turn.
    this.#noteReading()
    this.#held = this.#slots.map((slot, i) => holdLayers(view, slot, this.#bounds[i]!))
    return this.#scan(view, this.#bounds, this.#held)
  }

  #noteReading(): void {
    this.#slots.forEach((slot, i) => this.#host.readings?.range(slot, this.#bounds[i]!))
  }

  /** Goes on behind the last record, on the same state repaired. */
  async #goOn({ error, last }: Failed): Promise<Cursor> {
    const before = this.#view!
    let view: View
    try {
      view = await this.#host.mend(before, error)
    } catch (failure) {
      const present = this.#host.view()
      // It was collected, and the handle has looked since; but what was shown of it stands for no other state.
      if (!isExpired(failure) || last !== undefined || present.state === before.state) throw failure
      this.#noteReading()
      view = { ...present, layers: before.layers }
    }
    // Only the newest layers may be let go by now: what they held is at hand.
    this.#view = view
    const bounds = this.#bounds.map((all, i) => (last ? behind(all, this.#slots[i]!, last) : all))
    const held = this.#held.map((layers, i) =>
      layers.map(({ records, ranges }) => ({
        records: records.filter(({ key }) => isWithin(key, bounds[i]!)),
        ranges,
      })),
    )
    return this.#scan(view, bounds, held)
  }

  #scan(view: View, bounds: readonly Bounds[], held: readonly Held[]): Cursor | Promise<Cursor> {
    const cursors = this.#slots.map((slot, i) => scan(view, slot, bounds[i]!, held[i]))
    if (cursors.length === 1) return cursors[0]!
    const prefixLength = this.#slots[0]!.prefix.length
    const { reverse } = bounds[0]!
    return cursors.some((cursor) => isPromise(cursor))
      ? Promise.all(cursors.map(async (cursor) => cursor)).then(
          (all) => new PartitionsCursor(all, prefixLength, reverse),
        )
      : new PartitionsCursor(cursors as Cursor[], prefixLength, reverse)
  }
}

/** The bounds of what comes after a record, which may be of another partition. */
function behind(bounds: Bounds, { prefix }: Slot, { key }: KeyedRecord): Bounds {
  const at = prefixed(prefix, key.subarray(prefix.length))
  if (bounds.reverse) return { ...bounds, upper: compareBytes(at, bounds.upper) < 0 ? at : bounds.upper }
  // The least key above it.
  const next = prefixed(at, new Uint8Array(1))
  return { ...bounds, lower: compareBytes(next, bounds.lower) > 0 ? next : bounds.lower }
}

function isWithin(key: Uint8Array, { lower, upper }: Bounds): boolean {
  return compareBytes(lower, key) <= 0 && compareBytes(key, upper) < 0
}
