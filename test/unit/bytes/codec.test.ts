import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { jsonCodec } from '../../../src/bytes/codec.js'

const roundTrip = (value: unknown): unknown => jsonCodec.decode(jsonCodec.encode(value))

class Foo {}

const HOLE = Symbol('hole')

function withHoles(elements: unknown[]): unknown[] {
  const array: unknown[] = []
  array.length = elements.length
  for (const [i, element] of elements.entries()) if (element !== HOLE) array[i] = element
  return array
}

/** The parts of a random value that JSON and the codec see differently: `refused`, or a `box` at its top. */
function kindsOf(value: unknown): Set<string> {
  const kinds = new Set<string>()
  if (value instanceof Number || value instanceof String || value instanceof Boolean) kinds.add('box')
  const pending = [value]
  for (const next of pending) {
    if (typeof next === 'function' || typeof next === 'symbol') kinds.add('refused')
    if (typeof next !== 'object' || next === null) continue
    const { toJSON } = next as { toJSON?: unknown }
    if (typeof toJSON === 'function' && !(next instanceof Date)) {
      const said: unknown = toJSON.call(next, '')
      if (said !== next) {
        pending.push(said)
        continue
      }
    }
    for (const [name, field] of Object.entries(next) as [string, unknown][]) {
      if (name !== 'toJSON' || typeof field !== 'function') pending.push(field)
    }
  }
  return kinds
}

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

  test('keeps what it keeps of another realm too, as frames have it, and gives it back of this one', () => {
    for (const [code, own] of [
      ['new Date(5)', new Date(5)],
      ['new Map([[1, new Map([[2, 3]])]])', new Map([[1, new Map([[2, 3]])]])],
      ['new Set([1, new Set()])', new Set([1, new Set()])],
      ['new Uint8Array([1, 2])', Uint8Array.of(1, 2)],
      ['[1, { a: [undefined] }]', [1, { a: [null] }]],
      ['new (class extends Map {})([[1, 2]])', new Map([[1, 2]])],
      ['Object(5)', 5],
    ] as const) {
      const foreign: unknown = runInNewContext(code)
      expect(roundTrip(foreign)).toStrictEqual(own)
      expect(roundTrip({ in: foreign })).toStrictEqual({ in: own })
    }
  })

  test('takes what stands for a Map or a Set for one, unless it says itself what it is in JSON', () => {
    const map = new Map([['a', 1]])
    // As reactive libraries wrap them.
    const wrapped = new Proxy(map, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name, target)
        return typeof found === 'function' ? (found.bind(target) as unknown) : found
      },
    })
    expect(roundTrip({ wrapped })).toStrictEqual({ wrapped: map })
    const saying = { [Symbol.toStringTag]: 'Map', toJSON: () => [['a', 1]] }
    expect(roundTrip({ saying })).toStrictEqual({ saying: [['a', 1]] })
    const patched = Object.assign(new Map([['a', 1]]), { toJSON: () => 'lost' })
    expect(roundTrip({ patched })).toStrictEqual({ patched: map })
    for (const nothing of ['Map', 'Set', 'Uint8Array', 'Date', 'Promise']) {
      expect(() => jsonCodec.encode({ [Symbol.toStringTag]: nothing })).toThrow()
    }
  })

  test('says what JSON.stringify says, of toJSON(), getters, boxed primitives, holes and all that is left out', () => {
    const leaf = fc.oneof(
      fc.constantFrom(undefined, null, true, -0, Number.NaN, Infinity, 5, '', 'a', '\ud800'),
      fc.constantFrom(new Date(5), new Date(Number.NaN), Object(5), Object('x'), Object(false), Object(Number.NaN)),
    ) as fc.Arbitrary<unknown>
    const refused = fc.constantFrom(() => 1, Symbol('s')) as fc.Arbitrary<unknown>
    const name = fc.constantFrom('a', 'b', '1', '__proto__', '$a', 'toJSON', '$object', '\ud800')
    const { value: values } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        { arbitrary: leaf, weight: 5 },
        { arbitrary: refused, weight: 1 },
        tie('array'),
        tie('object'),
        tie('saying'),
      ),
      array: fc.array(fc.option(tie('value'), { nil: HOLE }), { maxLength: 4 }).map(withHoles),
      object: fc
        .tuple(
          fc.array(fc.tuple(name, fc.boolean(), tie('value')), { maxLength: 4 }),
          fc.constantFrom(Object.prototype, null, Foo.prototype),
        )
        .map(([fields, prototype]) => {
          const object = Object.create(prototype) as object
          for (const [key, isGetter, value] of fields) {
            if (key === 'toJSON' && typeof value === 'function') continue
            const field = isGetter ? { get: () => value } : { value }
            Object.defineProperty(object, key, { ...field, enumerable: true, configurable: true })
          }
          return object
        }),
      // A Date that toJSON() gives is a Date here, and nothing at all in JSON.
      saying: fc.tuple(tie('value'), fc.boolean()).map(([value, tells]) => ({
        toJSON(key: string) {
          if (tells) return `under ${key}`
          return value instanceof Date || kindsOf(value).has('box') ? this : value
        },
        own: 1,
      })),
    }))
    let kept = 0
    fc.assert(
      fc.property(values, (value) => {
        let bytes: Uint8Array
        const kinds = kindsOf(value)
        try {
          bytes = jsonCodec.encode(value)
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
          expect(kinds.has('refused') || JSON.stringify(value) === undefined).toBe(true)
          return
        }
        kept++
        expect(JSON.stringify(jsonCodec.decode(bytes))).toBe(JSON.stringify(value))
      }),
      { numRuns: 5000 },
    )
    expect(kept).toBeGreaterThan(2000)
  })

  test('reads each getter once: one that changes its mind is stored as it was', () => {
    let reads = 0
    const value = {
      get a() {
        return reads++ === 0 ? 1 : Number.NaN
      },
    }
    expect(roundTrip(value)).toStrictEqual({ a: 1 })
    expect(reads).toBe(1)
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

  test('has one limit to depth, which whatever reads it bears: what is deeper, or has no end, is refused', () => {
    for (const [per, wrap] of [
      [1, (inner: unknown) => ({ a: inner })],
      [1, (inner: unknown) => [inner]],
      [1, (inner: unknown) => ({ $a: inner, toJSON: () => ({ $a: inner }) })],
      [2, (inner: unknown) => new Set([inner])],
      [3, (inner: unknown) => new Map([[1, inner]])],
      [3, (inner: unknown) => new Map([[inner, 1]])],
    ] as const) {
      const nested = (depth: number): unknown => {
        let value: unknown = 5n
        for (let i = 0; i < depth; i++) value = wrap(value)
        return value
      }
      const limit = Math.ceil(500 / per)
      const bytes = jsonCodec.encode(nested(limit))
      expect(jsonCodec.encode(jsonCodec.decode(bytes))).toEqual(bytes)
      for (const depth of [limit + 1, 20_000]) {
        expect(() => jsonCodec.encode(nested(depth))).toThrow(
          expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('500 deep') as string }),
        )
      }
    }
    const wide: Record<string, unknown> = {}
    for (const name of ['a', 'b', 'c']) wide[name] = [wide, wide]
    expect(() => jsonCodec.encode(wide)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('reads without recursion: what is nested 100,000 deep is read as well as anything', () => {
    for (const [open, close] of [
      ['{"a":', '}'],
      ['[', ']'],
      ['{"$set":[', ']}'],
      ['{"$map":[[1,', ']]}'],
      ['{"$object":{"$a":', '}}'],
    ] as const) {
      const text = `${open.repeat(100_000)}{"$bigint":"5"}${close.repeat(100_000)}`
      let value = jsonCodec.decode(new TextEncoder().encode(text))
      let depth = 0
      for (; typeof value !== 'bigint'; depth++) {
        value =
          value instanceof Map ? value.get(1) : value instanceof Set ? [...value][0] : Object.values(value as object)[0]
      }
      expect(depth).toBe(100_000)
    }
  })

  test('keeps bytes in whatever buffer they are, and refuses those whose buffer was transferred', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(7)
    const growing = new Uint8Array(
      new (ArrayBuffer as new (n: number, o: object) => ArrayBuffer)(2, { maxByteLength: 4 }),
    )
    for (const bytes of [shared, growing, Buffer.from([1, 2, 3]).subarray(1)]) {
      expect(roundTrip(bytes)).toStrictEqual(new Uint8Array(bytes))
      expect(roundTrip([bytes])).toStrictEqual([new Uint8Array(bytes)])
    }
    const gone = new Uint8Array(2)
    structuredClone(gone, { transfer: [gone.buffer] })
    for (const value of [gone, { in: gone }]) {
      expect(() => jsonCodec.encode(value)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })

  test('gives bytes memory of their own, whatever they are read from', () => {
    const stored = Buffer.from(jsonCodec.encode(Uint8Array.of(1, 2)))
    const value = jsonCodec.decode(stored) as Uint8Array
    stored.fill(0)
    expect(value).toStrictEqual(Uint8Array.of(1, 2))
    expect(value.buffer.byteLength).toBe(2)
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
