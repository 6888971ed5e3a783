/** MD5 (RFC 1321), which S3 wants with what is written and answers with what is read. It keeps no secret, it finds accidents. */

const START = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
/** By how much each round's steps turn, four in turn. */
const TURNS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
/** None of these lies so near to a bound that rounding could matter. */
const SINES = /* @__PURE__ */ Int32Array.from({ length: 64 }, (_, i) => Math.abs(Math.sin(i + 1)) * 2 ** 32)

export function md5(bytes: Uint8Array): Uint8Array {
  const state = Int32Array.from(START)
  const rest = bytes.length % 64
  const whole = bytes.length - rest
  const tail = new Uint8Array(rest < 56 ? 64 : 128)
  tail.set(bytes.subarray(whole))
  tail[rest] = 0x80
  const view = new DataView(tail.buffer)
  view.setUint32(tail.length - 8, bytes.length << 3, true)
  view.setUint32(tail.length - 4, bytes.length / 2 ** 29, true)
  absorb(state, bytes, whole)
  absorb(state, tail, tail.length)
  const digest = new DataView(new ArrayBuffer(16))
  for (let i = 0; i < 4; i++) digest.setInt32(4 * i, state[i]!, true)
  return new Uint8Array(digest.buffer)
}

function absorb(state: Int32Array, bytes: Uint8Array, end: number): void {
  const words = new Int32Array(16)
  for (let at = 0; at < end; at += 64) {
    for (let i = 0, p = at; i < 16; i++, p += 4) {
      words[i] = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24)
    }
    let a = state[0]!
    let b = state[1]!
    let c = state[2]!
    let d = state[3]!
    for (let i = 0; i < 64; i++) {
      const round = i >>> 4
      let mixed: number
      let word = i
      if (round === 0) mixed = (b & c) | (~b & d)
      else if (round === 1) {
        mixed = (d & b) | (~d & c)
        word = 5 * i + 1
      } else if (round === 2) {
        mixed = b ^ c ^ d
        word = 3 * i + 5
      } else {
        mixed = c ^ (b | ~d)
        word = 7 * i
      }
      const sum = (a + mixed + SINES[i]! + words[word & 15]!) | 0
      const turn = TURNS[4 * round + (i & 3)]!
      a = d
      d = c
      c = b
      b = (b + ((sum << turn) | (sum >>> (32 - turn)))) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
  }
}
