import fc from 'fast-check'
import { compareBytes, equalBytes } from '../../src/bytes/compare.js'
import { encodeKey } from '../../src/bytes/keys.js'
import type { Key } from 'tidemark'

const text = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'b', 'a\0', 'a\0b', '\u{10ffff}', '\uffff', 'é', '__proto__'),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
)
const number = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity, 0.5, 2 ** 53, Number.MIN_VALUE),
  fc.double({ noNaN: true }),
  fc.integer(),
)
const bigint = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 255n, 256n, -256n, 1n << 960n, -(1n << 960n), 1n << 2000n, -(1n << 2000n)),
  fc.bigInt({ min: -(1n << 80n), max: 1n << 80n }),
)
const bytes = fc.oneof(
  fc.constantFrom(new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 255), Uint8Array.of(255)),
  fc.uint8Array({ maxLength: 5 }),
)
const date = fc.oneof(
  fc.constantFrom(new Date(0), new Date(1), new Date(-1), new Date(8.64e15), new Date(-8.64e15)),
  fc.date({ noInvalidDate: true }),
)
const constant = fc.constantFrom(null, false, true)

/** Keys of every type, nested arrays too, crowded around the corners. */
export const keys: fc.Arbitrary<Key> = fc.letrec<{ key: Key; array: readonly Key[] }>((tie) => ({
  key: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    constant,
    text,
    number,
    bigint,
    date,
    bytes,
    tie('array'),
  ),
  array: fc.array(tie('key'), { maxLength: 3 }),
})).key

/** The order of keys as API.md words it, written without bytes. */
export function compareKeys(a: Key, b: Key): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (a === null || typeof a === 'boolean') return 0
  if (typeof a === 'number' || typeof a === 'bigint') return a < (b as number) ? -1 : a > (b as number) ? 1 : 0
  if (typeof a === 'string')
    return compareLists(
      Array.from(a, (c) => c.codePointAt(0)!),
      Array.from(b as string, (c) => c.codePointAt(0)!),
      (x, y) => x - y,
    )
  if (a instanceof Uint8Array) return compareLists([...a], [...(b as Uint8Array)], (x, y) => x - y)
  if (a instanceof Date) return a.getTime() - (b as Date).getTime()
  return compareLists(a as readonly Key[], b as readonly Key[], compareKeys)
}

function rank(key: Key): number {
  if (key === null) return 0
  if (typeof key === 'boolean') return key ? 2 : 1
  if (typeof key !== 'object') return { number: 3, bigint: 4, string: 6 }[typeof key as 'number' | 'bigint' | 'string']
  return key instanceof Date ? 5 : key instanceof Uint8Array ? 7 : 8
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const d = compare(a[i]!, b[i]!)
    if (d !== 0) return d
  }
  return a.length - b.length
}

/** A map that keeps keys of all types in their order: what a store is compared with. */
export class ModelMap<V> {
  #entries: [Key, V][] = []

  #find(key: Key): [number, boolean] {
    let lo = 0
    let hi = this.#entries.length
    while (lo < hi) {
      const mid = (lo + hi) >>> 1
      if (compareKeys(this.#entries[mid]![0], key) < 0) lo = mid + 1
      else hi = mid
    }
    return [lo, lo < this.#entries.length && compareKeys(this.#entries[lo]![0], key) === 0]
  }

  get(key: Key): V | undefined {
    const [at, found] = this.#find(key)
    return found ? this.#entries[at]![1] : undefined
  }

  set(key: Key, value: V): void {
    const [at, found] = this.#find(key)
    this.#entries.splice(at, found ? 1 : 0, [Object.is(key, -0) ? 0 : key, value])
  }

  delete(key: Key): void {
    const [at, found] = this.#find(key)
    if (found) this.#entries.splice(at, 1)
  }

  keep(test: (key: Key) => boolean): void {
    this.#entries = this.#entries.filter(([key]) => test(key))
  }

  entries(): [Key, V][] {
    return [...this.#entries]
  }

  clone(): ModelMap<V> {
    const copy = new ModelMap<V>()
    copy.#entries = [...this.#entries]
    return copy
  }
}

/** Keys that often meet. */
export const closeKeys = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom('', 'é', 'z', 3n) },
)
/** Ranges of them, as bytes. */
export const closeRanges = fc
  .tuple(closeKeys.map(encodeKey), closeKeys.map(encodeKey))
  .filter(([a, b]) => !equalBytes(a, b))
  .map(([a, b]) => (compareBytes(a, b) < 0 ? { lower: a, upper: b } : { lower: b, upper: a }))
