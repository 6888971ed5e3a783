/**
 * CRC-32 (reflected polynomial 0xEDB88320, as in zip and zlib), eight table look-ups per eight bytes ("slicing-by-8", Kounavis
 * and Berry, 2005). A platform that has it natively lends it.
 */
const T = makeTables()

/** Up to this length a call into the platform takes longer than the sum. */
const SHORT = 128

type Crc32 = (bytes: Uint8Array, seed: number) => number

let native: Crc32 | undefined

/** Takes the platform's own, which gives the same numbers. */
export function lendCrc32(lent: Crc32 | undefined): void {
  native = lent
}

function makeTables(): Uint32Array {
  const t = new Uint32Array(8 * 256)
  for (let i = 0; i < 256; i++) {
    let c = i
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
    t[i] = c
  }
  for (let i = 0; i < 256; i++) {
    let c = t[i]!
    for (let k = 1; k < 8; k++) {
      c = t[c & 0xff]! ^ (c >>> 8)
      t[k * 256 + i] = c
    }
  }
  return t
}

/** The checksum of `bytes`, as an unsigned 32-bit number. `crc32(b, crc32(a))` is the checksum of a followed by b. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  if (native !== undefined && bytes.length > SHORT) return native(bytes, seed)
  let c = ~seed
  let i = 0
  const end8 = bytes.length - 7
  for (; i < end8; i += 8) {
    const lo = c ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    c =
      T[1792 + (lo & 0xff)]! ^
      T[1536 + ((lo >>> 8) & 0xff)]! ^
      T[1280 + ((lo >>> 16) & 0xff)]! ^
      T[1024 + (lo >>> 24)]! ^
      T[768 + bytes[i + 4]!]! ^
      T[512 + bytes[i + 5]!]! ^
      T[256 + bytes[i + 6]!]! ^
      T[bytes[i + 7]!]!
  }
  for (; i < bytes.length; i++) c = T[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8)
  return ~c >>> 0
}
