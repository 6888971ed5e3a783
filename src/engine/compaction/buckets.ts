/**
 * The points of a large memtable in the order of their keys' bytes. The keys are dealt out into buckets, each of which is sorted
 * when its turn comes (sample sort; Frazer and McKellar, 1970): so others get their turn in between.
 */
import { countInFront } from '../../bytes/compare.js'
import type { MapKey } from '../../bytes/keys.js'
import type { Cursor } from '../../segment/cursor.js'
import type { KeyedRecord } from '../../segment/record.js'
import { hasByteOrder, sortInBytes, sortNaturally, type Point, type SortedKeys } from '../point.js'

/** About how many keys a bucket has, and of how many of them one is looked at to find where it ends. */
const BUCKET = 1024
const SAMPLED = 64
/** After how many keys others get their turn. */
const TURN = 4096

/** Some of the keys of a slot: all in a bucket come before those in the next one. */
export interface Bucket {
  readonly prefix: Uint8Array
  readonly points: ReadonlyMap<MapKey, Point>
  readonly keys: readonly MapKey[]
}

/** Awaits `pace` now and then. */
export async function deal(
  prefix: Uint8Array,
  points: ReadonlyMap<MapKey, Point>,
  pace: () => Promise<void> | undefined,
): Promise<readonly Bucket[]> {
  const keys = [...points.keys()]
  const count = hasByteOrder(keys) ? Math.ceil(keys.length / BUCKET) : 1
  const sample = count > 1 ? sortNaturally(keys.filter((_, i) => i % SAMPLED === 0)) : []
  // Where each bucket but the last ends.
  const ends = Array.from({ length: count - 1 }, (_, i) => sample[Math.floor(((i + 1) * sample.length) / count)]!)
  const buckets = Array.from({ length: count }, (): MapKey[] => [])
  for (const [i, key] of keys.entries()) {
    if (i % TURN === TURN - 1) await pace()
    buckets[countInFront(ends.length, (at) => ends[at]! <= key)]!.push(key)
  }
  return buckets.map((some) => ({ prefix, points, keys: some }))
}

/** Walks the points of buckets that lie in order. */
export class BucketsCursor implements Cursor {
  readonly #buckets: Iterator<Bucket>
  #points: ReadonlyMap<MapKey, Point> | undefined
  #sorted: SortedKeys = { keys: [], bytes: [] }
  #at = -1
  current: KeyedRecord | undefined

  constructor(buckets: Iterable<Bucket>) {
    this.#buckets = buckets[Symbol.iterator]()
  }

  next(): undefined {
    while (++this.#at >= this.#sorted.keys.length) {
      const { value } = this.#buckets.next() as { readonly value: Bucket | undefined }
      this.current = undefined
      if (value === undefined) return
      this.#points = value.points
      this.#sorted = sortInBytes(value.prefix, value.keys)
      this.#at = -1
    }
    const { bytes, expires } = this.#points!.get(this.#sorted.keys[this.#at]!)!
    this.current = { key: this.#sorted.bytes[this.#at]!, bytes, expires }
  }
}
