/** Range deletes of one layer: whether they cover a key, and how they are put together. */
import { compareBytes, countInFront } from '../bytes/compare.js'
import type { KeyRange } from './record.js'

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
