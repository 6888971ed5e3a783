import { damaged } from '../errors.js'
import { fromUtf8 } from './utf8.js'

/**
 * Reads fields of untrusted bytes. Nothing is allocated before its length was held against what is left; every field
 * that does not fit is `CORRUPT`, and the message names `what` is being read.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #what: string
  #at = 0

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#what = what
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  get at(): number {
    return this.#at
  }

  fail(problem: string, cause?: unknown): never {
    throw damaged(this.#what, `${problem} at byte ${this.#at} of ${this.#bytes.length}`, cause)
  }

  #take(n: number): number {
    if (n > this.left) this.fail(`${n} bytes expected, ${this.left} left`)
    const at = this.#at
    this.#at += n
    return at
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!
  }

  /** The next byte without taking it; `undefined` at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at]
  }

  u32(): number {
    const at = this.#take(4)
    const b = this.#bytes
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) this.fail('a number too large')
      if (byte < 0x80) return value
      scale *= 128
      if (scale > 2 ** 56) this.fail('a number too large')
    }
  }

  /** A varint that counts things which take at least `eachBytes` each, so that a huge count is refused before a loop. */
  count(eachBytes = 1): number {
    const n = this.varint()
    if (n * eachBytes > this.left) this.fail(`a count of ${n}`)
    return n
  }

  /** The next `n` bytes, without a copy. */
  raw(n: number): Uint8Array {
    const at = this.#take(n)
    return this.#bytes.subarray(at, at + n)
  }

  bytes(): Uint8Array {
    return this.raw(this.varint())
  }

  /** Passes over bytes; returns where they begin. */
  skip(): number {
    return this.#take(this.varint())
  }

  string(): string {
    return this.text(this.bytes())
  }

  /** Bytes that were read before, as text. */
  text(bytes: Uint8Array): string {
    try {
      return fromUtf8(bytes)
    } catch (cause) {
      return this.fail('no UTF-8', cause)
    }
  }

  end(): void {
    if (this.left > 0) this.fail(`${this.left} bytes too many`)
  }
}
