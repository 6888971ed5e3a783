/** `inflate` against zlib: what it deflates in every way comes back, and what is damaged never does any harm. */
import { deflateRawSync, inflateRawSync, constants } from 'node:zlib'
import { deflateSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { inflate } from '../src/bytes/inflate.js'
import { Random } from '../src/testing/random.js'

const random = new Random(7)
const { Z_DEFAULT_STRATEGY, Z_FILTERED, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants

/** From all alike to all different, with repetitions near and far. */
function sample(length: number, symbols: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length;) {
    const run = 1 + Math.floor(random.next() ** 4 * 400)
    const back = Math.floor(random.next() ** 2 * Math.min(i, 40_000))
    const copies = random.next() < 0.4 && back > 0
    const end = Math.min(length, i + run)
    for (; i < end; i++) {
      bytes[i] = copies ? bytes[i - back]! : Math.floor(random.next() * symbols)
    }
  }
  return bytes
}

const samples = [0, 1, 2, 100, 258, 4096, 16_384, 90_000].flatMap((length) =>
  [1, 2, 20, 256].map((symbols) => sample(length, symbols)),
)

describe('what was deflated', () => {
  test.each([Z_DEFAULT_STRATEGY, Z_FILTERED, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE])('by zlib, strategy %i', (strategy) => {
    for (const bytes of samples) {
      for (const level of [0, 1, 4, 6, 9]) {
        for (const memLevel of [1, 9]) {
          const deflated = deflateRawSync(bytes, { level, strategy, memLevel })
          expect(Buffer.compare(inflate(deflated, bytes.length), bytes)).toBe(0)
        }
      }
    }
  })

  test('by fflate', () => {
    for (const bytes of samples) {
      for (const level of [1, 6, 9] as const) {
        expect(Buffer.compare(inflate(deflateSync(bytes, { level }), bytes.length), bytes)).toBe(0)
      }
    }
  })

  test('to another length, or cut, is refused', () => {
    for (const bytes of samples) {
      const deflated = deflateRawSync(bytes)
      expect(() => inflate(deflated, bytes.length + 1)).toThrow(RangeError)
      if (bytes.length === 0) continue
      expect(() => inflate(deflated, bytes.length - 1)).toThrow(RangeError)
      for (const at of [0, 1, deflated.length >> 1, deflated.length - 1]) {
        expect(() => inflate(deflated.subarray(0, at), bytes.length)).toThrow(RangeError)
      }
    }
  })
})

test('what is damaged inflates as in zlib, or not at all', () => {
  const tally = { same: 0, refused: 0, looser: 0 }
  for (let run = 0; run < 5000; run++) {
    const bytes = samples[Math.floor(random.next() * 24)]!
    const deflated = deflateRawSync(bytes, { level: 1 + (run % 9), strategy: run % 5 })
    for (let flips = 1 + (run % 3); flips > 0; flips--) {
      deflated[Math.floor(random.next() * deflated.length)]! ^= 1 << Math.floor(random.next() * 8)
    }
    const ours = attempt(() => inflate(deflated, bytes.length))
    const theirs = attempt(() => inflateRawSync(deflated))
    // zlib also wants that codes leave no gap.
    if (ours && !theirs) tally.looser++
    else if (ours) {
      expect(Buffer.compare(ours, theirs!)).toBe(0)
      tally.same++
    } else {
      expect(theirs?.length).not.toBe(bytes.length)
      tally.refused++
    }
  }
  console.log(tally)
  expect(tally.same).toBeGreaterThan(100)
  expect(tally.refused).toBeGreaterThan(100)
})

test('random bytes end soon, whatever comes of them', () => {
  for (let run = 0; run < 5000; run++) attempt(() => inflate(random.bytes(1 + (run % 300)), run % 5000))
})

function attempt(run: () => Uint8Array): Uint8Array | undefined {
  try {
    return run()
  } catch (error) {
    // Of ours: no overrun, and nothing else of its own.
    if (!(error as { code?: unknown }).code)
      expect(error).toHaveProperty('message', expect.stringMatching('not deflated'))
    return undefined
  }
}
