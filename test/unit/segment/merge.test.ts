import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes } from '../../../src/bytes/compare.js'
import { encodeKey } from '../../../src/bytes/keys.js'
import { ArrayCursor, type Cursor } from '../../../src/segment/cursor.js'
import { MergeCursor } from '../../../src/segment/merge.js'
import { isCovered, unionRanges } from '../../../src/segment/ranges.js'
import { closeKeys, closeRanges } from '../../support/arbitraries.js'
import { keyAt, rangeOf, recordsOf, walk } from '../../support/parts.js'

test('a union of ranges covers what the ranges cover, sorted and apart', () => {
  fc.assert(
    fc.property(fc.array(closeRanges, { maxLength: 12 }), closeKeys, (ranges, key) => {
      const union = unionRanges(ranges)
      const bytes = encodeKey(key)
      const isIn = ranges.some((r) => compareBytes(r.lower, bytes) <= 0 && compareBytes(bytes, r.upper) < 0)
      expect(isCovered(union, bytes)).toBe(isIn)
      for (let i = 1; i < union.length; i++) expect(compareBytes(union[i - 1]!.upper, union[i]!.lower)).toBeLessThan(0)
    }),
  )
})

/** The same cursor, which has to be waited for at each step. */
function slow(cursor: Cursor): Cursor {
  return {
    get current() {
      return cursor.current
    },
    next: () => Promise.resolve().then(() => cursor.next()),
  }
}

const KEYS = 12
const sources = fc.array(
  fc.record({
    keys: fc.uniqueArray(fc.nat(KEYS - 1), { maxLength: KEYS }),
    ranges: fc.array(fc.tuple(fc.nat(KEYS), fc.nat(KEYS)), { maxLength: 2 }),
    isSlow: fc.boolean(),
  }),
  { maxLength: 5 },
)

test('a merge gives the newest record of each key, unless a newer source deletes it, in either direction', async () => {
  await fc.assert(
    fc.asyncProperty(sources, fc.boolean(), async (given, reverse) => {
      const made = given.map(({ keys, ranges, isSlow }, source) => {
        const records = recordsOf(keys.toSorted((a, b) => a - b).map((key) => [key, source] as const))
        const cursor = new ArrayCursor(records, reverse)
        const deleted = ranges.filter(([from, to]) => from < to).map(([from, to]) => rangeOf(from, to))
        return { cursor: isSlow ? slow(cursor) : cursor, ranges: unionRanges(deleted) }
      })
      const expected: { key: Uint8Array; value: number }[] = []
      for (let key = 0; key < KEYS; key++) {
        const newest = given.findIndex(({ keys }) => keys.includes(key))
        const isDeleted = made.slice(0, newest).some(({ ranges }) => isCovered(ranges, keyAt(key)))
        if (newest >= 0 && !isDeleted) expected.push({ key: keyAt(key), value: newest })
      }
      expect(await walk(new MergeCursor(made, reverse))).toEqual(reverse ? expected.reverse() : expected)
    }),
    { numRuns: 500 },
  )
})
