/**
 * A block: up to about 16 KiB of records in key order, deflated, with a CRC-32C behind it (docs/format.md, "Blocks").
 *
 *     record   varint key length · key · u8 type (0 put, 1 put that expires, 2 tombstone)
 *              [type 1: varint expiry in ms] [types 0, 1: varint value length · value]
 *     stored   u8 compression (0 none, 1 raw deflate) · payload · u32 CRC-32C of all before
 *
 * There is no prefix compression and no offset table: deflate finds the shared prefixes, and walking a block once when
 * it is loaded both checks every length and yields the offsets that binary search wants.
 */
import { compareBytes, countInFront } from '../bytes/compare.js'
import { ByteReader } from '../bytes/reader.js'
import { damaged, isTidemarkError } from '../errors.js'
import type { Platform } from '../storage/platform.js'
import { checked } from '../bytes/checked.js'
import type { KeyedRecord } from './record.js'

export const PUT = 0
export const PUT_EXPIRING = 1
export const TOMBSTONE = 2

export const STORED = 0
export const DEFLATED = 1

/** The most that a block of a well-formed segment holds: one record more than fits, with the largest key and value. */
const MAX_BLOCK_BYTES = (64 << 20) + (2 << 20)

/** A loaded block: its records by number, found by binary search. */
export class Block {
  readonly #raw: Uint8Array
  /** Where each record begins, and the end of the last. */
  readonly #starts: number[]
  readonly #what: string

  /** Checks and unpacks a stored block; `rawLength` is what the index says, and all that is ever allocated. */
  static async unpack(platform: Platform, stored: Uint8Array, rawLength: number, what: string): Promise<Block> {
    const body = checked(stored, what)
    const [type] = body
    if (type !== STORED && type !== DEFLATED) throw damaged(what, `a block of unknown type ${type}`)
    if (rawLength > MAX_BLOCK_BYTES) throw damaged(what, `a block of ${rawLength} bytes`)
    let raw: Uint8Array | undefined = body.subarray(1)
    let cause: unknown
    try {
      if (type === DEFLATED) raw = await platform.inflate(raw, rawLength)
    } catch (error) {
      // That it could not be tried says nothing of the block.
      if (isTidemarkError(error)) throw error
      raw = undefined
      cause = error
    }
    if (raw?.length !== rawLength) throw damaged(what, 'a block is not as long as the index says', cause)
    return new Block(raw, what)
  }

  private constructor(raw: Uint8Array, what: string) {
    this.#raw = raw
    this.#what = what
    this.#starts = [0]
    const r = new ByteReader(raw, what)
    while (r.left > 0) {
      r.bytes()
      const type = r.u8()
      if (type === PUT_EXPIRING) r.varint()
      else if (type !== PUT && type !== TOMBSTONE) r.fail(`an unknown type ${type}`)
      if (type !== TOMBSTONE) r.bytes()
      this.#starts.push(r.at)
    }
  }

  get length(): number {
    return this.#starts.length - 1
  }

  /** The memory that the block takes, in bytes. */
  get weight(): number {
    return this.#raw.length + this.#starts.length * 4 + 64
  }

  key(i: number): Uint8Array {
    const raw = this.#raw
    let at = this.#starts[i]!
    let byte = raw[at++]!
    let length = byte & 0x7f
    for (let scale = 128; byte >= 0x80; scale *= 128) {
      byte = raw[at++]!
      length += (byte & 0x7f) * scale
    }
    return raw.subarray(at, at + length)
  }

  record(i: number): KeyedRecord {
    const r = new ByteReader(this.#raw.subarray(this.#starts[i]!, this.#starts[i + 1]!), this.#what)
    const key = r.bytes()
    const type = r.u8()
    if (type === TOMBSTONE) return { key, bytes: undefined, expires: 0 }
    const expires = type === PUT_EXPIRING ? r.varint() : 0
    return { key, bytes: r.bytes(), expires }
  }

  /** The number of the first record whose key is not below `key`. */
  lowerBound(key: Uint8Array): number {
    return countInFront(this.length, (i) => compareBytes(this.key(i), key) < 0)
  }

  find(key: Uint8Array): KeyedRecord | undefined {
    const i = this.lowerBound(key)
    return i < this.length && compareBytes(this.key(i), key) === 0 ? this.record(i) : undefined
  }
}
