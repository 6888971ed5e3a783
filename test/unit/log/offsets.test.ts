import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader } from '../../../src/bytes/reader.js'
import { ByteWriter } from '../../../src/bytes/writer.js'
import {
  NO_OFFSETS,
  offsetsToObject,
  parseOffsets,
  readOffsets,
  type OffsetMap,
  type Offsets,
  type Position,
} from '../../../src/log/offsets.js'
import { mergeOffsets } from '../../../src/log/merge-offsets.js'
import { writeOffsets } from '../../../src/log/write-offsets.js'
import { sameOffsets } from '../../../src/log/same-offsets.js'

const INVALID = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
const bytesOf = (offsets: OffsetMap): Uint8Array => {
  const w = new ByteWriter(64)
  writeOffsets(w, offsets)
  return w.finish()
}
const position = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.string({ unit: 'grapheme' }),
) as fc.Arbitrary<Position>
const partitions = fc.dictionary(fc.nat(999_999).map(String), position, { maxKeys: 5 })
const given: fc.Arbitrary<Offsets> = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 9 }),
  fc.oneof(position, partitions),
  { maxKeys: 5 },
)
const merged = (before: Offsets, next: Offsets, force = false): Offsets =>
  offsetsToObject(mergeOffsets(parseOffsets(before), parseOffsets(next), force))

test('come back in the shape in which they were given, through bytes as well', () => {
  fc.assert(
    fc.property(given, (offsets) => {
      const back = readOffsets(new ByteReader(bytesOf(parseOffsets(offsets)), 'offsets'))
      expect(sameOffsets(back, parseOffsets(offsets))).toBe(true)
      expect({ ...offsetsToObject(back) }).toEqual({ ...offsets })
    }),
  )
})

test('a source named __proto__ is a source', () => {
  const offsets = JSON.parse('{"__proto__": 3}') as Offsets
  const back = offsetsToObject(parseOffsets(offsets))
  expect(Object.keys(back)).toEqual(['__proto__'])
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
})

test.each([
  ['no object', 5],
  ['a list', []],
  ['NaN', { a: Number.NaN }],
  ['infinity', { a: Infinity }],
  ['a boolean', { a: true }],
  ['a list of positions', { a: [1] }],
  ['a partition that is no number', { a: { x: 1 } }],
  ['a partition with a leading zero', { a: { '01': 1 } }],
  ['a negative partition', { a: { '-1': 1 } }],
  ['a partition of ten digits', { a: { '1000000000': 1 } }],
  ['a position within a position', { a: { 0: { 1: 2 } } }],
  ['a name with a lone surrogate', { '\ud800': 1 }],
  ['a string with a lone surrogate', { a: '\ud800' }],
  ['a string that is too long', { a: 'x'.repeat(16_385) }],
])('%s is refused', (_, offsets) => {
  expect(() => parseOffsets(offsets as never)).toThrow(INVALID)
})

test('numbers and bigints go on and stand, and do not go back', () => {
  expect(merged({ a: 5 }, { a: 5 })).toEqual({ a: 5 })
  expect(merged({ a: 5 }, { a: 6n })).toEqual({ a: 6n })
  expect(() => merged({ a: 5 }, { a: 4 })).toThrow(/source "a" is at 5; back to 4/)
  expect(() => merged({ a: 5n }, { a: 4.5 })).toThrow(INVALID)
  expect(() => merged({ a: { 0: 1, 7: 5 } }, { a: { 7: 4 } })).toThrow(/source "a", partition 7, is at 5/)
  expect(merged({ a: 5 }, { a: 4 }, true)).toEqual({ a: 4 })
})

test('strings are kept as they are, whatever their order', () => {
  expect(merged({ a: 'b' }, { a: 'a' })).toEqual({ a: 'a' })
  expect(merged({ a: 5 }, { a: '4' })).toEqual({ a: '4' })
})

test('what is not named stays, partition by partition and source by source', () => {
  const before = { a: { 0: 1, 1: 1 }, b: 2 }
  expect(merged(before, { a: { 1: 5, 2: 6 } })).toEqual({ a: { 0: 1, 1: 5, 2: 6 }, b: 2 })
  expect(merged(before, {})).toEqual(before)
})

test('merging changes neither side', () => {
  const [before, next] = [parseOffsets({ a: { 0: 1 } }), parseOffsets({ a: { 1: 2 } })]
  mergeOffsets(before, next, false)
  expect([offsetsToObject(before), offsetsToObject(next)]).toEqual([{ a: { 0: 1 } }, { a: { 1: 2 } }])
})

test('a source keeps its shape unless that is forced, and then nothing of the other shape is left', () => {
  expect(() => merged({ a: 5 }, { a: { 0: 9 } })).toThrow(/one position/)
  expect(() => merged({ a: { 0: 9 } }, { a: 5 })).toThrow(/a position per partition/)
  expect(merged({ a: { 0: 9, 1: 9 } }, { a: 5 }, true)).toEqual({ a: 5 })
  expect(merged({ a: 5 }, { a: { 0: 1 } }, true)).toEqual({ a: { 0: 1 } })
})

test('partitions are in ascending order, so that equal offsets have equal bytes', () => {
  const one = mergeOffsets(parseOffsets({ a: { 10: 1 } }), parseOffsets({ a: { 9: 2 } }), false)
  const other = mergeOffsets(parseOffsets({ a: { 9: 2 } }), parseOffsets({ a: { 10: 1 } }), false)
  expect([...one.get('a')!.keys()]).toEqual([9, 10])
  expect(bytesOf(one)).toEqual(bytesOf(other))
})

test('equal are those with the same sources, partitions and positions', () => {
  const same = (a: Offsets, b: Offsets): boolean => sameOffsets(parseOffsets(a), parseOffsets(b))
  expect(same({ a: 1, b: { 0: 'x' } }, { b: { 0: 'x' }, a: 1 })).toBe(true)
  for (const other of [{}, { a: 2 }, { a: 1n }, { b: 1 }, { a: { 0: 1 } }, { a: 1, b: 1 }]) {
    expect([same({ a: 1 }, other), same(other, { a: 1 })]).toEqual([false, false])
  }
  expect(sameOffsets(NO_OFFSETS, parseOffsets({}))).toBe(true)
})

test('a stored position that is none is damage', () => {
  const w = new ByteWriter(16)
  w.varint(1)
  w.string('a')
  w.varint(1)
  w.varint(0)
  // A key of bytes: keys may be that, positions may not.
  w.bytes(Uint8Array.of(0x40, 1, 0, 0))
  expect(() => readOffsets(new ByteReader(w.finish(), 'the offsets'))).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
})
