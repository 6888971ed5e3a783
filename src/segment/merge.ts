/**
 * The merge of sorted sources, newest first: for every key the record of the newest source that has one, unless a newer
 * source deleted a range around it. Tombstones come through: whether they still matter is for the caller to say.
 */
import { compareBytes, countInFront } from '../bytes/compare.js'
import type { Cursor } from './cursor.js'
import type { KeyedRecord, KeyRange } from './record.js'

export interface MergeSource {
  readonly cursor: Cursor
  /** Ranges that this source deletes in all older ones; sorted and apart. */
  readonly ranges: readonly KeyRange[]
}

export class MergeCursor implements Cursor {
  readonly #sources: readonly MergeSource[]
  readonly #sign: number
  #started = false
  current: KeyedRecord | undefined

  constructor(sources: readonly MergeSource[], reverse = false) {
    this.#sources = sources
    this.#sign = reverse ? -1 : 1
  }

  next(): Promise<void> | undefined {
    for (;;) {
      const loading = this.#advance()
      if (loading !== undefined) return loading.then(() => (this.#pick() ? undefined : this.next()))
      if (this.#pick()) return undefined
    }
  }

  /** Moves every source past the current key. */
  #advance(): Promise<unknown> | undefined {
    const last = this.#last
    let waits: Promise<void>[] | undefined
    for (const { cursor } of this.#sources) {
      const at = cursor.current
      if (this.#started && (at === undefined || last === undefined || compareBytes(at.key, last) !== 0)) continue
      const wait = cursor.next()
      if (wait !== undefined) (waits ??= []).push(wait)
    }
    this.#started = true
    return waits && Promise.all(waits)
  }

  #last: Uint8Array | undefined

  /** Settles on the next key; false when a newer range delete hides it, so that the caller has to move on. */
  #pick(): boolean {
    let best: KeyedRecord | undefined
    let source = 0
    for (let i = 0; i < this.#sources.length; i++) {
      const at = this.#sources[i]!.cursor.current
      if (at === undefined) continue
      if (best === undefined || compareBytes(at.key, best.key) * this.#sign < 0) {
        best = at
        source = i
      }
    }
    this.#last = best?.key
    this.current = best
    if (best === undefined) return true
    for (let i = 0; i < source; i++) if (isCovered(this.#sources[i]!.ranges, best.key)) return false
    return true
  }
}

/** `ranges` are sorted and apart. */
export function isCovered(ranges: readonly KeyRange[], key: Uint8Array): boolean {
  const range = ranges[countInFront(ranges.length, (i) => compareBytes(ranges[i]!.upper, key) <= 0)]
  return range !== undefined && compareBytes(range.lower, key) <= 0
}

/** Where a range goes among others: it takes the place of those from `from` up to `to`, which it overlaps or touches. */
export interface RangePlace {
  readonly from: number
  readonly to: number
  readonly union: KeyRange
}

/** `ranges` are sorted and apart. */
export function placeRange(ranges: readonly KeyRange[], { lower, upper }: KeyRange): RangePlace {
  const from = countInFront(ranges.length, (i) => compareBytes(ranges[i]!.upper, lower) < 0)
  const to = countInFront(ranges.length, (i) => compareBytes(ranges[i]!.lower, upper) <= 0)
  const [first, last] = [ranges[from], ranges[to - 1]]
  const union = {
    lower: from < to && compareBytes(first!.lower, lower) < 0 ? first!.lower : lower,
    upper: from < to && compareBytes(last!.upper, upper) > 0 ? last!.upper : upper,
  }
  return { from, to, union }
}

/** The union of ranges: sorted, none overlapping or touching. */
export function unionRanges(ranges: readonly KeyRange[]): KeyRange[] {
  const union: KeyRange[] = []
  for (const range of [...ranges].sort((a, b) => compareBytes(a.lower, b.lower))) {
    const last = union.at(-1)
    if (last === undefined || compareBytes(last.upper, range.lower) < 0) union.push(range)
    else if (compareBytes(last.upper, range.upper) < 0) union[union.length - 1] = { ...last, upper: range.upper }
  }
  return union
}
