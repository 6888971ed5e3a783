import type { Slice } from './slice.js'
import { utf8 } from './utf8.js'

/** Lengths below it are one byte as a varint, with a byte more in front. */
const MEASURED = 0x7f
/** Up to this length a copy is quicker byte by byte. */
const SHORT = 256

/** Appends fields to a growing buffer. Integers are little-endian; a varint is unsigned LEB128 of at most 2^53 - 1. */
export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** The bytes written so far, without a copy: write no more afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(n: number): number {
    const at = this.#length
    const need = at + n
    if (need > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(need, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
    }
    this.#length = need
    return at
  }

  u8(value: number): void {
    const at = this.#reserve(1)
    this.#bytes[at] = value
  }

  u32(value: number): void {
    const at = this.#reserve(4)
    const b = this.#bytes
    b[at] = value
    b[at + 1] = value >>> 8
    b[at + 2] = value >>> 16
    b[at + 3] = value >>> 24
  }

  /** Throws for what is no whole number from 0 on: written down it could never be read again. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no varint`)
    let rest = value
    while (rest >= 0x80) {
      this.u8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    this.u8(rest)
  }

  raw(bytes: Uint8Array): void {
    this.#copy(bytes, 0, bytes.length)
  }

  /** A varint length, then the bytes of a slice. */
  slice({ buffer, from, to }: Slice): void {
    this.varint(to - from)
    this.#copy(buffer, from, to)
  }

  #copy(bytes: Uint8Array, from: number, to: number): void {
    let at = this.#reserve(to - from)
    const into = this.#bytes
    if (to - from > SHORT) into.set(bytes.subarray(from, to), at)
    else for (let i = from; i < to; i++) into[at++] = bytes[i]!
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  /**
   * A tag, and behind it UTF-8. `measured`: behind their length as a varint. Short ASCII, as keys are, is written here: to ask the
   * platform takes longer.
   */
  tagged(tag: number, text: string, measured: boolean): void {
    const { length } = text
    const head = measured ? 2 : 1
    if (length < MEASURED) {
      const from = this.#length
      let at = this.#reserve(length + head)
      const bytes = this.#bytes
      if (measured) bytes[at++] = length + 1
      bytes[at++] = tag
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 0x7f) break
        bytes[at + i] = code
      }
      if (i === length) return
      this.#length = from
    }
    const long = utf8(text)
    if (measured) this.varint(long.length + 1)
    this.u8(tag)
    this.raw(long)
  }

  /** A varint length, then UTF-8. */
  string(text: string): void {
    this.bytes(utf8(text))
  }
}
