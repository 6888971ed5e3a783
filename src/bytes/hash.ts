/** Length of a content hash in bytes. */
export const HASH_BYTES = 16

/**
 * A 32-bit hash of a key's bytes: FNV-1a (Fowler, Noll, Vo) closed with the finaliser of MurmurHash3, whose bits are all
 * good enough to take any modulus of. Routes keys to partitions and feeds the bloom filters: it is part of the format.
 */
export function keyHash(bytes: Uint8Array, from = 0): number {
  let h = FNV_START
  for (let i = from; i < bytes.length; i++) h = Math.imul(h ^ bytes[i]!, 0x01000193)
  return mix32(h)
}

export const FNV_START = 0x811c9dc5 | 0

export function fnvStep(h: number, byte: number): number {
  return Math.imul(h ^ byte, 0x01000193)
}

export function mix32(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
