/**
 * SHA-256 (FIPS 180-4) of bytes that are at hand as a whole. What libraries have beside that, streams, keys and other
 * digests, would be a twentieth of all that a browser loads for a store.
 */

/** Fractional parts of the roots of the first primes; none of them lies so near to a bound that rounding could matter. */
const [START, ROUNDS] = /* @__PURE__ */ constants()

function constants(): readonly [start: Int32Array, rounds: Int32Array] {
  const start = new Int32Array(8)
  const rounds = new Int32Array(64)
  for (let prime = 2, n = 0; n < 64; prime++) {
    let divisor = 2
    while (prime % divisor !== 0) divisor++
    if (divisor < prime) continue
    if (n < 8) start[n] = (Math.sqrt(prime) % 1) * 2 ** 32
    rounds[n++] = (Math.cbrt(prime) % 1) * 2 ** 32
  }
  return [start, rounds]
}

const words = /* @__PURE__ */ new Int32Array(64)

export function sha256(bytes: Uint8Array): Uint8Array {
  const state = START.slice()
  const rest = bytes.length % 64
  const whole = bytes.length - rest
  const tail = new Uint8Array(rest < 56 ? 64 : 128)
  tail.set(bytes.subarray(whole))
  tail[rest] = 0x80
  const view = new DataView(tail.buffer)
  view.setUint32(tail.length - 8, bytes.length / 2 ** 29)
  view.setUint32(tail.length - 4, bytes.length << 3)
  absorb(state, bytes, whole)
  absorb(state, tail, tail.length)
  const digest = new DataView(new ArrayBuffer(32))
  for (let i = 0; i < 8; i++) digest.setInt32(4 * i, state[i]!)
  return new Uint8Array(digest.buffer)
}

function absorb(state: Int32Array, bytes: Uint8Array, end: number): void {
  for (let at = 0; at < end; at += 64) {
    for (let i = 0, p = at; i < 16; i++, p += 4) {
      words[i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!
    }
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15]!
      const y = words[i - 2]!
      const s = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3)
      words[i] = (s + words[i - 16]! + words[i - 7]! + (turned(y, 17) ^ turned(y, 19) ^ (y >>> 10))) | 0
    }
    let a = state[0]!
    let b = state[1]!
    let c = state[2]!
    let d = state[3]!
    let e = state[4]!
    let f = state[5]!
    let g = state[6]!
    let h = state[7]!
    for (let i = 0; i < 64; i++) {
      const s = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      const t = (h + s + ((e & f) ^ (~e & g)) + ROUNDS[i]! + words[i]!) | 0
      const u = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t) | 0
      d = c
      c = b
      b = a
      a = (t + u) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
    state[4]! += e
    state[5]! += f
    state[6]! += g
    state[7]! += h
  }
}

function turned(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}
