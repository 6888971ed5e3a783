/** The cache of segments: what it keeps within its budget, and what stays whatever that is. */
import { expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { SegmentCache } from '../../../src/segment/cache.js'
import type { SegmentIndex } from '../../../src/segment/index.js'
import type { SegmentPlace } from '../../../src/segment/damage.js'

const place = (name: string): SegmentPlace => ({ name }) as SegmentPlace
const INDEX: SegmentIndex = { blocks: [], ranges: [] }

test('a segment that stays whole is there until it is dropped', () => {
  const cache = new SegmentCache(memory(), 0)
  cache.keepWhole('s', [
    ['index', INDEX],
    ['filter', Uint8Array.of(1)],
  ])
  expect(cache.index(place('s'))).toBe(INDEX)
  expect(cache.filter(place('s'))).toEqual(Uint8Array.of(1))
  expect([...cache.names]).toEqual(['s'])
  cache.drop('s')
  expect(cache.index(place('s'))).toBeUndefined()
  expect([...cache.names]).toEqual([])
  expect([cache.hits, cache.misses]).toEqual([2, 1])
})
