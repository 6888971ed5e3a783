import { utf8 } from './utf8.js'

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
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  /** A tag, and behind it UTF-8. Short ASCII, as keys are, is written here: to ask the platform takes longer. */
  tagged(tag: number, text: string): void {
    const from = this.#length
    const at = this.#reserve(text.length + 1)
    const bytes = this.#bytes
    bytes[at] = tag
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.#length = from
        this.u8(tag)
        this.raw(utf8(text))
        return
      }
      bytes[at + 1 + i] = code
    }
  }

  /** What `write` writes, behind its length as a varint. */
  measured(write: () => void): void {
    const from = this.#length
    this.u8(0)
    write()
    const length = this.#length - from - 1
    if (length < 0x80) this.#bytes[from] = length
    else {
      const bytes = this.#bytes.slice(from + 1, this.#length)
      this.#length = from
      this.bytes(bytes)
    }
  }

  /** A varint length, then UTF-8. */
  string(text: string): void {
    this.bytes(utf8(text))
  }
}
