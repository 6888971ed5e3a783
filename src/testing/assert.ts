/** The few assertions that the suite needs; it runs in any test runner and imports none. */
import type { Clock } from '../clock.js'
import { isTidemarkError } from '../errors.js'
import type { Storage } from '../storage/contract.js'

/** A promise of the contract, and the calls that show whether it is kept. The suite closes the logs that they open. */
export type Promised = readonly [promise: string, show: (storage: Storage) => Promise<void>]

export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(what)
}

/** Compares numbers, strings, and lists of them. */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [show(actual), show(expected)]
  check(a === e, `${what}: expected ${e}, got ${a}`)
}

export function equalBytes(actual: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  check(actual !== undefined, `${what}: absent`)
  check(actual.constructor.name === 'Uint8Array', `${what}: a plain Uint8Array, not a ${actual.constructor.name}`)
  equal(actual.length, expected.length, `${what}: length`)
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`${what}: byte ${i} is ${actual[i]}, expected ${expected[i]}`)
  }
}

export function equalAbsent(actual: Uint8Array | undefined, what: string): void {
  check(actual === undefined, `${what}: expected to be absent, got ${actual?.length} bytes`)
}

/** The value that `promise` resolves to, or the code with which it rejects. Any error but a `TidemarkError` fails. */
export async function settle<T>(
  promise: Promise<T>,
  what: string,
): Promise<{ readonly code: string } | { readonly value: T }> {
  try {
    return { value: await promise }
  } catch (error) {
    check(isTidemarkError(error), `${what}: rejected with ${String(error)}, which is not a TidemarkError`)
    return { code: error.code }
  }
}

/** Fails when `promise` takes longer than `ms`. */
export function within<T>(clock: Clock, ms: number, promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.timer(ms, () => reject(new Error(`${what}: no answer within ${ms} ms`)))
    promise.finally(cancel).then(resolve, reject)
  })
}

/** `length` bytes that depend on `seed`, so that no two blobs and no two places look alike. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let x = seed * 2654435761 || 1
  for (let i = 0; i < length; i++) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    bytes[i] = x
  }
  return bytes
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)

function show(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v)) ?? String(value)
}
