/** Cursors over sorted records, and over runs of segments that lie in a storage. */
import { expect, test } from 'vitest'
import { ArrayCursor, clipped, meets, RunCursor, runRanges, type Bounds } from '../../../src/segment/cursor.js'
import { EVERYTHING, partitionPrefix, type KeyRange } from '../../../src/segment/record.js'
import { makeSlot, tableBytes } from '../../../src/engine/slot.js'
import { keyAt, rangeOf, recordsOf, Runs, walk } from '../../support/parts.js'

const numbers = Array.from({ length: 100 }, (_, i) => [i, i] as const)
const all: Bounds = { ...EVERYTHING, reverse: false }
const values = async (cursor: ArrayCursor | RunCursor): Promise<(number | undefined)[]> =>
  (await walk(cursor)).map(({ value }) => value)
const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test('an array is walked in either direction, and ends for good', async () => {
  const records = recordsOf(numbers.slice(0, 3))
  expect(await values(new ArrayCursor(records))).toEqual([0, 1, 2])
  const backwards = new ArrayCursor(records, true)
  expect(backwards.current).toBeUndefined()
  expect(await values(backwards)).toEqual([2, 1, 0])
  backwards.next()
  expect(backwards.current).toBeUndefined()
})

test('a run is walked across its blocks and segments, in either direction', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  expect(run.length).toBeGreaterThan(5)
  expect(await values(new RunCursor(runs.cache, run, all))).toEqual(upTo(0, 100))
  expect(await values(new RunCursor(runs.cache, run, { ...all, reverse: true }))).toEqual(upTo(0, 100).reverse())
})

test('the lower bound belongs to a range and the upper one does not, wherever blocks begin', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  for (let from = 0; from < 100; from += 3) {
    for (const to of [from, from + 1, from + 7, 100]) {
      const expected = upTo(from, Math.min(to, 100))
      const bounds = { ...rangeOf(from, to), reverse: false }
      expect(await values(new RunCursor(runs.cache, run, bounds))).toEqual(expected)
      const back = new RunCursor(runs.cache, run, { ...bounds, reverse: true })
      expect(await values(back)).toEqual(expected.reverse())
    }
  }
})

test('bounds between keys, before all and behind all', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers.filter(([i]) => i % 10 === 0)))
  const between = (from: number, to: number, reverse: boolean): Promise<unknown> =>
    values(new RunCursor(runs.cache, run, { ...rangeOf(from, to), reverse }))
  expect(await between(15, 35, false)).toEqual([20, 30])
  expect(await between(15, 35, true)).toEqual([30, 20])
  for (const reverse of [false, true]) {
    expect(await between(-5, 0, reverse)).toEqual([])
    expect(await between(91, 200, reverse)).toEqual([])
    expect(await between(11, 19, reverse)).toEqual([])
  }
})

test('only segments that a range meets are read', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  await values(new RunCursor(runs.cache, run, { ...rangeOf(50, 51), reverse: false }))
  const read = new Set(runs.reads.map(({ name }) => name))
  expect(read.size).toBe(1)
  expect(run.findIndex(({ name }) => read.has(name))).toBeGreaterThan(0)
})

/** Walks a run, and gives what its values decode to. */
async function decodeAll(runs: Runs, run: Awaited<ReturnType<Runs['write']>>, isShared: boolean): Promise<unknown[]> {
  const seen: unknown[] = []
  const cursor = new RunCursor(runs.cache, run, all)
  for (;;) {
    await cursor.next()
    if (cursor.current === undefined) return seen
    seen.push(cursor.current.value!(([byte]) => ({ byte }), isShared))
  }
}

test('values of blocks that are used again are kept as they were decoded, for readers who share them', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  const [first, second, third, own] = [
    await decodeAll(runs, run, true),
    await decodeAll(runs, run, true),
    await decodeAll(runs, run, true),
    await decodeAll(runs, run, false),
  ]
  expect(first).toEqual(numbers.map(([i]) => ({ byte: i })))
  expect(second).toEqual(first)
  expect(second.some((value, i) => value === first[i])).toBe(false)
  expect(third.every((value, i) => value === second[i])).toBe(true)
  expect(own).toEqual(first)
  expect(own.some((value, i) => value === second[i])).toBe(false)
})

test('values are kept only as long as there is room, and go when others take it', async () => {
  const counts: number[] = []
  for (let capacity = 5_000; capacity <= 50_000; capacity += 2_500) {
    const runs = new Runs(capacity)
    const run = await runs.write(recordsOf(numbers))
    const expected = await decodeAll(runs, run, true)
    const keptCount = async (): Promise<number> => {
      const [before, after] = [await decodeAll(runs, run, true), await decodeAll(runs, run, true)]
      expect(after).toEqual(expected)
      return after.filter((value, i) => value === before[i]).length
    }
    await decodeAll(runs, run, true)
    counts.push(await keptCount())
    runs.cache.lend(capacity)
    expect(await keptCount()).toBe(0)
    runs.cache.lend(0)
    await decodeAll(runs, run, true)
    expect(await keptCount()).toBe(counts.at(-1))
  }
  expect(counts[0]).toBe(0)
  expect(counts.some((count) => count > 0 && count < 100)).toBe(true)
  expect(counts.at(-1)).toBe(100)
})

test('next() gives a promise only when something has to be loaded', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  const first = new RunCursor(runs.cache, run, all).next()
  expect(first).toBeInstanceOf(Promise)
  await first
  await values(new RunCursor(runs.cache, run, all))
  const again = new RunCursor(runs.cache, run, all)
  for (let i = 0; i < 101; i++) expect(again.next()).toBeUndefined()
  expect(again.current).toBeUndefined()
})

test('of a clipped segment only its partitions count', async () => {
  const slots = [1, 2, 3].map((partition) => makeSlot(partition, tableBytes('')))
  const runs = new Runs()
  const records = slots.flatMap((slot) => recordsOf([[0, slot.partition]], slot))
  const run = (await runs.write(records)).map((ref) => ({ ...ref, clip: [2, 2] as const }))
  for (const reverse of [false, true]) {
    expect(await values(new RunCursor(runs.cache, run, { ...all, reverse }))).toEqual([2])
  }
})

test('clipping takes the narrower of both bounds', () => {
  const clip = [2, 3] as const
  const inside: KeyRange = { lower: partitionPrefix(2), upper: partitionPrefix(4) }
  expect(clipped({ clip }, EVERYTHING)).toEqual(inside)
  const narrow = rangeOf(1, 2, makeSlot(3, tableBytes('')))
  expect(clipped({ clip }, narrow)).toEqual(narrow)
  expect(clipped({ clip: undefined }, EVERYTHING)).toBe(EVERYTHING)
})

test('both bounds of a segment count, and the upper one of a range does not', () => {
  const segment = rangeOf(10, 20)
  expect(meets(segment, rangeOf(20, 30))).toBe(true)
  expect(meets(segment, rangeOf(21, 30))).toBe(false)
  expect(meets(segment, rangeOf(0, 10))).toBe(false)
  expect(meets(segment, rangeOf(0, 11))).toBe(true)
})

test('range deletes come from the segments that a range meets, cut to what counts', async () => {
  const runs = new Runs()
  const slot = makeSlot(1, tableBytes(''))
  const wide = { lower: keyAt(0), upper: keyAt(50, slot) }
  const run = await runs.write([], [wide])
  expect(await runRanges(runs.cache, run, EVERYTHING)).toEqual([wide])
  const cut = run.map((ref) => ({ ...ref, clip: [1, 1] as const }))
  expect(await runRanges(runs.cache, cut, EVERYTHING)).toEqual([{ lower: partitionPrefix(1), upper: keyAt(50, slot) }])
  const beside = run.map((ref) => ({ ...ref, clip: [2, 2] as const }))
  expect(await runRanges(runs.cache, beside, EVERYTHING)).toEqual([])
})

test('without range deletes nothing is loaded to find none', async () => {
  const runs = new Runs()
  const run = await runs.write(recordsOf(numbers))
  expect(runRanges(runs.cache, run, EVERYTHING)).toEqual([])
  expect(runs.reads).toEqual([])
})
