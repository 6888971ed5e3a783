import { crc32 as ofNode } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { crc32, lendCrc32 } from '../../../src/bytes/crc32.js'

afterEach(() => lendCrc32(undefined))

const text = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 151) ^ (i >>> 3))

test('the check value of CRC-32', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
})

test("all lengths give what the platform's own gives, in one piece or in two", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = text(length)
    expect(crc32(bytes)).toBe(ofNode(bytes))
    expect(crc32(bytes.subarray(length >> 1), crc32(bytes.subarray(0, length >> 1)))).toBe(ofNode(bytes))
  }
})

test('what is lent is asked for long bytes, with the sum so far', () => {
  const asked: number[] = []
  lendCrc32((bytes, seed) => {
    asked.push(bytes.length)
    return ofNode(bytes, seed)
  })
  expect(crc32(text(4000), 77)).toBe(ofNode(text(4000), 77))
  expect(crc32(text(16))).toBe(ofNode(text(16)))
  expect(asked).toEqual([4000])
})
