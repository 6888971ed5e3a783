/** Our MD5 against Node's. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { md5 } from '../adapters/s3-common/md5.js'
import { Random } from '../src/testing/random.js'

const random = new Random(5)
const expected = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')
const ours = (bytes: Uint8Array): string => Buffer.from(md5(bytes)).toString('hex')

test('every length around the blocks, and parts of large buffers', () => {
  for (let length = 0; length < 260; length++) {
    const bytes = random.bytes(length)
    expect(ours(bytes)).toBe(expected(bytes))
  }
  const large = random.bytes(300_000)
  expect(ours(large)).toBe(expected(large))
  expect(ours(large.subarray(3, 70_000))).toBe(expected(large.subarray(3, 70_000)))
})

test('the constants are not near to a bound', () => {
  for (let i = 1; i <= 64; i++) {
    const off = (Math.abs(Math.sin(i)) * 2 ** 32) % 1
    expect(Math.min(off, 1 - off)).toBeGreaterThan(0.001)
  }
})
