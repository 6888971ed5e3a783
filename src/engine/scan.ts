/** Walks a state in key order. It is loaded with the first scan. */
import { isPromise } from '../callback.js'
import type { Run } from '../manifest/manifest.js'
import type { SegmentCache } from '../segment/cache.js'
import { ArrayCursor, RunCursor, runRanges, type Bounds, type Cursor } from '../segment/cursor.js'
import { MergeCursor, type MergeSource } from '../segment/merge.js'
import type { KeyedRecord } from '../segment/record.js'
import { Memtable } from './memtable.js'
import { counts, takeRecords, type Taken, type View } from './read.js'
import type { Slot } from './slot.js'

/** The slots of one table, one per partition, as one in the order of their keys; each within its bounds. */
export function scanSlots(
  view: View,
  slots: readonly Slot[],
  bounds: readonly Bounds[],
  taken: readonly Taken[],
): Cursor | Promise<Cursor> {
  const cursors = slots.map((slot, i) => scan(view, slot, bounds[i]!, taken[i]))
  if (cursors.length === 1) return cursors[0]!
  const prefixLength = slots[0]!.prefix.length
  const merge = (all: readonly Cursor[]): Cursor => new PartitionsCursor(all, prefixLength, bounds[0]!.reverse)
  return cursors.some((cursor) => isPromise(cursor))
    ? Promise.all(cursors.map(async (cursor) => cursor)).then(merge)
    : merge(cursors as Cursor[])
}

/** Walks all records of a slot within the bounds, newest of each key, tombstones included. */
export function scan(
  view: View,
  slot: Slot,
  bounds: Bounds,
  taken: Taken = takeRecords(view, slot, bounds),
): Cursor | Promise<Cursor> {
  const over = taken.map(({ records, ranges }) => ({ cursor: new ArrayCursor(records, bounds.reverse), ranges }))
  const made = [...over, ...view.sources.map((source) => sourceOf(source, view.cache, slot, bounds))]
  const sources = made.filter((source) => source !== undefined)
  return sources.some((source) => isPromise(source))
    ? Promise.all(sources.map(async (source) => source)).then((ready) => merged(ready, bounds.reverse))
    : merged(sources as MergeSource[], bounds.reverse)
}

/** The ranges that a source deletes lie in older ones, so that one source alone is as it is. */
function merged(sources: readonly MergeSource[], reverse: boolean): Cursor {
  return sources.length === 1 ? sources[0]!.cursor : new MergeCursor(sources, reverse)
}

/** One source of a scan; a promise only when the range deletes of a run have to be loaded. */
function sourceOf(
  source: Memtable | Run,
  cache: SegmentCache,
  slot: Slot,
  bounds: Bounds,
): MergeSource | undefined | Promise<MergeSource> {
  if (source instanceof Memtable) {
    if (!source.slots.has(slot.id)) return undefined
    return { cursor: new ArrayCursor(source.sorted(slot, bounds), bounds.reverse), ranges: source.ranges(slot) }
  }
  const run = source.filter((segment) => counts(segment, slot.partition))
  const cursor = new RunCursor(cache, run, bounds)
  const ranges = runRanges(cache, run, bounds)
  return isPromise(ranges) ? ranges.then((known) => ({ cursor, ranges: known })) : { cursor, ranges }
}

/** The cursors of several partitions as one, by the key behind the slots' prefixes, which are of one length. */
class PartitionsCursor implements Cursor {
  readonly #cursors: readonly Cursor[]
  readonly #prefixLength: number
  readonly #sign: number
  #at = -1
  current: KeyedRecord | undefined

  constructor(cursors: readonly Cursor[], prefixLength: number, reverse: boolean) {
    this.#cursors = cursors
    this.#prefixLength = prefixLength
    this.#sign = reverse ? -1 : 1
  }

  next(): Promise<void> | undefined {
    const moved = this.#at < 0 ? this.#cursors : [this.#cursors[this.#at]!]
    const loading = moved.flatMap((cursor) => cursor.next() ?? [])
    if (loading.length > 0) return Promise.all(loading).then(() => this.#pick())
    this.#pick()
    return undefined
  }

  #pick(): void {
    this.current = undefined
    // With nothing left the first cursor is asked again: it stays at its end.
    this.#at = 0
    for (let i = 0; i < this.#cursors.length; i++) {
      const record = this.#cursors[i]!.current
      if (record === undefined) continue
      if (
        this.current === undefined ||
        compareFrom(record.key, this.current.key, this.#prefixLength) * this.#sign < 0
      ) {
        this.current = record
        this.#at = i
      }
    }
  }
}

function compareFrom(a: Uint8Array, b: Uint8Array, from: number): number {
  const n = Math.min(a.length, b.length)
  for (let i = from; i < n; i++) {
    const d = a[i]! - b[i]!
    if (d !== 0) return d
  }
  return a.length - b.length
}
