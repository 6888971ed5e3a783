/** The rows of an index as those of a live range. They are read anew when their table has changed; an entry whose value has not stays the same. */
import { mapKeyBytes, toMapKey, type Key } from '../../bytes/keys.js'
import { lookUpLoading, viewOf } from '../../engine/read.js'
import type { ShardState } from '../../engine/state.js'
import { ALL_OF_SLOT } from '../bounds.js'
import { rowKey } from '../indexes/layout.js'
import { rowsIn, StillHost, type IndexPlace } from '../indexes/reading.js'
import type { RangeOptions } from '../range.js'
import type { Live } from './live.js'
import { LiveRows, mayChange, type LiveRow, type LiveSource, type LiveWindow } from './live-rows.js'
import type { Observed } from './observed.js'

type Entry = readonly [indexKey: Key, key: Key, value: unknown]

class IndexRows implements LiveSource<Entry> {
  readonly #handle: Observed
  readonly #place: IndexPlace
  readonly #range: RangeOptions<Key>
  readonly #reverse: boolean

  constructor(handle: Observed, place: IndexPlace, range: RangeOptions<Key>, reverse: boolean) {
    this.#handle = handle
    this.#place = place
    this.#range = range
    this.#reverse = reverse
  }

  async read(state: ShardState, limit: number): Promise<LiveRow<Entry>[]> {
    const { spec, slots } = this.#place
    const view = viewOf(state, [], this.#handle.cache)
    // That it is shown is no read by the program.
    const place = { ...this.#place, host: new StillHost(this.#place.host, view, undefined) }
    const rows: LiveRow<Entry>[] = []
    for await (const [indexKey, key, partition] of rowsIn(place, view, this.#range, this.#reverse, limit)) {
      const slot = slots.find((each) => each.partition === partition)!
      const found = await lookUpLoading(view, slot, toMapKey(key))
      // Its bytes are copied: those of the record would keep a whole block in memory.
      const bytes = found?.bytes?.slice()
      if (bytes === undefined) continue
      rows.push({
        key: mapKeyBytes(rowKey(indexKey, key)),
        partition,
        bytes,
        expires: found!.expires,
        entry: () => Object.freeze([indexKey, key, spec.decode(bytes)] as const),
      })
    }
    return rows
  }

  mayDiffer(before: ShardState, after: ShardState): boolean {
    return mayChange(this.#place.slots, ALL_OF_SLOT, before, after)
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
