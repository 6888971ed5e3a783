import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes } from '../../../src/bytes/compare.js'
import { encodeKey } from '../../../src/bytes/keys.js'
import { isCovered, unionRanges } from '../../../src/segment/ranges.js'
import { closeKeys, closeRanges } from '../../support/arbitraries.js'

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
