/**
 * Raw deflate (RFC 1951), undone. Every reader of a store needs this, and fflate is one file: with its `inflateSync` its
 * `deflateSync` would be loaded, which only folds need. Decoding is by tables, as there.
 */

/** The order in which the lengths of the codes for code lengths come. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** Of all values that a code's bits and those behind it can have: the symbol and the code's length; 0: there is no such code. */
type Codes = Uint16Array

let fixed: readonly [literals: Codes, distances: Codes] | undefined

/** Exactly `length` bytes, all that is ever allocated; throws for data that are not deflated, cut, or of another length. */
export function inflate(data: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  let end = 0
  /** In bits. */
  let at = 0
  const take = (count: number): number => {
    const i = at >>> 3
    const bits = (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16)) >>> (at & 7)
    at += count
    return bits & ((1 << count) - 1)
  }
  /** The code lengths of a block's symbols, themselves coded. */
  const takeLengths = (count: number): Uint8Array => {
    const own = new Uint8Array(19)
    for (let i = 0, n = take(4) + 4; i < n; i++) own[ORDER[i]!] = take(3)
    const codes = codesOf(own)
    const lengths = new Uint8Array(count)
    for (let i = 0; i < count;) {
      const code = codes[take(7) & (codes.length - 1)]!
      at += (code & 15) - 7
      const symbol = code >>> 4
      if (symbol < 16) {
        if (code === 0) fail()
        lengths[i++] = symbol
        continue
      }
      const repeats = symbol === 16 ? 3 + take(2) : symbol === 17 ? 3 + take(3) : 11 + take(7)
      if (i + repeats > count || (symbol === 16 && i === 0)) fail()
      lengths.fill(symbol === 16 ? lengths[i - 1]! : 0, i, i + repeats)
      i += repeats
    }
    return lengths
  }
  let isLast: number
  do {
    isLast = take(1)
    const type = take(2)
    if (type === 0) {
      const from = ((at + 7) >>> 3) + 4
      const size = data[from - 4]! | (data[from - 3]! << 8)
      if (from + size > data.length || end + size > length) fail()
      out.set(data.subarray(from, from + size), end)
      end += size
      at = (from + size) * 8
      continue
    }
    if (type === 3) fail()
    let codes: NonNullable<typeof fixed>
    if (type === 1) codes = fixed ??= fixedCodes()
    else {
      const literals = take(5) + 257
      const distances = take(5) + 1
      const lengths = takeLengths(literals + distances)
      codes = [codesOf(lengths.subarray(0, literals)), codesOf(lengths.subarray(literals))]
    }
    const [literals, distances] = codes
    const literalMask = literals.length - 1
    const distanceMask = distances.length - 1
    // No closure sees this one, so that it can stay in a register.
    let p = at
    for (;;) {
      let i = p >>> 3
      const code = literals[((data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16)) >>> (p & 7)) & literalMask]!
      p += code & 15
      const symbol = code >>> 4
      if (symbol < 256) {
        if (code === 0 || end === length) fail()
        out[end++] = symbol
        continue
      }
      if (symbol === 256) break
      const s = symbol - 257
      if (s > 28) fail()
      let size = s + 3
      if (s === 28) size = 258
      else if (s > 7) {
        const extra = (s >>> 2) - 1
        i = p >>> 3
        size = 3 + ((4 + (s & 3)) << extra) + (((data[i]! | (data[i + 1]! << 8)) >>> (p & 7)) & ((1 << extra) - 1))
        p += extra
      }
      i = p >>> 3
      const far = distances[((data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16)) >>> (p & 7)) & distanceMask]!
      p += far & 15
      const d = far >>> 4
      if (far === 0 || d > 29) fail()
      let distance = d + 1
      if (d > 3) {
        const extra = (d >>> 1) - 1
        i = p >>> 3
        const bits = (data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16)) >>> (p & 7)
        distance = 1 + ((2 + (d & 1)) << extra) + (bits & ((1 << extra) - 1))
        p += extra
      }
      let from = end - distance
      const to = end + size
      if (from < 0 || to > length) fail()
      while (end < to) out[end++] = out[from++]!
    }
    at = p
  } while (isLast === 0 && at <= data.length * 8)
  if (at > data.length * 8 || end !== length) fail()
  return out
}

function codesOf(lengths: Uint8Array): Codes {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1)
  const codes = new Uint16Array(1 << longest)
  let code = 0
  for (let length = 1; length <= longest; length++, code <<= 1) {
    for (let symbol = lengths.indexOf(length); symbol >= 0; symbol = lengths.indexOf(length, symbol + 1)) {
      if (code >>> length !== 0) fail()
      // Codes come with their highest bit first, everything else with its lowest.
      let reversed = 0
      for (let i = 0; i < length; i++) reversed |= ((code >>> i) & 1) << (length - 1 - i)
      for (let i = reversed; i < codes.length; i += 1 << length) codes[i] = (symbol << 4) | length
      code++
    }
  }
  return codes
}

function fixedCodes(): [Codes, Codes] {
  const lengths = new Uint8Array(288).fill(8).fill(9, 144, 256).fill(7, 256, 280)
  return [codesOf(lengths), codesOf(new Uint8Array(30).fill(5))]
}

function fail(): never {
  throw new RangeError('The data are not deflated, or not to what they should be.')
}
