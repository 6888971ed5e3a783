/** The merge of memtables and runs: the buffer over the tail over the runs, for one key and in key order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toMapKey, type Key } from '../../../src/bytes/keys.js'
import type { Memtable } from '../../../src/engine/memtable.js'
import { takeRecords, lookUp, lookUpLoading, Missing, viewOf, type View } from '../../../src/engine/read.js'
import { scan } from '../../../src/engine/scan.js'
import { makeSlot, tableBytes } from '../../../src/engine/slot.js'
import { emptyState, type ShardState } from '../../../src/engine/state.js'
import type { Run } from '../../../src/manifest/manifest.js'
import { EVERYTHING } from '../../../src/segment/record.js'
import { LOG_ID, memtableOf, rangeOf, recordsOf, Runs, SLOT, walk, type Value } from '../../support/parts.js'

const all = { ...EVERYTHING, reverse: false }

/** Memtables and runs, newest first. */
const view = (runs: Runs, sources: readonly (Memtable | Run)[], memtables: readonly Memtable[] = []): View => ({
  memtables,
  sources,
  cache: runs.cache,
})

/** The value of a key, `gone` for a tombstone, `undefined` when neither a memtable nor a run has the key. */
async function get(view: View, key: Key, slot = SLOT): Promise<Value | 'gone'> {
  const found = await lookUpLoading(view, slot, toMapKey(key))
  if (found === undefined) return undefined
  return found.bytes === undefined ? 'gone' : found.bytes[0]
}

const list = async (view: View, bounds = all): Promise<Value[]> =>
  (await walk(await scan(view, SLOT, bounds))).map(({ value }) => value)

test('the newest memtable or run that says anything about a key decides', async () => {
  const runs = new Runs()
  const old = await runs.write(recordsOf([1, 2, 3, 4].map((key) => [key, 10])))
  const middle = await runs.write(recordsOf([2, 3, 4].map((key) => [key, 20])))
  const tail = memtableOf({ puts: [3, 4].map((key) => [key, 30]) })
  const buffer = memtableOf({ puts: [[4, 40]] })
  const seen = view(runs, [tail, middle, old], [buffer])
  expect(await Promise.all([1, 2, 3, 4, 5].map((key) => get(seen, key)))).toEqual([10, 20, 30, 40, undefined])
  expect(await list(seen)).toEqual([10, 20, 30, 40])
})

test('a tombstone hides what is older, and is told apart from silence', async () => {
  const runs = new Runs()
  const old = await runs.write(recordsOf([[1, 10]]))
  const seen = view(runs, [await runs.write(recordsOf([[1, undefined]])), old])
  expect(await get(seen, 1)).toBe('gone')
  expect(await list(seen)).toEqual([undefined])
})

test('a range delete hides older memtables and runs, neither its own points nor newer ones', async () => {
  const runs = new Runs()
  const old = await runs.write(recordsOf([1, 2, 3, 4].map((key) => [key, 10])))
  const cut = memtableOf({ puts: [[2, 20]], ranges: [rangeOf(1, 4)] })
  const seen = view(runs, [memtableOf({ puts: [[3, 30]] }), cut, old])
  expect(await Promise.all([1, 2, 3, 4].map((key) => get(seen, key)))).toEqual(['gone', 20, 30, 10])
  expect(await list(seen)).toEqual([20, 30, 10])
})

test('so does one that lies in a segment', async () => {
  const runs = new Runs()
  const old = await runs.write(recordsOf([1, 2, 3, 4].map((key) => [key, 10])))
  const seen = view(runs, [await runs.write(recordsOf([[2, 20]]), [rangeOf(1, 4)]), old])
  expect(await Promise.all([1, 2, 3, 4].map((key) => get(seen, key)))).toEqual(['gone', 20, 'gone', 10])
  expect(await list(seen)).toEqual([20, 10])
  expect(await list(seen, { ...all, reverse: true })).toEqual([10, 20])
})

test('other tables and partitions are not seen', async () => {
  const runs = new Runs()
  const [table, partition] = [makeSlot(0, tableBytes('t')), makeSlot(1, tableBytes(''))]
  const changes = [SLOT, table, partition].map((slot, i) => memtableOf({ puts: [[1, i]], slot }))
  const seen = view(runs, changes)
  expect(await Promise.all([SLOT, table, partition].map((slot) => get(seen, 1, slot)))).toEqual([0, 1, 2])
  const own = { ...rangeOf(0, 9, table), reverse: false }
  expect((await walk(await scan(seen, table, own))).map(({ value }) => value)).toEqual([1])
})

test('of a clipped segment only its partitions count', async () => {
  const runs = new Runs()
  const slots = [0, 1].map((partition) => makeSlot(partition, tableBytes('')))
  const run = await runs.write(slots.flatMap((slot) => recordsOf([[1, 10]], slot)))
  const seen = view(runs, [run.map((ref) => ({ ...ref, clip: [1, 1] as const }))])
  expect(await get(seen, 1, slots[0])).toBeUndefined()
  expect(await get(seen, 1, slots[1])).toBe(10)
})

test('lookUp loads nothing by itself: it says what is missing, and answers at once when that is there', async () => {
  const runs = new Runs()
  const seen = view(runs, [await runs.write(recordsOf([[1, 10]]))])
  expect(lookUp(seen, SLOT, 1)).toBeInstanceOf(Missing)
  expect(runs.reads).toEqual([])
  await get(seen, 1)
  expect(lookUp(seen, SLOT, 1)).toMatchObject({ bytes: Uint8Array.of(10) })
})

test('it comes to an end where the cache keeps nothing', async () => {
  const runs = new Runs(0)
  const newer = await runs.write(recordsOf([[1, 20]]))
  const seen = view(runs, [newer, await runs.write(recordsOf([[2, 10]]))])
  expect(await Promise.all([1, 2, 3].map((key) => get(seen, key)))).toEqual([20, 10, undefined])
})

test('a filter spares the block of a run above the oldest, and none is read for the oldest', async () => {
  const runs = new Runs()
  const keys = Array.from({ length: 50 }, (_, i) => 2 * i)
  const [old, newer] = [
    await runs.write(recordsOf(keys.map((key) => [key, 1]))),
    await runs.write(
      recordsOf([
        [2, 2],
        [98, 2],
      ]),
    ),
  ]
  const seen = view(runs, [newer, old])
  expect(await get(seen, 4)).toBe(1)
  const isBlock = (ref: { name: string }): boolean => runs.reads.some((r) => r.name === ref.name && r.offset < 30)
  expect(runs.reads.some(({ name }) => name === newer[0]!.name)).toBe(true)
  expect(isBlock(newer[0]!)).toBe(false)
  expect(old.some((ref) => runs.cache.filter(ref))).toBe(false)
})

test('a view of a state has its tail above its runs, newest first, large commits where they were made', async () => {
  const runs = new Runs()
  const [a, b, c] = [
    await runs.write(recordsOf([[1, 1]])),
    await runs.write(recordsOf([[1, 2]])),
    await runs.write(recordsOf([[1, 4]])),
  ]
  const empty = emptyState(LOG_ID, 0)
  const memtables = [3, 5].map((value) => memtableOf({ puts: [[1, value]] }))
  const tail = [
    { memtable: memtables[0], references: undefined },
    { memtable: undefined, references: { codecs: new Map(), runs: [c] } },
    { memtable: memtables[1], references: undefined },
  ].map((entry, i) => ({ ...entry, n: i + 1, time: 0, bytes: 0 }))
  const state: ShardState = { ...empty, manifest: { ...empty.manifest, runs: [a, b] }, tail }
  const of = viewOf(state, [], runs.cache)
  expect(of.sources).toEqual([memtables[1], c, memtables[0], b, a])
  expect(viewOf(state, [], runs.cache).sources).toBe(of.sources)
})

test('what a scan holds of memtables stays as it was', async () => {
  const runs = new Runs()
  const buffer = memtableOf({
    puts: [
      [1, 1],
      [2, 2],
    ],
  })
  const seen = view(runs, [], [buffer])
  const taken = takeRecords(seen, SLOT, all)
  buffer.deleteRange(SLOT, 'json', rangeOf(0, 2))
  buffer.absorb(memtableOf({ puts: [[3, 3]] }))
  expect((await walk(await scan(seen, SLOT, all, taken))).map(({ value }) => value)).toEqual([1, 2])
  expect(await list(seen)).toEqual([2, 3])
})

test('memtables and runs, read by key and in order, give what a map gives', async () => {
  const key = fc.integer({ min: 0, max: 30 })
  const change = fc.record({
    isRun: fc.boolean(),
    puts: fc.uniqueArray(fc.tuple(key, fc.option(fc.nat(255), { nil: undefined })), {
      selector: ([k]) => k,
      maxLength: 12,
    }),
    ranges: fc.array(fc.tuple(key, fc.integer({ min: 1, max: 9 })), { maxLength: 2 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 6 }), fc.boolean(), async (changes, reverse) => {
      const runs = new Runs()
      const model = new Map<number, Value>()
      const sources: (Memtable | Run)[] = []
      for (const { isRun, puts, ranges } of changes) {
        const cut = ranges.map(([from, length]) => rangeOf(from, from + length))
        const memtable = memtableOf({ puts, ranges: cut })
        for (const [from, length] of ranges) for (let k = from; k < from + length; k++) model.delete(k)
        for (const [k, value] of puts) model.set(k, value)
        const run = (): Promise<Run> => runs.write(memtable.sorted(SLOT, EVERYTHING), memtable.ranges(SLOT))
        sources.unshift(isRun ? await run() : memtable)
      }
      const seen = view(runs, sources)
      const shown = async (k: number): Promise<Value> => {
        const found = await get(seen, k)
        return found === 'gone' ? undefined : found
      }
      for (let k = 0; k <= 40; k++) expect(await shown(k)).toBe(model.get(k))
      const live = [...model].filter(([, value]) => value !== undefined).sort(([a], [b]) => (reverse ? b - a : a - b))
      const listed = (await list(seen, { ...all, reverse })).filter((value) => value !== undefined)
      expect(listed).toEqual(live.map(([, value]) => value))
    }),
    { numRuns: 150 },
  )
})
