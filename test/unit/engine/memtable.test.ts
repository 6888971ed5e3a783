import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sliceOf } from '../../../src/bytes/slice.js'
import { compareBytes } from '../../../src/bytes/compare.js'
import { decodeKey, encodeKey, toMapKey, type Key } from '../../../src/bytes/keys.js'
import * as pure from '../../../src/bytes/pure.js'
import { decodeDelta } from '../../../src/log/delta.js'
import { memtableOfDelta, Memtable } from '../../../src/engine/memtable.js'
import { encodeDelta } from '../../../src/engine/stored-delta.js'
import { Point } from '../../../src/engine/point.js'
import { makeSlot, prefixed, tableBytes } from '../../../src/engine/slot.js'
import { isCovered, unionRanges } from '../../../src/segment/ranges.js'
import { EVERYTHING } from '../../../src/segment/record.js'
import { closeKeys, closeRanges } from '../../support/arbitraries.js'
import { keyAt, memtableOf, rangeOf, SLOT, type Value } from '../../support/parts.js'

/** The answer about a key: a value, `gone`, or nothing. */
function said(memtable: Memtable, key: Key, slot = SLOT): Value | 'gone' {
  const point = memtable.find(slot, toMapKey(key))
  return point?.deleted ? 'gone' : point?.bytes![0]
}

test('it says a value, that a key is gone, or nothing', () => {
  const memtable = memtableOf({
    puts: [
      [1, 10],
      [2, undefined],
    ],
  })
  expect([1, 2, 3].map((key) => said(memtable, key))).toEqual([10, 'gone', undefined])
  expect(new Memtable().empty).toBe(true)
  expect(memtable.empty).toBe(false)
})

test('a range delete takes what was put before it, and a put after it stands', () => {
  const memtable = memtableOf({ puts: [1, 2, 3].map((key) => [key, 10]) })
  memtable.deleteRange(SLOT, 'json', rangeOf(2, 4))
  memtable.absorb(memtableOf({ puts: [[3, 30]] }))
  expect([1, 2, 3, 4].map((key) => said(memtable, key))).toEqual([10, 'gone', 30, undefined])
  memtable.deleteRange(SLOT, 'json', rangeOf(3, 4))
  expect(said(memtable, 3)).toBe('gone')
})

test('a range delete takes the same after many reads, when its records are sorted', () => {
  const memtable = memtableOf({ puts: Array.from({ length: 40 }, (_, i) => [i, 1]) })
  for (let i = 0; i < 40; i += 2) memtable.deleteRange(SLOT, 'json', rangeOf(i, i + 1))
  expect(memtable.sorted(SLOT, EVERYTHING).map(({ key }) => key)).toEqual(
    Array.from({ length: 20 }, (_, i) => keyAt(2 * i + 1)),
  )
})

test('tables and partitions are apart', () => {
  const [table, partition] = [makeSlot(0, tableBytes('t')), makeSlot(1, tableBytes(''))]
  const memtable = memtableOf({ puts: [[1, 10]] })
  memtable.deleteRange(table, 'json', rangeOf(0, 9, table))
  expect([SLOT, table, partition].map((slot) => said(memtable, 1, slot))).toEqual([10, 'gone', undefined])
})

test('records come in the order of keys, within bounds of which the upper one does not belong to them', () => {
  const memtable = memtableOf({ puts: ['b', 3, 'a', 1, 2].map((key) => [key, 1]) })
  const keys = (from: Key, to: Key): Uint8Array[] => memtable.sorted(SLOT, rangeOf(from, to)).map(({ key }) => key)
  const order = [1, 2, 3, 'a', 'b'].map((key) => keyAt(key))
  expect(memtable.sorted(SLOT, EVERYTHING).map(({ key }) => key)).toEqual(order)
  expect(keys(2, 'b')).toEqual(order.slice(1, 4))
  expect(keys(5, 9)).toEqual([])
})

test('a newer one is laid over an older one: its ranges first, then its points', () => {
  const older = memtableOf({ puts: [1, 2, 3].map((key) => [key, 10]) })
  older.absorb(memtableOf({ puts: [[2, 20]], ranges: [rangeOf(1, 3)] }))
  expect([1, 2, 3].map((key) => said(older, key))).toEqual(['gone', 20, 10])
})

test('of a newer one only the slots that count are taken', () => {
  const other = makeSlot(1, tableBytes(''))
  const newer = memtableOf({ puts: [[1, 20]] })
  newer.absorb(memtableOf({ puts: [[1, 21]], slot: other }))
  const older = new Memtable()
  older.absorb(newer, ({ partition }) => partition === 1)
  expect([SLOT, other].map((slot) => said(older, 1, slot))).toEqual([undefined, 21])
})

test('a copy goes its own way', () => {
  const memtable = memtableOf({ puts: [[1, 10]], ranges: [rangeOf(5, 6)] })
  const copy = memtable.copy()
  copy.deleteRange(SLOT, 'json', rangeOf(0, 9))
  expect([said(memtable, 1), said(copy, 1)]).toEqual([10, 'gone'])
  expect(memtable.ranges(SLOT)).toEqual([rangeOf(5, 6)])
})

test('its size counts each key once, and what a range takes away no more', () => {
  const memtable = new Memtable()
  const put = (key: Key, size: number): void => {
    expect(memtable.sizeAt(SLOT, toMapKey(key))).toBe(said0(key)?.size ?? 0)
    memtable.put(SLOT, 'json', toMapKey(key), 1, size, 0)
  }
  const said0 = (key: Key): Point | undefined => memtable.find(SLOT, toMapKey(key))
  put(1, 100)
  put(1, 30)
  put(2, 5)
  expect(memtable.size).toBe(35)
  memtable.deleteRange(SLOT, 'json', rangeOf(1, 2))
  const { lower, upper } = rangeOf(1, 2)
  expect(memtable.size).toBe(5 + 64 + lower.length + upper.length)
})

test('who puts a key again changes its point, unless somebody took points before', () => {
  const memtable = new Memtable()
  const put = (value: unknown): Point => {
    memtable.put(SLOT, 'json', 'k', value, 10, 0)
    return memtable.find(SLOT, 'k')!
  }
  const first = put(1)
  first.seal(sliceOf(Uint8Array.of(1)), true)
  expect(put(2)).toBe(first)
  expect([first.value(() => 0), first.bytes]).toEqual([2, undefined])
  const [taken] = memtable.sorted(SLOT, rangeOf('a', 'z'))
  expect(put(3)).not.toBe(first)
  expect(taken!.point.value(() => 0)).toBe(2)
  const copy = memtable.copy()
  copy.put(SLOT, 'json', 'k', 4, 10, 0)
  expect(memtable.find(SLOT, 'k')!.value(() => 0)).toBe(3)
})

test('a sealed value is what its bytes decode to, unless the very same comes back', () => {
  const object = { a: 1 }
  const [sealed, same] = [new Point(object), new Point(5)]
  sealed.seal(sliceOf(Uint8Array.of(1)), false)
  same.seal(sliceOf(Uint8Array.of(2)), true)
  const decoded = { a: 1 }
  expect(sealed.value(() => decoded, true)).toBe(decoded)
  expect(same.value(() => expect.fail('it is not decoded'), true)).toBe(5)
  // It is decoded once for all who share it, and anew for whoever does not.
  const other = { a: 2 }
  expect([sealed.value(() => other, true), sealed.value(() => other)]).toEqual([decoded, other])
})

test('as a delta and back it says the same', async () => {
  const slot = makeSlot(3, tableBytes('t'))
  const memtable = memtableOf({
    puts: [
      [1, 10],
      ['k', undefined],
    ],
    ranges: [rangeOf(5, 7, slot)],
    slot,
    codec: 'mine',
  })
  const groups = await decodeDelta(pure, encodeDelta(memtable), 'the delta')
  expect(groups).toMatchObject([{ partition: 3, codec: 'mine' }])
  const back = memtableOfDelta(groups)
  expect([1, 'k', 5, 7].map((key) => said(back, key, slot))).toEqual([10, 'gone', 'gone', undefined])
})

test('in a delta points win over ranges, wherever they stand', () => {
  const [key, upper] = [encodeKey(1), encodeKey(9)]
  const put = { type: 'put' as const, key: encodeKey(5), value: Uint8Array.of(50), expires: 0 }
  for (const changes of [
    [put, { type: 'range' as const, key, upper }],
    [{ type: 'range' as const, key, upper }, put],
  ]) {
    const memtable = memtableOfDelta([{ partition: 0, table: new Uint8Array(0), codec: 'json', changes }])
    expect([said(memtable, 5), said(memtable, 6)]).toEqual([50, 'gone'])
  }
})

test('a memtable knows its size, its order and its keys, however it came about, and leaves alone what readers keep', () => {
  const slot = makeSlot(1, new Uint8Array(0))
  const all = { lower: slot.prefix, upper: prefixed(slot.prefix, Uint8Array.of(255)) }
  const stored = (r: { lower: Uint8Array; upper: Uint8Array }): typeof r => ({
    lower: prefixed(slot.prefix, r.lower),
    upper: prefixed(slot.prefix, r.upper),
  })
  const action = fc.oneof(
    fc.record({ do: fc.constant('put' as const), key: closeKeys }),
    { weight: 4, arbitrary: fc.record({ do: fc.constant('range' as const), range: closeRanges }) },
    fc.record({ do: fc.constant('read' as const) }),
    fc.record({
      do: fc.constant('absorb' as const),
      keys: fc.array(closeKeys),
      ranges: fc.array(closeRanges, { maxLength: 4 }),
    }),
  )
  const put = (memtable: Memtable, key: Key): void => {
    const point = new Point(1)
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

test('records come in the order of their bytes, also where text has another order', () => {
  // U+E000 to U+FFFF come before characters beyond in UTF-8, and after their surrogates in UTF-16.
  const keys = ['\ufffd', '\u{1f600}', '\ue000', 'z', '\u{10000}', '', 'é', 'a', '\ud7ff']
  const memtable = memtableOf({ puts: keys.map((key, i) => [key, i]) })
  const sorted = memtable.sorted(SLOT, EVERYTHING).map(({ key }) => decodeKey(key.subarray(SLOT.prefix.length)))
  const byBytes = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect(sorted).toEqual(byBytes)
})

test('the codec of a table is that of its newest change', () => {
  const older = memtableOf({ puts: [[1, 10]] })
  older.absorb(memtableOf({ puts: [[2, 20]], codec: 'json\0v2' }))
  expect(Array.from(older.slots.values(), ({ codec }) => codec)).toEqual(['json\0v2'])
})
