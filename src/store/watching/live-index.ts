/** The rows of an index as those of a live range. An entry whose value has not changed stays the same. */
import { compareBytes } from '../../bytes/compare.js'
import { decodeKey, mapKeyBytes, toMapKey, type Key } from '../../bytes/keys.js'
import { Comparison } from '../../engine/history/diff.js'
import { lookUpLoading, viewOf, type View } from '../../engine/read.js'
import type { Slot } from '../../engine/slot.js'
import type { ShardState } from '../../engine/state.js'
import { ALL_OF_SLOT, isEmptyRange, slotRange, type KeyBounds } from '../bounds.js'
import { decodeRecord, recordsSlot, rowBounds, rowKey, rowsSlot } from '../indexes/layout.js'
import { isBuilt, rowsIn, StillHost, type IndexPlace } from '../indexes/reading.js'
import type { RangeOptions } from '../range.js'
import type { Live } from './live.js'
import { LiveRows, mayChange, type LiveChange, type LiveRow, type LiveSource, type LiveWindow } from './live-rows.js'
import type { Observed } from './observed.js'

type Entry = readonly [indexKey: Key, key: Key, value: unknown]

class IndexRows implements LiveSource<Entry> {
  readonly #handle: Observed
  readonly #place: IndexPlace
  readonly #range: RangeOptions<Key>
  readonly #bounds: KeyBounds
  readonly #reverse: boolean

  constructor(handle: Observed, place: IndexPlace, range: RangeOptions<Key>, reverse: boolean) {
    this.#handle = handle
    this.#place = place
    this.#range = range
    this.#bounds = rowBounds(range)
    this.#reverse = reverse
  }

  async read(state: ShardState, limit: number): Promise<LiveRow<Entry>[]> {
    const view = viewOf(state, [], this.#handle.cache)
    // That it is shown is no read by the program.
    const place = { ...this.#place, host: new StillHost(this.#place.host, view, undefined) }
    const rows: LiveRow<Entry>[] = []
    for await (const [indexKey, key, partition] of rowsIn(place, view, this.#range, this.#reverse, limit)) {
      const slot = this.#place.slots.find((each) => each.partition === partition)!
      const found = await lookUpLoading(view, slot, toMapKey(key))
      if (found?.bytes) rows.push(this.#row(indexKey, key, slot, found.bytes, found.expires))
    }
    return rows
  }

  #row(indexKey: Key, key: Key, { partition }: Slot, stored: Uint8Array, expires: number): LiveRow<Entry> {
    const { spec } = this.#place
    // They are copied: those of the record would keep a whole block in memory.
    const bytes = stored.slice()
    return {
      key: mapKeyBytes(rowKey(indexKey, key)),
      partition,
      bytes,
      expires,
      entry: () => Object.freeze([indexKey, key, spec.decode(bytes)] as const),
    }
  }

  mayDiffer(before: ShardState, after: ShardState): boolean {
    return mayChange(this.#place.slots, ALL_OF_SLOT, before, after)
  }

  /** The index rows that are gone, and those of each row of the table that differs. */
  async changes(before: ShardState, after: ShardState): Promise<LiveChange<Entry>[] | undefined> {
    const { cache } = this.#handle
    const view = viewOf(after, [], cache)
    for (const each of [viewOf(before, [], cache), view]) if (!(await isBuilt(this.#place, each))) return undefined
    const found: LiveChange<Entry>[] = []
    if (isEmptyRange(this.#bounds)) return found
    const comparison = new Comparison(before, after, cache)
    for (const slot of this.#place.slots) {
      const rows = rowsSlot(slot, this.#place.name)
      for await (const batch of comparison.within(rows, slotRange(rows, this.#bounds))) {
        for (const { key, after: record } of batch) {
          if (record?.bytes === undefined)
            found.push({ key: key.slice(rows.prefix.length), partition: slot.partition, bytes: undefined })
        }
      }
      for await (const batch of comparison.within(slot, slotRange(slot, ALL_OF_SLOT))) {
        for (const { key: full, after: record } of batch) {
          if (record?.bytes === undefined) continue
          const key = decodeKey(full, slot.prefix.length)
          for (const indexKey of await this.#keysOf(view, slot, key))
            found.push(this.#row(indexKey, key, slot, record.bytes, record.expires))
        }
      }
    }
    return found
  }

  /** The keys in the range by which the index has a row. */
  async #keysOf(view: View, slot: Slot, key: Key): Promise<Key[]> {
    const found = await lookUpLoading(view, recordsSlot(slot), toMapKey(key))
    const all = found?.bytes && decodeRecord(found.bytes, 'The record of an index').keys.get(this.#place.name)
    const { lower, upper } = this.#bounds
    return (all ?? [])
      .map((each) => decodeKey(each))
      .filter((each) => {
        const bytes = mapKeyBytes(rowKey(each, key))
        return compareBytes(bytes, lower) >= 0 && (upper === undefined || compareBytes(bytes, upper) < 0)
      })
  }
}

/** Shows the rows of an index in `live`. */
export function liveIndex<T>(
  handle: Observed,
  place: IndexPlace,
  range: RangeOptions<Key>,
  window: LiveWindow,
  live: Live<T>,
): LiveRows<T> {
  const source = new IndexRows(handle, place, range, window.reverse) as unknown as LiveSource<T>
  return new LiveRows(handle, source, window, live)
}
