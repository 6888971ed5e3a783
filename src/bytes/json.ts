/**
 * Writes values as the JSON of the default codec (docs/format.md, "Values"), straight into bytes and in one walk: a walk that
 * tells plain values from others, the text, and its UTF-8 would each take as long again.
 */
import { invalid, type TidemarkError } from '../errors.js'
import { toBinary } from './binary.js'
import { copyBytes, kindOf, timeOf } from './kinds.js'
import { sliceOf, type Slice } from './slice.js'

/** Values are written one behind another into pieces of this size, as a buffer of its own for each costs more than to fill it. */
const PIECE = 64 << 10
/**
 * How deep a value's JSON may be nested, about: far below what the smallest stack of a platform bears, so that whatever is
 * acknowledged can be stored again everywhere. Reading it takes no stack, whatever its depth.
 */
const MAX_DEPTH = 500
/** How many bytes ahead of need a large value gets at most. */
const LARGE = 1 << 20
/** Up to this length it is quicker to look at each character than to ask the platform. */
const SHORT = 48

/** JSON knows nothing of these, or less than is kept; a toJSON() that they have does not count. */
const KEPT = /^(Uint8Array|Date|Map|Set)$/

const utf8 = globalThis.TextEncoder && new TextEncoder()

/** The piece that is being filled, up to where, and where the value begins that is being written. One for all: variables of a module are the fastest there are. */
let bytes = new Uint8Array(0)
let at = 0
let start = 0
let isBusy = false

/** The bytes of a value: a part of a larger buffer, in which nothing is written there again. */
export function writeJson(value: unknown): Slice {
  // A toJSON() may lead here again: what is written of the value around it goes on behind this one.
  const around = isBusy ? bytes.slice(start, at) : undefined
  isBusy = true
  start = at
  try {
    if (!writeValue(value, '', 0)) throw invalid('undefined is not a value; delete the key, or store null.')
    // A piece that was made for a large value is not filled with small ones, each of which would keep all of it in memory.
    return bytes.length > PIECE ? sliceOf(bytes.slice(start, at)) : { buffer: bytes, from: start, to: at }
  } catch (error) {
    at = start
    throw error
  } finally {
    if (bytes.length > PIECE) {
      bytes = new Uint8Array(0)
      at = 0
    }
    isBusy = around !== undefined
    if (around !== undefined) {
      start = at
      room(around.length)
      bytes.set(around, at)
      at += around.length
    }
  }
}

/** `key`: under which name it stands, for its toJSON(). False for what is left out. Three calls for each level of nesting. */
function writeValue(value: unknown, key: string, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      writeText(value)
      return true
    case 'number':
      writeNumber(value)
      return true
    case 'boolean':
      writeAscii(String(value))
      return true
    case 'undefined':
      return false
    case 'bigint':
      writeAscii(`{"$bigint":"${value}"}`)
      return true
    case 'object':
      if (value !== null) return writeObject(value, key, depth)
      writeAscii('null')
      return true
    default:
      throw notStored(typeof value, key)
  }
}

function writeObject(given: object, key: string, depth: number): boolean {
  let value: unknown = given
  // Nearly all are of these two kinds, and to ask for the kind takes longer than to write them.
  const isList = Array.isArray(given)
  let isPlain = isList || isPlainObject(given)
  let kind = isList ? 'Array' : isPlain ? 'Object' : kindOf(given)
  if (isPlain || !KEPT.test(kind)) {
    const { toJSON } = given as { toJSON?: unknown }
    if (typeof toJSON === 'function') {
      // As in JSON, the answer is not asked for a toJSON() again.
      value = toJSON.call(given, key)
      kind = kindOf(value)
      isPlain = false
    }
    // A boxed primitive gives the primitive; all others give themselves.
    if (!isPlain && isObject(value) && kind !== 'Object' && kind !== 'Array' && !KEPT.test(kind))
      value = value.valueOf()
  }
  if (!isObject(value)) return writeValue(value, key, depth)
  if (depth >= MAX_DEPTH) throw invalid(`The value is nested more than ${MAX_DEPTH} deep or refers to itself.`)
  switch (kind) {
    case 'Object':
      writeFields(value as Record<string, unknown>, depth)
      return true
    case 'Array':
      writeElements(value as unknown[], depth)
      return true
    case 'Uint8Array':
      writeAscii(`{"$bytes":"${btoa(toBinary(copyBytes(value as Uint8Array)))}"}`)
      return true
    case 'Date':
      // That of an invalid one is null in JSON.
      writeAscii(`{"$date":${JSON.stringify(timeOf(value))}}`)
      return true
    case 'Map':
    case 'Set':
      writeAscii(`{"$${kind.toLowerCase()}":`)
      writeMembers(value as Iterable<unknown>, kind === 'Map', depth + 2)
      writeByte(CLOSE)
      return true
  }
  throw notStored(kind || 'thing', key, '; convert it, or give the table a codec')
}

/** `key`: the field or the place in a list, and '' for the value itself. */
function notStored(kind: string, key: string, advice = ''): TidemarkError {
  return invalid(`A ${kind}${key && ` at ${JSON.stringify(key)}`} cannot be stored${advice}.`)
}

function writeFields(value: Record<string, unknown>, depth: number): void {
  let written = 0
  let isTag = false
  const from = at - start
  writeByte(OPEN)
  for (const name of Object.keys(value)) {
    const field = value[name]
    // Whoever gives itself, or a copy, gives its toJSON() along.
    if (field === undefined || (name === 'toJSON' && typeof field === 'function')) continue
    const before = at - start
    if (written > 0) writeByte(COMMA)
    writeText(name)
    writeByte(COLON)
    if (!writeValue(field, name, depth + 1)) {
      at = start + before
      continue
    }
    isTag = name[0] === '$'
    written++
  }
  writeByte(CLOSE)
  // An object that looks like a tag is quoted.
  if (written === 1 && isTag) quote(from)
}

/** Puts `{"$object":` and `}` around what stands in the value from `from` on. */
function quote(from: number): void {
  const head = '{"$object":'
  const end = at - start
  writeAscii(`${head}}`)
  bytes.copyWithin(start + from + head.length, start + from, start + end)
  at = start + from
  writeAscii(head)
  at = start + end + head.length
  writeByte(CLOSE)
}

function writeElements(value: readonly unknown[], depth: number): void {
  writeByte(OPEN_LIST)
  for (let i = 0; i < value.length; i++) {
    if (i > 0) writeByte(COMMA)
    const element = value[i]
    // A primitive does not want to know where it stands.
    const name = typeof element === 'object' ? String(i) : ''
    if (!writeValue(element, name, depth + 1)) writeAscii('null')
  }
  writeByte(CLOSE_LIST)
}

/** A member has its place even where JSON would leave it out. Those of a map are pairs. */
function writeMembers(members: Iterable<unknown>, arePairs: boolean, depth: number): void {
  writeByte(OPEN_LIST)
  for (const member of members) {
    // No member ends so.
    if (bytes[at - 1] !== OPEN_LIST) writeByte(COMMA)
    if (arePairs) writeMembers(member as Iterable<unknown>, false, depth + 1)
    else if (!writeValue(member, '', depth)) writeAscii('{"$undefined":true}')
  }
  writeByte(CLOSE_LIST)
}

function writeNumber(value: number): void {
  // Most numbers are counts, or amounts of money. So few digits are the shortest that stand for it.
  const cents = Math.round(value * 100)
  if (cents > 0 && cents < 1e11 && cents / 100 === value) {
    const whole = (cents / 100) | 0
    const rest = cents - whole * 100
    writeDigits(whole)
    if (rest === 0) return
    writeAscii(rest < 10 ? '.0' : '.')
    return writeDigits(rest % 10 > 0 ? rest : rest / 10)
  }
  if (!Number.isFinite(value)) return writeAscii(`{"$number":"${value}"}`)
  if (Object.is(value, -0)) return writeAscii('{"$number":"-0"}')
  writeAscii(String(value))
}

/** The digits of a whole number are written from the last one on. */
function writeDigits(value: number): void {
  let length = 1
  for (let bound = 10; bound <= value; bound *= 10) length++
  room(length)
  at += length
  for (let to = at - 1, rest = value; length > 0; length--) {
    const more = (rest / 10) | 0
    bytes[to--] = ZERO + rest - more * 10
    rest = more
  }
}

function writeText(text: string): void {
  if (text.length <= SHORT) {
    room(text.length + 2)
    const into = bytes
    let to = at
    into[to++] = QUOTE
    let i = 0
    for (; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) break
      into[to++] = code
    }
    if (i === text.length) {
      into[to++] = QUOTE
      at = to
      return
    }
  }
  const encoded = utf8.encode(JSON.stringify(text))
  room(encoded.length)
  bytes.set(encoded, at)
  at += encoded.length
}

function writeAscii(text: string): void {
  room(text.length)
  for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i)
}

function writeByte(code: number): void {
  room(1)
  bytes[at++] = code
}

function room(length: number): void {
  if (at + length > bytes.length) move(length)
}

/** The value goes on in another piece. */
function move(length: number): void {
  const written = bytes.subarray(start, at)
  const size = written.length + length
  bytes = new Uint8Array(Math.max(PIECE, size + Math.min(size, LARGE)))
  bytes.set(written)
  start = 0
  at = written.length
}

const ZERO = 0x30
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN = 0x7b
const CLOSE = 0x7d

const isPlainObject = (value: object): boolean =>
  Object.getPrototypeOf(value) === Object.prototype &&
  (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === undefined

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
