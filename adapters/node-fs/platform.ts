import { createHash } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import type { Platform } from '../../src/storage/platform.js'

/** Node's own, in this very turn: for a block of some KiB that is quicker than to wait for a thread. */
export const platform: Platform = {
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  inflate(payload, length) {
    // All of it in one piece, where that is not less than zlib knows.
    const raw = inflateRawSync(payload, { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) })
    if (raw.length !== length) throw new Error(`It inflates to ${raw.length} bytes.`)
    // Slices of a buffer are not copies.
    return new Uint8Array(raw.buffer, raw.byteOffset, raw.length)
  },
}
