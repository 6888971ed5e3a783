import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonCodec } from '../src/bytes/codec.js'

const roundTrip = (value: unknown): unknown => jsonCodec.decode(jsonCodec.encode(value))

describe('the default codec', () => {
  test('keeps all that it promises to keep', () => {
    const special = fc.oneof(
      fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 0, null, true, '', '$'),
      fc.bigInt(),
      fc.uint8Array({ maxLength: 4 }),
      fc.date(),
      fc.double(),
      fc.string({ unit: 'grapheme' }),
    )
    const names = fc.oneof(
      fc.constantFrom('__proto__', '$', '$date', '$map', '$object', '$bytes', 'toJSON', ''),
      fc.string(),
    )
    const { value: values } = fc.letrec((tie) => ({
      value: fc.oneof({ depthSize: 'small' }, special, tie('array'), tie('object'), tie('map'), tie('set')),
      array: fc.array(tie('value'), { maxLength: 3 }),
      object: fc.array(fc.tuple(names, tie('value')), { maxLength: 3 }).map((fields) => {
        const object = {}
        for (const [name, value] of fields)
          Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
        return object
      }),
      map: fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
      set: fc.array(tie('value'), { maxLength: 3 }).map((elements) => new Set(elements)),
    }))
    fc.assert(
      fc.property(values, (value) => {
        expect(roundTrip(value)).toStrictEqual(value)
      }),
      { numRuns: 5000 },
    )
  })

  test('keeps a Date of another realm, as frames have them', () => {
    const foreign = runInNewContext('new Date(5)') as Date
    expect(foreign).not.toBeInstanceOf(Date)
    expect(roundTrip({ at: foreign })).toEqual({ at: new Date(5) })
  })

  test('leaves out undefined inside objects and keeps __proto__ an ordinary key', () => {
    expect(roundTrip({ a: undefined, b: 1, c: { $x: undefined } })).toStrictEqual({ b: 1, c: {} })
    const value = roundTrip(JSON.parse('{"__proto__":{"admin":true}}')) as object
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.keys(value)).toEqual(['__proto__'])
    const tagged = roundTrip(JSON.parse('{"__proto__":{"$date":5},"x":{"$date":1}}')) as object
    expect(Object.keys(tagged)).toEqual(['__proto__', 'x'])
  })

  test('refuses with INVALID_ARGUMENT what it cannot keep', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = [cycle]
    const map = new Map()
    map.set('m', map)
    for (const value of [
      undefined,
      () => 1,
      Symbol('s'),
      { f: () => 1 },
      [Symbol('s')],
      cycle,
      map,
      /x/,
      new Error('e'),
      Promise.resolve(),
      new Float64Array(1),
      new WeakMap(),
      { deep: [new ArrayBuffer(1)] },
    ]) {
      expect(() => jsonCodec.encode(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  test('a value that appears twice without a cycle is kept twice', () => {
    const shared = { x: 1n }
    expect(roundTrip([shared, { a: shared, b: shared }])).toStrictEqual([shared, { a: shared, b: shared }])
  })

  test('bytes that it did not write are CORRUPT', () => {
    for (const text of [
      '',
      '{',
      '{"$date":"x"}',
      '{"$map":[[1]]}',
      '{"$bigint":"1.5"}',
      '[{"$nothing":1}]',
      '{"$object":[]}',
    ]) {
      expect(() => jsonCodec.decode(new TextEncoder().encode(text)), text).toThrow(
        expect.objectContaining({ code: 'CORRUPT' }),
      )
    }
    expect(() => jsonCodec.decode(Uint8Array.of(0xff, 0xfe))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })
})
