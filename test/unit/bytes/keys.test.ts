import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../../../src/bytes/concat.js'
import { compareBytes } from '../../../src/bytes/compare.js'
import {
  bytesToMapKey,
  compareMapKey,
  decodeKey,
  encodeKey,
  encodePrefix,
  hashMapKey,
  mapKeyBytes,
  mapKeyToKey,
  toMapKey,
  type Key,
} from '../../../src/bytes/keys.js'
import { keyHash } from '../../../src/bytes/hash.js'
import { compareKeys, keys } from '../../support/arbitraries.js'

const sign = Math.sign

function isPrefix(prefix: Key, key: Key): boolean {
  if (typeof prefix === 'string') return typeof key === 'string' && key.startsWith(prefix)
  if (prefix instanceof Uint8Array) return key instanceof Uint8Array && prefix.every((byte, i) => key[i] === byte)
  if (!Array.isArray(key) || key instanceof Uint8Array) return false
  return (prefix as Key[]).every((element, i) => i < key.length && compareKeys(element, (key as Key[])[i]!) === 0)
}

describe('keys as bytes', () => {
  test('sort as the keys do', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        expect(sign(compareBytes(encodeKey(a), encodeKey(b)))).toBe(sign(compareKeys(a, b)))
      }),
      { numRuns: 5000 },
    )
  })

  test('come back as the key that they were, -0 as 0', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const back = decodeKey(encodeKey(key))
        expect(compareKeys(back, key)).toBe(0)
        expect(Object.is(back, -0)).toBe(false)
      }),
      { numRuns: 3000 },
    )
  })

  test('have one place in a Map, and come back from it', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        expect(new Set([toMapKey(a), toMapKey(b)]).size).toBe(compareKeys(a, b) === 0 ? 1 : 2)
        expect(compareKeys(mapKeyToKey(toMapKey(a)), a)).toBe(0)
        expect(new Set([toMapKey(a), bytesToMapKey(encodeKey(a))]).size).toBe(1)
        expect(mapKeyBytes(toMapKey(a))).toEqual(encodeKey(a))
        expect(hashMapKey(toMapKey(a))).toBe(keyHash(encodeKey(a)))
      }),
      { numRuns: 3000 },
    )
  })

  test('lie between the bounds of their prefix, and only they', () => {
    const extended = fc
      .tuple(fc.array(keys, { maxLength: 3 }), keys)
      .chain(([prefix, key]) => fc.tuple(fc.constant(prefix), fc.constantFrom(key, [...prefix, key], [...prefix])))
    fc.assert(
      fc.property(fc.oneof(extended, fc.tuple(keys, keys)), ([prefix, key]) => {
        if (!(typeof prefix === 'string' || prefix instanceof Uint8Array || Array.isArray(prefix))) {
          expect(() => encodePrefix(prefix)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
          return
        }
        const { lower, upper } = encodePrefix(prefix)
        const bytes = encodeKey(key)
        const within = compareBytes(bytes, lower) >= 0 && (upper === undefined || compareBytes(bytes, upper) < 0)
        expect(within).toBe(isPrefix(prefix, key))
      }),
      { numRuns: 5000 },
    )
  })

  test('any bytes from storage either are a key of just these bytes or are refused as CORRUPT', () => {
    const near = keys.chain((key) =>
      fc
        .tuple(fc.constant(encodeKey(key)), fc.nat(), fc.nat({ max: 255 }))
        .map(([b, at, to]) => b.map((x, i) => (i === at % b.length ? to : x))),
    )
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 20 }), near), (bytes) => {
        let key: Key
        try {
          key = decodeKey(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT' })
          return
        }
        expect(encodeKey(key)).toEqual(bytes)
      }),
      { numRuns: 10_000 },
    )
  })

  test('what is no key is refused with INVALID_ARGUMENT', () => {
    let deep: Key = []
    for (let i = 0; i < 200; i++) deep = [deep]
    const cycle: unknown[] = []
    cycle.push(cycle)
    const bad: unknown[] = [
      Number.NaN,
      undefined,
      {},
      new Date(Number.NaN),
      [new Date(Number.NaN)],
      Object(1),
      new Map(),
      { [Symbol.toStringTag]: 'Date' },
      { [Symbol.toStringTag]: 'Uint8Array' },
      Symbol('s'),
      () => 1,
      '\ud800',
      ['a\udc00'],
      [undefined],
      [Number.NaN],
      deep,
      cycle,
      Array.from({ length: 3 }),
      'x'.repeat(65_537),
      'é'.repeat(32_769),
      new Uint8Array(65_537),
      1n << 524_289n,
      ['x'.repeat(40_000), 'x'.repeat(40_000)],
    ]
    for (const key of bad) {
      expect(() => encodeKey(key as Key), String(typeof key)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
      expect(() => toMapKey(key as Key)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  test('sort null < false < true < number < bigint < Date < string < Uint8Array < array, alone and within arrays', () => {
    const ordered: Key[] = [
      null,
      false,
      true,
      -Infinity,
      Infinity,
      -(1n << 2000n),
      1n << 2000n,
      new Date(-8.64e15),
      new Date(8.64e15),
      '',
      '\u{10ffff}',
      new Uint8Array(0),
      Uint8Array.of(255),
      [],
      [null],
    ]
    for (const wrap of [(key: Key) => key, (key: Key) => [key], (key: Key) => ['a', key, 1]]) {
      const encoded = ordered.map((key) => encodeKey(wrap(key)))
      for (let i = 1; i < encoded.length; i++) expect(compareBytes(encoded[i - 1]!, encoded[i]!)).toBeLessThan(0)
      expect(encoded.map((bytes) => decodeKey(bytes))).toStrictEqual(ordered.map(wrap))
      // Null and what follows it sort behind the end of an array that ends there.
      expect(compareBytes(encodeKey(['a']), encodeKey(['a', null]))).toBeLessThan(0)
    }
  })

  test('of bytes share no memory with what they were made of', () => {
    const stored = Buffer.from(encodeKey([Uint8Array.of(1, 2)]))
    const alone = Buffer.from(encodeKey(Uint8Array.of(1, 2)))
    const [[inner], outer] = [decodeKey(stored) as [Uint8Array], decodeKey(alone) as Uint8Array]
    stored.fill(0)
    alone.fill(0)
    for (const bytes of [inner, outer]) {
      expect(bytes).toStrictEqual(Uint8Array.of(1, 2))
      expect(bytes.buffer.byteLength).toBe(2)
    }
  })

  test('of bytes whose buffer was transferred are refused: they are not empty, they are gone', () => {
    const gone = new Uint8Array(2)
    structuredClone(gone, { transfer: [gone.buffer] })
    for (const key of [gone, ['a', gone]]) {
      expect(() => toMapKey(key)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  test('the longest allowed ones are allowed', () => {
    for (const key of [
      'x'.repeat(65_536),
      new Uint8Array(65_536),
      (1n << 524_288n) - 1n,
      -((1n << 524_288n) - 1n),
      [new Uint8Array(65_536)],
      ['x'.repeat(65_000), 'y'.repeat(536)],
    ]) {
      expect(compareKeys(decodeKey(encodeKey(key)), key)).toBe(0)
      expect(compareKeys(mapKeyToKey(toMapKey(key)), key)).toBe(0)
    }
  })
})

test('a key in a Map compares with bytes as its own bytes do', () => {
  const bounds = fc.oneof(
    keys.map(encodeKey),
    keys.map((key) => concat([encodeKey(key), Uint8Array.of(0)])),
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
