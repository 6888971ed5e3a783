/**
 * Keys as bytes whose unsigned order is the order of the keys: null < false < true < number < bigint < Date < string < bytes <
 * array (docs/format.md, "Keys"; after the tuple memtable of FoundationDB). One tag byte, which is all of null, false and true, then
 *
 *     number   8 bytes, IEEE 754 big-endian; sign bit set for positives, all bits flipped for negatives
 *     bigint   one byte 0x80 + length of the magnitude (from 120 on: 0xf8 and four bytes of length), the magnitude,
 *              big-endian; for negatives all of it flipped
 *     Date     its milliseconds since 1970, as a number
 *     string   UTF-8;   bytes   themselves
 *     array    its elements, then 0x00; strings and bytes in it have 00 written as 00 ff and end with 00
 */
import { fromBinary, toBinary } from './binary.js'
import { invalid } from '../errors.js'
import { afterPrefix, compareBytes } from './compare.js'
import { concat } from './concat.js'
import { FNV_START, fnvStep, keyHash, mix32 } from './hash.js'
import { fromHex, toHex } from './hex.js'
import { copyBytes, isBytes, isDate } from './kinds.js'
import { ByteReader } from './reader.js'
import { isWellFormed, utf8 } from './utf8.js'
import { ByteWriter } from './writer.js'

/** A key: ordered by kind, in the order null, booleans, numbers, bigints, Dates, strings, bytes, arrays, and then by value. */
export type Key = string | number | bigint | boolean | null | Date | Uint8Array | readonly Key[]

/** The largest payload of a key: UTF-8 of a string, length of bytes, the sum over the elements of an array. */
const MAX_KEY_BYTES = 65_536
/** How deep arrays may be nested in a key. */
const MAX_KEY_DEPTH = 128

const NULL = 0x04
const FALSE = 0x08
const TRUE = 0x09
const NUMBER = 0x10
const BIGINT = 0x20
const DATE = 0x28
const STRING = 0x30
const BYTES = 0x40
const ARRAY = 0x50
const END = 0x00
const ESCAPE = 0xff
const LONG_BIGINT = 120

const scratch = new DataView(new ArrayBuffer(8))

/** Throws `INVALID_ARGUMENT` for what is no key. */
export function encodeKey(key: Key): Uint8Array {
  if (typeof key === 'string') {
    checkString(key)
    const text = utf8(key)
    if (text.length > MAX_KEY_BYTES) throw tooLong(text.length)
    const bytes = new Uint8Array(text.length + 1)
    bytes[0] = STRING
    bytes.set(text, 1)
    return bytes
  }
  const w = new ByteWriter(16)
  const payload = writeKey(w, key, 0)
  if (payload > MAX_KEY_BYTES) throw tooLong(payload)
  return w.finish()
}

/** The bytes between which lie just the keys that `prefix` is a prefix of: of a string, of bytes, or of an array. */
export function encodePrefix(prefix: Key): { readonly lower: Uint8Array; readonly upper: Uint8Array | undefined } {
  const bytes = encodeKey(prefix)
  if (bytes[0]! < STRING) throw invalid('A prefix is a string, a Uint8Array or an array; else give gte and lt.')
  if (bytes[0] !== ARRAY) return { lower: bytes, upper: afterPrefix(bytes) }
  // After the elements comes another one or the end, never ff: that would make the 00 before it part of a longer string.
  const elements = bytes.subarray(0, bytes.length - 1)
  return { lower: elements, upper: concat([elements, Uint8Array.of(ESCAPE)]) }
}

function tooLong(length: number): Error {
  return invalid(`The key has ${length} bytes; at most ${MAX_KEY_BYTES} fit. Store a hash of it.`)
}

function checkString(text: string): void {
  if (!isWellFormed(text)) throw invalid('The key has a lone surrogate; use a well-formed string.')
}

/** Returns the payload's length. */
function writeKey(w: ByteWriter, key: Key, depth: number): number {
  switch (typeof key) {
    case 'number':
      return writeOrdered(w, NUMBER, key)
    case 'bigint':
      w.u8(BIGINT)
      return writeBigint(w, key)
    case 'string': {
      checkString(key)
      const bytes = utf8(key)
      w.u8(STRING)
      writeEscaped(w, bytes)
      return bytes.length
    }
    case 'boolean':
      w.u8(key ? TRUE : FALSE)
      return 0
  }
  if (key === null) {
    w.u8(NULL)
    return 0
  }
  if (isBytes(key)) {
    const bytes = copyBytes(key)
    w.u8(BYTES)
    if (depth === 0) w.raw(bytes)
    else writeEscaped(w, bytes)
    return bytes.length
  }
  if (isDate(key)) return writeOrdered(w, DATE, Number(key))
  if (!Array.isArray(key)) {
    throw invalid(`A key is a string, number, bigint, boolean, null, Date, Uint8Array or an array, not ${typeof key}.`)
  }
  if (depth >= MAX_KEY_DEPTH) throw invalid(`The key is nested more than ${MAX_KEY_DEPTH} deep.`)
  w.u8(ARRAY)
  let payload = 0
  const elements = key as readonly Key[]
  for (let i = 0; i < elements.length; i++) {
    payload += 1 + writeKey(w, elements[i]!, depth + 1)
    if (payload > 2 * MAX_KEY_BYTES) throw tooLong(payload)
  }
  w.u8(END)
  return Math.max(0, payload - elements.length)
}

function writeOrdered(w: ByteWriter, tag: number, value: number): number {
  if (Number.isNaN(value)) throw invalid('NaN and invalid Dates are no keys.')
  w.u8(tag)
  scratch.setFloat64(0, value === 0 ? 0 : value)
  const negative = (scratch.getUint8(0) & 0x80) !== 0
  for (let i = 0; i < 8; i++) {
    const byte = scratch.getUint8(i)
    w.u8(negative ? byte ^ 0xff : i === 0 ? byte | 0x80 : byte)
  }
  return 8
}

function writeBigint(w: ByteWriter, value: bigint): number {
  const flip = value < 0n ? 0xff : 0
  let hex = value === 0n ? '' : (value < 0n ? -value : value).toString(16)
  if (hex.length % 2) hex = `0${hex}`
  const bytes = fromHex(hex)
  const { length } = bytes
  if (length > MAX_KEY_BYTES) throw tooLong(length)
  if (length < LONG_BIGINT) w.u8((0x80 + length) ^ flip)
  else {
    w.u8(0xf8 ^ flip)
    for (let shift = 24; shift >= 0; shift -= 8) w.u8(((length >>> shift) & 0xff) ^ flip)
  }
  for (const byte of bytes) w.u8(byte ^ flip)
  return length
}

function writeEscaped(w: ByteWriter, bytes: Uint8Array): void {
  for (const byte of bytes) {
    w.u8(byte)
    if (byte === END) w.u8(ESCAPE)
  }
  w.u8(END)
}

/** The key of bytes that were stored, from `at` on; `CORRUPT` when no key encodes to them. */
export function decodeKey(stored: Uint8Array, at = 0): Key {
  const tag = stored[at]
  const bytes = stored.subarray(tag === STRING ? at + 1 : at)
  const r = new ByteReader(bytes, 'A stored key')
  if (tag === STRING) return r.text(bytes)
  if (tag === BYTES) return copyBytes(bytes.subarray(1))
  const key = readKey(r, 0)
  r.end()
  return key
}

function readKey(r: ByteReader, depth: number): Key {
  const key = readElement(r, r.u8(), depth)
  return key === undefined ? r.fail('no element') : key
}

/** `undefined` for the end of an array. */
function readElement(r: ByteReader, tag: number, depth: number): Key | undefined {
  switch (tag) {
    case END:
      return undefined
    case NULL:
      return null
    case FALSE:
    case TRUE:
      return tag === TRUE
    case NUMBER:
      return readNumber(r)
    case DATE: {
      const time = readNumber(r)
      const date = new Date(time)
      return date.getTime() === time ? date : r.fail('no date')
    }
    case BIGINT:
      return readBigint(r)
    case STRING:
      return r.text(readEscaped(r))
    case BYTES:
      return copyBytes(readEscaped(r))
    case ARRAY: {
      if (depth >= MAX_KEY_DEPTH) return r.fail('nested too deep')
      const elements: Key[] = []
      for (;;) {
        const element = readElement(r, r.u8(), depth + 1)
        if (element === undefined) return elements
        elements.push(element)
      }
    }
    default:
      return r.fail(`an unknown type ${tag}`)
  }
}

function readNumber(r: ByteReader): number {
  const value = numberAt(r.raw(8), 0)
  if (Number.isNaN(value) || Object.is(value, -0)) return r.fail('no number')
  return value
}

function numberAt(bytes: Uint8Array, at: number): number {
  const flip = bytes[at]! < 0x80 ? 0xff : 0
  for (let i = 0; i < 8; i++) scratch.setUint8(i, bytes[at + i]! ^ (i === 0 && flip === 0 ? 0x80 : flip))
  return scratch.getFloat64(0)
}

function readBigint(r: ByteReader): bigint {
  const head = r.u8()
  const flip = head < 0x80 ? 0xff : 0
  let length = (head ^ flip) - 0x80
  if (length === LONG_BIGINT) {
    length = 0
    for (let i = 0; i < 4; i++) length = length * 256 + (r.u8() ^ flip)
    if (length < LONG_BIGINT) return r.fail('no bigint')
  } else if (length > LONG_BIGINT) return r.fail('no bigint')
  const raw = r.raw(length)
  if (length === 0) return flip === 0 ? 0n : r.fail('no bigint')
  if (raw[0] === flip) return r.fail('no bigint')
  const magnitude = BigInt(`0x${toHex(raw.map((byte) => byte ^ flip))}`)
  return flip === 0 ? magnitude : -magnitude
}

function readEscaped(r: ByteReader): Uint8Array {
  const w = new ByteWriter(16)
  // The byte after a 00 decides: ff means that the 00 was data, anything else belongs to what follows the end.
  for (;;) {
    const byte = r.u8()
    if (byte === END) {
      if (r.peek() !== ESCAPE) return w.finish()
      r.u8()
    }
    w.u8(byte)
  }
}

/** A key as Maps hold it: strings, numbers and bigints stand for themselves. */
export type MapKey = string | number | bigint

// No well-formed string begins with a low surrogate, so encoded keys never meet a string key.
const ENCODED = '\udc00'

export function isEncoded(key: MapKey): key is `${typeof ENCODED}${string}` {
  return typeof key === 'string' && key.charCodeAt(0) === 0xdc00
}

/** Checks the key and gives its place in a Map; -0 and 0 are one key there too. */
export function toMapKey(key: Key): MapKey {
  if (typeof key === 'string') {
    if (key.length * 3 > MAX_KEY_BYTES) encodeKey(key)
    else checkString(key)
    return key
  }
  if (typeof key === 'number') {
    if (Number.isNaN(key)) encodeKey(key)
    return key
  }
  if (typeof key === 'bigint' && -MANY_BITS < key && key < MANY_BITS) return key
  const bytes = encodeKey(key)
  if (typeof key === 'bigint') return key
  return ENCODED + toBinary(bytes)
}

const MANY_BITS = 1n << 1024n

/** The encoded bytes of a Map key. */
export function mapKeyBytes(key: MapKey): Uint8Array {
  return isEncoded(key) ? fromBinary(key.slice(1)) : encodeKey(key)
}

/** Writes the encoded bytes of a Map key; `measured`: behind their length as a varint. */
export function writeMapKey(w: ByteWriter, key: MapKey, measured = false): void {
  if (typeof key === 'string' && !isEncoded(key)) w.tagged(STRING, key, measured)
  else if (measured) w.bytes(mapKeyBytes(key))
  else w.raw(mapKeyBytes(key))
}

/** As `compareBytes` of the key's bytes and `bytes`; numbers and ASCII strings are not encoded for it. */
export function compareMapKey(key: MapKey, bytes: Uint8Array): number {
  if (typeof key === 'number') return compareNumber(key, bytes)
  if (typeof key === 'bigint' || isEncoded(key)) return compareBytes(mapKeyBytes(key), bytes)
  if (bytes.length === 0) return 1
  if (bytes[0] !== STRING) return STRING - bytes[0]!
  const n = Math.min(key.length, bytes.length - 1)
  for (let i = 0; i < n; i++) {
    const code = key.charCodeAt(i)
    // Such a character takes several bytes.
    if (code > 0x7f) return compareBytes(encodeKey(key), bytes)
    const d = code - bytes[i + 1]!
    if (d !== 0) return d
  }
  return key.length - (bytes.length - 1)
}

function compareNumber(key: number, bytes: Uint8Array): number {
  if (bytes[0] === NUMBER && bytes.length >= 9) {
    const value = numberAt(bytes, 1)
    if (key !== value) return key < value ? -1 : key > value ? 1 : compareBytes(encodeKey(key), bytes)
    if (value !== 0) return 9 - bytes.length
  }
  return compareBytes(encodeKey(key), bytes)
}

/** The Map key of encoded bytes that come from storage. */
export function bytesToMapKey(bytes: Uint8Array): MapKey {
  const key = decodeKey(bytes)
  return typeof key === 'object' || typeof key === 'boolean' ? ENCODED + toBinary(bytes) : key
}

/** The key that a Map key stands for. */
export function mapKeyToKey(key: MapKey): Key {
  return isEncoded(key) ? decodeKey(mapKeyBytes(key)) : key
}

/** `keyHash` of the key's bytes; for ASCII strings without encoding them. */
export function hashMapKey(key: MapKey): number {
  if (typeof key === 'string' && !isEncoded(key)) {
    let h = fnvStep(FNV_START, STRING)
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i)
      if (code > 0x7f) return keyHash(encodeKey(key))
      h = fnvStep(h, code)
    }
    return mix32(h)
  }
  return keyHash(mapKeyBytes(key))
}
