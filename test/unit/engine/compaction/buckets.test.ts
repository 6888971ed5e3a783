/** Buckets of keys, one after another, are the points in the order of their keys' bytes, whatever kinds of keys there are. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes } from '../../../../src/bytes/compare.js'
import { toMapKey, type Key, type MapKey } from '../../../../src/bytes/keys.js'
import { BucketsCursor, deal } from '../../../../src/engine/compaction/buckets.js'
import { Point, sortedRecords } from '../../../../src/engine/point.js'

const PREFIX = Uint8Array.of(0, 1, 0)

async function walked(keys: readonly Key[]): Promise<{ readonly keys: string[]; readonly turns: number }> {
  const points = new Map<MapKey, Point>()
  for (const key of keys) points.set(toMapKey(key), Point.stored(Uint8Array.of(points.size), points.size))
  let turns = 0
  const buckets = await deal(PREFIX, points, () => void turns++)
  const cursor = new BucketsCursor(buckets)
  const seen: Uint8Array[] = []
  const wrong: Uint8Array[] = []
  for (cursor.next(); cursor.current; cursor.next()) {
    const { key, bytes, expires } = cursor.current
    if (bytes?.length !== 1 || bytes[0] !== expires % 256) wrong.push(key)
    seen.push(key)
  }
  // An expectation for each of some hundred thousand keys would take longer than the walk.
  const sorted = sortedRecords(PREFIX, points)
  expect(wrong).toEqual([])
  expect(seen.filter((key, i) => i > 0 && compareBytes(seen[i - 1]!, key) >= 0)).toEqual([])
  expect(seen.filter((key, i) => compareBytes(sorted[i]!.key, key) !== 0)).toEqual([])
  expect([seen.length, sorted.length]).toEqual([points.size, points.size])
  return { keys: seen.map(String), turns }
}

test('keys of any kinds come in the order of their bytes', async () => {
  const key: fc.Arbitrary<Key> = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.string({ maxLength: 4 }),
    fc.double({ noNaN: true }),
    fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }),
    fc.tuple(fc.string({ maxLength: 2 }), fc.integer()),
    fc.boolean(),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(key, { maxLength: 300 }), async (keys) => {
      await walked(keys)
    }),
    { numRuns: 200 },
  )
})

test('many keys of one kind, or of two, in any order', async () => {
  const spread = (i: number): number => (i * 7919) % 10_007
  const kinds: ((i: number) => Key)[] = [
    (i) => `k${spread(i)}`,
    (i) => spread(i) - 5_000,
    (i) => BigInt(spread(i)),
    (i) => ['k', spread(i)],
    (i) => (i % 2 ? spread(i) : BigInt(spread(i))),
    (i) => (i % 2 ? `k${spread(i)}` : `\u{1f600}${i}`),
    (i) => (i % 2 ? `k${spread(i)}` : spread(i)),
  ]
  for (const kind of kinds) await walked(Array.from({ length: 10_000 }, (_, i) => kind(i)))
})

test('others get their turn while keys are dealt out', async () => {
  const { turns } = await walked(Array.from({ length: 50_000 }, (_, i) => i))
  expect(turns).toBeGreaterThan(10)
})
