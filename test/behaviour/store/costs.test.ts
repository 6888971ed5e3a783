import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openStore, type Key } from 'tidemark'
import { memory } from 'tidemark/memory'
import { compareBytes, equalBytes } from '../../../src/bytes/compare.js'
import { compareMapKey, encodeKey, mapKeyBytes, toMapKey } from '../../../src/bytes/keys.js'
import { isCovered, unionRanges } from '../../../src/segment/merge.js'
import { Point, Memtable, memtableOfDelta } from '../../../src/engine/memtable.js'
import { makeSlot, prefixed } from '../../../src/engine/slot.js'
import { keys } from '../../support/arbitraries.js'
import { collect } from '../../support/storages.js'

/** The processor's time for a piece of work, the best of some rounds, in microseconds. */
async function costOf(work: () => unknown): Promise<number> {
  let best = Infinity
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, user + system)
  }
  return best
}

/** Four times as much costs four times as much, and not sixteen times, whatever the machine. */
async function expectProportional(n: number, work: (n: number) => unknown): Promise<void> {
  await costOf(() => work(n))
  expect((await costOf(() => work(4 * n))) / (await costOf(() => work(n)))).toBeLessThan(10)
}

test('ten thousand commits that are not waited for cost no more each than fewer do', async () => {
  await expectProportional(2_500, async (n) => {
    const store = await openStore({ storage: memory(), name: 's' })
    const commits: Promise<unknown>[] = []
    for (let i = 0; i < n; i++) {
      store.put(i, i)
      commits.push(store.commit())
    }
    await Promise.all(commits)
    expect(await collect(store.keys())).toHaveLength(n)
    await store.close()
  })
})

test('range deletes over a full buffer remove what they cover', async () => {
  const store = await openStore({ storage: memory(), name: 's' })
  for (let i = 0; i < 100_000; i++) store.put(`key ${i}`, i)
  for (let i = 0; i < 50; i++) store.deleteRange({ gte: `key ${i}5`, lt: `key ${i}6` })
  const isGone = new RegExp(`^(${Array.from({ length: 50 }, (_, i) => `${i}5`).join('|')})`)
  const left = Array.from({ length: 100_000 }, (_, i) => String(i)).filter((n) => !isGone.test(n))
  expect(await collect(store.keys())).toEqual(left.map((n) => `key ${n}`).sort())
  await store.close()
})

test('twenty thousand range deletes cost no more each than fewer do', async () => {
  await expectProportional(5_000, async (n) => {
    const store = await openStore({ storage: memory(), name: 's' })
    for (let i = 0; i < n; i++) store.deleteRange({ gte: 2 * i, lt: 2 * i + 1 })
    await store.commit()
    await store.close()
  })
})

test('many ranges are united, and read from a delta, in one go', async () => {
  const bytes = (i: number): Uint8Array => Uint8Array.of(i >>> 16, i >>> 8, i)
  const rangesOf = (length: number): { lower: Uint8Array; upper: Uint8Array }[] =>
    Array.from({ length }, (_, i) => ({ lower: bytes(2 * i), upper: bytes(2 * i + 1) }))
  const ranges = rangesOf(30_000)
  expect(unionRanges(ranges)).toEqual(ranges)
  await expectProportional(7_500, (n) => {
    const some = rangesOf(n)
    unionRanges(some)
    const changes = some.map(({ lower, upper }) => ({ type: 'range' as const, key: lower, upper }))
    memtableOfDelta([{ partition: 0, table: new Uint8Array(0), codec: 'json', changes }])
  })
})

test('a key in a Map compares with bytes as its own bytes do', () => {
  const bounds = fc.oneof(
    keys.map(encodeKey),
    keys.map((key) => prefixed(encodeKey(key), Uint8Array.of(0))),
    keys.map((key) => encodeKey(key).slice(0, -1)),
    fc.uint8Array({ maxLength: 12 }),
    fc.uint8Array({ minLength: 8, maxLength: 9 }).map((bytes) => Uint8Array.of(0x10, ...bytes)),
  )
  const holds = (key: Key, bytes: Uint8Array): void => {
    const mapKey = toMapKey(key)
    expect(Math.sign(compareMapKey(mapKey, bytes))).toBe(Math.sign(compareBytes(mapKeyBytes(mapKey), bytes)))
  }
  fc.assert(fc.property(keys, bounds, holds), { numRuns: 20_000 })
  fc.assert(fc.property(keys, (key) => holds(key, encodeKey(key))))
})

const some = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom('', 'é', 'z', 3n) },
)
const range = fc
  .tuple(some.map(encodeKey), some.map(encodeKey))
  .filter(([a, b]) => !equalBytes(a, b))
  .map(([a, b]) => (compareBytes(a, b) < 0 ? { lower: a, upper: b } : { lower: b, upper: a }))

test('a union of ranges covers what the ranges cover, sorted and apart', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), some, (ranges, key) => {
      const union = unionRanges(ranges)
      const bytes = encodeKey(key)
      const isIn = ranges.some((r) => compareBytes(r.lower, bytes) <= 0 && compareBytes(bytes, r.upper) < 0)
      expect(isCovered(union, bytes)).toBe(isIn)
      for (let i = 1; i < union.length; i++) expect(compareBytes(union[i - 1]!.upper, union[i]!.lower)).toBeLessThan(0)
    }),
  )
})

test('a memtable knows its size, its order and its keys, however it came about, and leaves alone what readers keep', () => {
  const slot = makeSlot(1, new Uint8Array(0))
  const all = { lower: slot.prefix, upper: prefixed(slot.prefix, Uint8Array.of(255)) }
  const stored = (r: { lower: Uint8Array; upper: Uint8Array }): typeof r => ({
    lower: prefixed(slot.prefix, r.lower),
    upper: prefixed(slot.prefix, r.upper),
  })
  const action = fc.oneof(
    fc.record({ do: fc.constant('put' as const), key: some }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant('range' as const), range }) },
    fc.record({ do: fc.constant('read' as const) }),
    fc.record({ do: fc.constant('absorb' as const), keys: fc.array(some), ranges: fc.array(range, { maxLength: 4 }) }),
  )
  const put = (memtable: Memtable, key: Key): void => {
    const point = Point.put(1)
    point.size = 7
    memtable.set(slot, 'json', toMapKey(key), point)
  }
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60, size: 'max' }), (actions) => {
      const memtable = new Memtable()
      let model: Key[] = []
      const drop = (r: { lower: Uint8Array; upper: Uint8Array }): void => {
        model = model.filter((k) => !isCovered([r], encodeKey(k)))
      }
      const kept: (readonly [now: readonly unknown[], then: readonly unknown[]])[] = []
      for (const a of actions) {
        if (a.do === 'put') {
          put(memtable, a.key)
          model = [...model.filter((k) => k !== a.key), a.key]
        } else if (a.do === 'range') {
          memtable.deleteRange(slot, 'json', stored(a.range))
          drop(a.range)
        } else if (a.do === 'absorb') {
          const newer = new Memtable()
          for (const r of a.ranges) newer.deleteRange(slot, 'json', stored(r))
          for (const key of a.keys) put(newer, key)
          memtable.absorb(newer)
          for (const r of a.ranges) drop(r)
          model = [...model.filter((k) => !a.keys.includes(k as never)), ...new Set(a.keys)]
        } else {
          for (const list of [memtable.ranges(slot), memtable.sorted(slot, all)]) kept.push([list, [...list]])
        }
      }
      const sorted = model.map(encodeKey).sort(compareBytes)
      expect(memtable.sorted(slot, all).map(({ key }) => key.slice(slot.prefix.length))).toEqual(sorted)
      const ranges = memtable.ranges(slot)
      const rangeBytes = ranges.reduce((sum, { lower, upper }) => sum + 64 + lower.length + upper.length, 0)
      expect(memtable.size).toBe(7 * model.length + rangeBytes)
      expect(ranges).toEqual(unionRanges(ranges))
      for (const [now, then] of kept) expect(now).toEqual(then)
    }),
    { numRuns: 1000 },
  )
})
