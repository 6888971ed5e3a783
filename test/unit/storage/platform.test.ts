/** The platform's hash and decompression are the same, whoever lends them, and give never more bytes than were said. */
import { deflateRawSync } from 'node:zlib'
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { md5 } from '../../../adapters/s3-common/md5.js'
import * as pure from '../../../src/bytes/pure.js'
import type { Platform } from '../../../src/storage/platform.js'
import { Random } from '../../../src/testing/random.js'

const random = new Random(12)
const payload = (raw: Uint8Array): Uint8Array => new Uint8Array(deflateRawSync(raw))

/** The platform's own, imported where something is missing. */
async function importedWithout(...missing: readonly string[]): Promise<Platform> {
  for (const name of missing) vi.stubGlobal(name, undefined)
  vi.resetModules()
  const { platformOf } = await import('../../../src/storage/platform.js')
  return platformOf(memory())
}

beforeEach(() => void vi.resetModules())
afterEach(() => void vi.unstubAllGlobals())

describe.each([
  ['the web', () => importedWithout()],
  ['a page without either', () => importedWithout('crypto', 'DecompressionStream')],
  ['nodeFs', () => Promise.resolve(nodeFs('nowhere').capabilities.platform!)],
  ['simulations', () => Promise.resolve<Platform>(pure)],
])('%s', (_, make) => {
  test('hashes as SHA-256 does', async () => {
    const platform = await make()
    for (const length of [0, 1, 63, 64, 1000, 70_000]) {
      const bytes = random.bytes(length)
      const expected = new Uint8Array(createHash('sha256').update(bytes).digest())
      expect(new Uint8Array(await platform.sha256!(bytes))).toEqual(expected)
    }
  })

  test('inflates to just the length that was announced, and to nothing else', async () => {
    const platform = await make()
    const inflate = async (...[bytes, length]: Parameters<Platform['inflate']>): Promise<Uint8Array> =>
      platform.inflate!(bytes, length)
    for (const length of [0, 1, 100, 16 << 10, 100_000]) {
      const raw = new Uint8Array(length).fill(7)
      raw.set(random.bytes(length >> 1))
      const packed = payload(raw)
      const back = await inflate(packed, length)
      expect(back).toEqual(raw)
      // Slices of a Buffer would share its memory.
      expect(back.constructor).toBe(Uint8Array)
      await expect(inflate(packed, length + 1)).rejects.toThrow()
      if (length > 0) await expect(inflate(packed, length - 1)).rejects.toThrow()
      await expect(inflate(packed.subarray(0, packed.length - 1), length)).rejects.toThrow()
    }
    await expect(inflate(payload(new Uint8Array(8 << 20)), 10)).rejects.toThrow()
    await expect(inflate(random.bytes(100).fill(0xff), 10)).rejects.toThrow()
  })
})

test('MD5 is that of Node', () => {
  for (const length of [...Array(130).keys(), 1 << 20]) {
    const bytes = random.bytes(length)
    expect(md5(bytes)).toEqual(new Uint8Array(createHash('md5').update(bytes).digest()))
  }
})
