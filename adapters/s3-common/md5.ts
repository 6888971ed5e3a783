const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const SINES = Int32Array.from({ length: 64 }, (_, i) => Math.abs(Math.sin(i + 1)) * 2 ** 32)
const START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]

/** MD5 (RFC 1321). S3 asks for it, and tells that of its objects. Here it finds accidents, and nothing relies on it for more. */
export function md5(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(((bytes.length + 72) >>> 6) << 6)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, bytes.length << 3, true)
  view.setUint32(padded.length - 4, bytes.length >>> 29, true)
  const state = Int32Array.from(START)
  for (let at = 0; at < padded.length; at += 64) {
    let [a, b, c, d] = state as unknown as [number, number, number, number]
    for (let i = 0; i < 64; i++) {
      const round = i >> 4
      let mixed: number
      let word: number
      if (round === 0) [mixed, word] = [(b & c) | (~b & d), i]
      else if (round === 1) [mixed, word] = [(d & b) | (~d & c), 5 * i + 1]
      else if (round === 2) [mixed, word] = [b ^ c ^ d, 3 * i + 5]
      else [mixed, word] = [c ^ (b | ~d), 7 * i]
      const sum = (a + mixed + SINES[i]! + view.getInt32(at + 4 * (word & 15), true)) | 0
      const shift = SHIFTS[4 * round + (i & 3)]!
      a = d
      d = c
      c = b
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
    }
    for (const [i, value] of [a, b, c, d].entries()) state[i]! += value
  }
  const digest = new DataView(new ArrayBuffer(16))
  for (const [i, value] of state.entries()) digest.setInt32(4 * i, value, true)
  return new Uint8Array(digest.buffer)
}
