/** Our SHA-256 against Node's. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { sha256 } from '../src/bytes/sha256.js'
import { Random } from '../src/testing/random.js'

const random = new Random(3)
const expected = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const ours = (bytes: Uint8Array): string => Buffer.from(sha256(bytes)).toString('hex')

test('every length around the blocks', () => {
  for (let length = 0; length < 520; length++) {
    const bytes = random.bytes(length)
    expect(ours(bytes)).toBe(expected(bytes))
  }
})

test('parts of buffers, all bits set, and what is large', () => {
  for (const length of [1000, 65_536, 1 << 20]) {
    const bytes = random.bytes(length)
    expect(ours(bytes)).toBe(expected(bytes))
    expect(ours(bytes.subarray(7, 500))).toBe(expected(bytes.subarray(7, 500)))
    expect(ours(bytes.fill(255))).toBe(expected(bytes))
  }
})

test('the constants are not near to a bound', () => {
  const primes = Array.from({ length: 312 }, (_, i) => i).filter((n) => n > 1 && !/^(11+?)\1+$/.test('1'.repeat(n)))
  expect(primes).toHaveLength(64)
  for (const root of [...primes.slice(0, 8).map(Math.sqrt), ...primes.map(Math.cbrt)]) {
    const off = ((root % 1) * 2 ** 32) % 1
    expect(Math.min(off, 1 - off)).toBeGreaterThan(0.001)
  }
})
