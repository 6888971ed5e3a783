/** The entries of a table as the rows of a live range. */
import { decodeKey, type Key } from '../../bytes/keys.js'
import { isPromise } from '../../callback.js'
import { Comparison } from '../../engine/history/diff.js'
import { viewOf } from '../../engine/read.js'
import { scanSlots } from '../../engine/scan.js'
import type { ShardState } from '../../engine/state.js'
import type { Cursor } from '../../segment/cursor.js'
import type { Live } from './live.js'
import { LiveRows, mayChange, type LiveChange, type LiveRow, type LiveSource, type LiveWindow } from './live-rows.js'
import type { Observed } from './observed.js'
import type { Place } from './observer.js'
import { isEmptyRange, slotRange, type KeyBounds } from '../bounds.js'

export interface EntriesRange extends LiveWindow {
  readonly place: Place
  readonly bounds: KeyBounds
}

type Entry = readonly [key: Key, value: unknown]

class Entries implements LiveSource<Entry> {
  readonly #handle: Observed
  readonly #range: EntriesRange

  constructor(handle: Observed, range: EntriesRange) {
    this.#handle = handle
    this.#range = range
  }

  read(state: ShardState, limit: number, now: number): LiveRow<Entry>[] | Promise<LiveRow<Entry>[]> {
    const { place, bounds, reverse } = this.#range
    const rows: LiveRow<Entry>[] = []
    if (limit === 0 || isEmptyRange(bounds)) return rows
    const rowOf = this.#rows(state)
    const walk = (cursor: Cursor): LiveRow<Entry>[] | Promise<LiveRow<Entry>[]> => {
      const take = (): boolean => {
        if (cursor.current === undefined) return false
        const { key, bytes, expires } = cursor.current
        if (bytes && (expires === 0 || expires > now)) rows.push(rowOf(key, bytes, expires))
        return rows.length < limit
      }
      do {
        const loading = cursor.next()
        if (loading) return loading.then(() => (take() ? walk(cursor) : rows))
      } while (take())
      return rows
    }
    const ranges = place.slots.map((slot) => ({ ...slotRange(slot, bounds), reverse }))
    const nothing = place.slots.map(() => [])
    const cursor = scanSlots(viewOf(state, [], this.#handle.cache), place.slots, ranges, nothing)
    return isPromise(cursor) ? cursor.then(walk) : walk(cursor)
  }

  mayDiffer(before: ShardState, after: ShardState): boolean {
    const { place, bounds } = this.#range
    if (isEmptyRange(bounds)) return false
    return mayChange(place.slots, bounds, before, after)
  }

  async changes(before: ShardState, after: ShardState): Promise<LiveChange<Entry>[]> {
    const { place, bounds } = this.#range
    const found: LiveChange<Entry>[] = []
    if (isEmptyRange(bounds)) return found
    const comparison = new Comparison(before, after, this.#handle.cache)
    const rowOf = this.#rows(after)
    for (const slot of place.slots) {
      for await (const batch of comparison.within(slot, slotRange(slot, bounds))) {
        for (const { key, after: record } of batch) {
          const { bytes, expires = 0 } = record ?? {}
          if (bytes) found.push(rowOf(key, bytes, expires))
          else found.push({ key: key.slice(slot.prefix.length), partition: slot.partition, bytes })
        }
      }
    }
    return found
  }

  /** Makes rows of records of a state. Their bytes are copied: a record's would keep a whole block in memory. */
  #rows(state: ShardState): (key: Uint8Array, bytes: Uint8Array, expires: number) => LiveRow<Entry> {
    const { name, bytes: table, slots } = this.#range.place
    const { decode } = this.#handle.specs.forReading(name, table, state)
    const prefixLength = slots[0]!.prefix.length
    return (full, stored, expires) => {
      const [key, bytes] = [full.slice(prefixLength), stored.slice()]
      const partition = (full[0]! << 8) | full[1]!
      return { key, partition, bytes, expires, entry: () => Object.freeze([decodeKey(key), decode(bytes)] as const) }
    }
  }
}

/** Shows the entries of a range in `live`. */
export function liveEntries<T>(handle: Observed, range: EntriesRange, live: Live<T>): LiveRows<T> {
  // By the types of its table an entry is what the caller says.
  const source = new Entries(handle, range) as unknown as LiveSource<T>
  return new LiveRows(handle, source, range, live)
}
