/**
 * A block: of about `blockBytes` of records in key order, deflated, with a CRC-32 behind it (docs/format.md, "Blocks").
 *
 *     record   varint key length · key · u8 type (0 put, 1 put that expires, 2 tombstone)
 *              [type 1: varint expiry in ms] [types 0, 1: varint value length · value]
 *     stored   u8 compression (0 none, 1 raw deflate) · payload · u32 CRC-32 of all before
 *
 * There is no prefix compression and no offset table: deflate finds the shared prefixes, and walking a block once when
 * it is loaded both checks every length and yields the offsets that binary search wants.
 */
import { ByteReader } from '../bytes/reader.js'
import { isPromise } from '../callback.js'
import { damaged } from '../errors.js'
import { inflated, type Platform } from '../storage/platform.js'
import { checked } from '../bytes/checked.js'
import type { Decode, KeyedRecord } from './record.js'

export const PUT = 0
export const PUT_EXPIRING = 1
export const TOMBSTONE = 2

export const STORED = 0
export const DEFLATED = 1

/** The most that a block of a well-formed segment holds: one record more than fits, with the largest key and value. */
const MAX_BLOCK_BYTES = (64 << 20) + (2 << 20)

/** Numbers for each record: where its key begins and ends, and its value; a tombstone has none, which is as long as -1. */
const PLACES = 4

/** Values of a block as they were decoded, by the number of their record; they take so many bytes, about. */
export interface KeptValues {
  readonly values: unknown[]
  taken: number
}

/** Made when it is first used: opening says what the platform lacks. */
let lenient: TextDecoder | undefined

/** Where records get their values from. */
export interface ValueSource {
  value(i: number, bytes: Uint8Array, decode: Decode): unknown
}

class BlockRecord implements KeyedRecord {
  constructor(
    readonly key: Uint8Array,
    readonly bytes: Uint8Array | undefined,
    readonly expires: number,
    readonly number: number,
    readonly values: ValueSource | undefined,
  ) {}

  value(decode: Decode, isShared: boolean): unknown {
    const bytes = this.bytes!
    return isShared && this.values ? this.values.value(this.number, bytes, decode) : decode(bytes)
  }
}

/** A loaded block: its records by number, found by binary search. */
export class Block {
  readonly #raw: Uint8Array
  readonly #places: Uint32Array
  readonly #what: string
  readonly length: number
  /** Those that iterations have decoded. */
  kept: KeptValues | undefined

  /** Checks and unpacks a stored block; `rawLength` is what the index says, and all that is ever allocated. */
  static unpack(platform: Platform, stored: Uint8Array, rawLength: number, what: string): Block | Promise<Block> {
    const body = checked(stored, what)
    const [type] = body
    if (type !== STORED && type !== DEFLATED) throw damaged(what, `a block of unknown type ${type}`)
    if (rawLength > MAX_BLOCK_BYTES) throw damaged(what, `a block of ${rawLength} bytes`)
    const payload = body.subarray(1)
    const raw = type === DEFLATED ? inflated(platform, payload, rawLength, what) : payload
    const block = (bytes: Uint8Array): Block => new Block(bytes, rawLength, what)
    return isPromise(raw) ? raw.then(block) : block(raw)
  }

  private constructor(raw: Uint8Array, rawLength: number, what: string) {
    if (raw.length !== rawLength) throw damaged(what, 'a block is not as long as the index says')
    this.#raw = raw
    this.#what = what
    const places: number[] = []
    const r = new ByteReader(raw, what)
    while (r.left > 0) {
      const key = r.skip()
      const end = r.at
      const type = r.u8()
      if (type === PUT_EXPIRING) r.varint()
      else if (type !== PUT && type !== TOMBSTONE) r.fail(`an unknown type ${type}`)
      const value = type === TOMBSTONE ? r.at + 1 : r.skip()
      places.push(key, end, value, r.at)
    }
    // Less than half the memory.
    this.#places = new Uint32Array(places)
    this.length = places.length / PLACES
  }

  /** The memory that the block takes, in bytes. */
  get weight(): number {
    return this.#raw.length + this.#places.length * 4 + 200
  }

  key(i: number): Uint8Array {
    return this.#raw.subarray(this.#places[i * PLACES], this.#places[i * PLACES + 1])
  }

  record(i: number, values?: ValueSource): BlockRecord {
    const end = this.#places[i * PLACES + 1]!
    const value = this.#places[i * PLACES + 2]!
    const rest = this.#places[i * PLACES + 3]!
    const bytes = value > rest ? undefined : this.#raw.subarray(value, rest)
    const isExpiring = this.#raw[end] === PUT_EXPIRING
    const expires = isExpiring ? new ByteReader(this.#raw.subarray(end + 1), this.#what).varint() : 0
    return new BlockRecord(this.key(i), bytes, expires, i, values)
  }

  /**
   * Gives the texts of values by the numbers of their records, as long as there is nothing but ASCII in them. One call into the
   * platform is for all, as each takes long. A byte that is no UTF-8, of a length for instance, becomes one character. Where
   * several bytes become one the numbers of characters and bytes differ.
   */
  texts(): (i: number) => string | undefined {
    const all = (lenient ??= new TextDecoder('utf-8', { ignoreBOM: true })).decode(this.#raw)
    if (all.length !== this.#raw.length) return () => undefined
    return (i) => {
      const text = all.slice(this.#places[i * PLACES + 2], this.#places[i * PLACES + 3])
      return text.includes('\ufffd') ? undefined : text
    }
  }

  /** The number of the first record whose key is not below `key`. */
  lowerBound(key: Uint8Array): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(middle, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  find(key: Uint8Array): KeyedRecord | undefined {
    const i = this.lowerBound(key)
    return i < this.length && this.#compare(i, key) === 0 ? this.record(i) : undefined
  }

  /** As `compareBytes` of the record's key and `key`, without taking it out. */
  #compare(i: number, key: Uint8Array): number {
    const raw = this.#raw
    const at = this.#places[i * PLACES]!
    const length = this.#places[i * PLACES + 1]! - at
    const both = length < key.length ? length : key.length
    for (let j = 0; j < both; j++) {
      const difference = raw[at + j]! - key[j]!
      if (difference !== 0) return difference
    }
    return length - key.length
  }
}
