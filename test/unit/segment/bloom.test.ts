import { expect, test } from 'vitest'
import { keyHash } from '../../../src/bytes/hash.js'
import { mayContain } from '../../../src/segment/bloom.js'
import { buildBloom } from '../../../src/segment/pack.js'
import { keyAt } from '../../support/parts.js'

const hashes = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => keyHash(keyAt(`key ${from + i}`)))
const hits = (filter: Uint8Array, of: readonly number[]): number => of.filter((hash) => mayContain(filter, hash)).length

test('whatever was added is found, in filters of any size', () => {
  for (const count of [1, 2, 7, 100, 5_000]) {
    const added = hashes(0, count)
    for (const bits of [1, 4, 10, 16]) expect(hits(buildBloom(added, bits), added)).toBe(count)
  }
})

test('with 10 bits for each key about 1 % of others pass', () => {
  const filter = buildBloom(hashes(0, 10_000), 10)
  const passed = hits(filter, hashes(10_000, 20_000)) / 20_000
  expect(passed).toBeGreaterThan(0.004)
  expect(passed).toBeLessThan(0.016)
})

test('more bits let fewer pass, and take as many more bytes', () => {
  const [few, many] = [4, 16].map((bits) => buildBloom(hashes(0, 5_000), bits))
  const others = hashes(5_000, 10_000)
  expect(hits(many!, others)).toBeLessThan(hits(few!, others) / 20)
  expect(many!.length / few!.length).toBeCloseTo(4, 1)
})

test('no bytes, and a filter without bits, may contain everything', () => {
  for (const filter of [new Uint8Array(0), Uint8Array.of(7)]) expect(hits(filter, hashes(0, 100))).toBe(100)
})

test('a filter of a single key lets hardly any other pass', () => {
  expect(hits(buildBloom(hashes(0, 1), 10), hashes(1, 1_000))).toBeLessThan(300)
})

test('the bits are the same for ever: they are stored', () => {
  expect(Buffer.from(buildBloom([1, 2, 0xffffffff], 10)).toString('hex')).toMatchInlineSnapshot(`"0797246900104e08a1"`)
})
