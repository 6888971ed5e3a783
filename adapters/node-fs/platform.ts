import { hash } from 'node:crypto'
import zlib, { deflateRawSync, inflateRawSync } from 'node:zlib'
import { lendCrc32 } from '../../src/bytes/crc32.js'
import type { Platform } from '../../src/storage/platform.js'

/** The hash and decompression of Node. They answer in this very turn: for some KiB a wait for a thread would take longer. */
export const platform: Platform = {
  sha256: (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer')),
  deflate(bytes, level) {
    // In one piece: what is longer than it was is stored as it is.
    const deflated = deflateRawSync(bytes, { level, chunkSize: Math.max(64, bytes.length) })
    return new Uint8Array(deflated.buffer, deflated.byteOffset, deflated.length)
  },
  inflate(payload, length) {
    // The chunk is as long as the result, so that there is one. zlib takes no chunk below 64 bytes.
    const raw = inflateRawSync(payload, { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) })
    if (raw.length !== length) throw new Error(`It inflates to ${raw.length} bytes.`)
    // A plain Uint8Array, because `slice` of a Buffer makes no copy.
    return new Uint8Array(raw.buffer, raw.byteOffset, raw.length)
  },
}

/** Not every platform that has the rest of zlib has this. */
export function lendChecksum(): void {
  lendCrc32((zlib as { crc32?: typeof zlib.crc32 }).crc32)
}
