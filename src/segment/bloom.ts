/**
 * Bloom filter over 32-bit key hashes, probed by double hashing (Kirsch and Mitzenmacher, 2006). Its bytes are one byte
 * with the number of probes, then the bits; no bytes at all stand for "may contain everything".
 */
import { mix32 } from '../bytes/hash.js'

/** False only when no key with this hash was added. */
export function mayContain(filter: Uint8Array, hash: number): boolean {
  if (filter.length < 2) return true
  const probes = filter[0]!
  const bits = (filter.length - 1) * 8
  const step = mix32(hash ^ STEP) | 1
  for (let i = 0, h = hash; i < probes; i++, h = (h + step) >>> 0) {
    const bit = h % bits
    if ((filter[1 + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
  }
  return true
}

export const STEP = 0x9e3779b9 | 0
