/**
 * The points of a memtable in the order of their keys' bytes. To write a large one, its keys are dealt out into buckets, each of
 * which is sorted when its turn comes (sample sort; Frazer and McKellar, 1970): so others get their turn in between.
 */
import { compareBytes } from '../bytes/compare.js'
import { hasByteOrder, writeMapKey, type MapKey } from '../bytes/keys.js'
import { ByteWriter } from '../bytes/writer.js'
import type { Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { MemtableRecord, type Point } from './point.js'

/** About how many keys a bucket has, and of how many of them one is looked at to find where it ends. */
const BUCKET = 1024
const SAMPLED = 64
/** After how many keys others get their turn. */
const TURN = 4096

interface SortedKeys {
  readonly keys: readonly MapKey[]
  /** Key by key, with the prefix of the slot. */
  readonly bytes: readonly Uint8Array[]
}

/** The platform sorts text and numbers by themselves many times faster than bytes are compared here. */
function sort(keys: readonly MapKey[]): MapKey[] {
  return typeof keys[0] === 'number' ? [...keys].sort((a, b) => Number(a) - Number(b)) : [...keys].sort()
}

function sorted(prefix: Uint8Array, unsorted: readonly MapKey[]): SortedKeys {
  const inOrder = hasByteOrder(unsorted)
  const keys = inOrder ? sort(unsorted) : unsorted
  // All in one buffer: one for each would take longer to get than to fill.
  const w = new ByteWriter(keys.length * (prefix.length + 20))
  const ends = keys.map((key) => {
    w.raw(prefix)
    writeMapKey(w, key)
    return w.length
  })
  const all = w.finish()
  const bytes = ends.map((end, i) => all.subarray(i === 0 ? 0 : ends[i - 1], end))
  if (inOrder) return { keys, bytes }
  const order = bytes.map((own, i) => ({ own, i })).sort((a, b) => compareBytes(a.own, b.own))
  return { keys: order.map(({ i }) => keys[i]!), bytes: order.map(({ own }) => own) }
}

export function sortedRecords(prefix: Uint8Array, points: ReadonlyMap<MapKey, Point>): MemtableRecord[] {
  const { keys, bytes } = sorted(prefix, [...points.keys()])
  return keys.map((key, i) => new MemtableRecord(bytes[i]!, points.get(key)!))
}

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
  const sample = sort(keys.filter((_, i) => i % SAMPLED === 0))
  // Where each bucket but the last ends.
  const ends = Array.from({ length: count - 1 }, (_, i) => sample[Math.floor(((i + 1) * sample.length) / count)]!)
  const buckets = Array.from({ length: count }, (): MapKey[] => [])
  for (const [i, key] of keys.entries()) {
    if (i % TURN === TURN - 1) await pace()
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]! <= key) low = middle + 1
      else high = middle
    }
    buckets[low]!.push(key)
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
      this.#sorted = sorted(value.prefix, value.keys)
      this.#at = -1
    }
    const { bytes, expires } = this.#points!.get(this.#sorted.keys[this.#at]!)!
    this.current = { key: this.#sorted.bytes[this.#at]!, bytes, expires }
  }
}
