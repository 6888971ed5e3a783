/** A hash and compression without the platform's. They are loaded only where the platform has none. */
import { sha256 } from '@noble/hashes/sha2.js'
import { deflateSync, inflateSync } from 'fflate'

export { sha256 }

export function deflate(bytes: Uint8Array, level: number): Uint8Array {
  return deflateSync(bytes, { level: level as 1 })
}

export function inflate(payload: Uint8Array, length: number): Uint8Array {
  // One byte of room more than announced shows what inflates to more.
  const raw = inflateSync(payload, { out: new Uint8Array(length + 1) })
  if (raw.length !== length) throw new Error(`It inflates to ${raw.length > length ? 'more' : raw.length} bytes.`)
  return raw
}
