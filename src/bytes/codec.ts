/**
 * Codecs turn values into bytes. The default one writes JSON; what JSON would lose is kept as an object with one key
 * that begins with `$` (docs/format.md, "Values"):
 *
 *     {"$bytes": base64}  {"$date": ms | null}  {"$bigint": decimal}  {"$map": [[k, v]…]}  {"$set": [v…]}
 *     {"$number": "NaN" | "Infinity" | "-Infinity" | "-0"}  {"$object": {…}} around an object that itself looks like that
 *
 * A value that is itself a Uint8Array is one byte 0x00 and the bytes: JSON never begins with 0x00.
 */
import { corrupt, invalid } from '../errors.js'
import { concat } from './concat.js'
import { copyBytes, isBytes, kindOf, timeOf } from './kinds.js'
import { fromUtf8, utf8 } from './utf8.js'

/** Turns the values of a table into bytes, and back. */
export interface Codec<V> {
  /** Recorded with the data: a table that was written with one codec is not opened with another. */
  readonly id: string
  /** The bytes of a value. An error of it reaches the caller of `commit` as `INVALID_ARGUMENT`, with the key. */
  encode(value: V): Uint8Array
  /** The value of bytes that `encode` made. It may keep and change them. An error of it reaches the reader as `CORRUPT`. */
  decode(bytes: Uint8Array): V
}

const RAW = 0x00
/**
 * How deep a value's JSON may be nested, about: far below what the smallest stack of a platform bears, so that whatever is
 * acknowledged can be stored again everywhere. Reading it takes no stack, whatever its depth.
 */
const MAX_DEPTH = 500

/** The default codec: JSON, with tags for values that JSON lacks. */
export const jsonCodec: Codec<unknown> = {
  id: 'json',
  encode(value) {
    if (isBytes(value)) return concat([Uint8Array.of(RAW), copyBytes(value)])
    return utf8(taggedJson(value))
  },
  decode(bytes) {
    if (bytes[0] === RAW) return new Uint8Array(bytes.subarray(1))
    try {
      const text = fromUtf8(bytes)
      const value: unknown = JSON.parse(text)
      return text.includes('{"$') ? fromJson(value) : value
    } catch (cause) {
      throw corrupt('A stored value is damaged: it is no JSON.', cause)
    }
  },
}

/** A value as JSON, with tags for what JSON would lose. */
export function taggedJson(value: unknown): string {
  const json = toJson(value, '', 0)
  if (json === undefined) throw invalid('undefined is not a value; delete the key, or store null.')
  return JSON.stringify(json)
}

/** JSON knows nothing of these, or less than is kept; a toJSON() that they have does not count. */
const KEPT = /^(Uint8Array|Date|Map|Set)$/

/** `key`: under which name it stands, for its toJSON(). `undefined` for what is left out. One call for each level. */
function toJson(given: unknown, key: string, depth: number): unknown {
  let value = given
  let kind = isObject(value) ? kindOf(value) : ''
  if (isObject(value) && !KEPT.test(kind)) {
    const { toJSON } = value as { toJSON?: unknown }
    if (typeof toJSON === 'function') {
      // As in JSON, the answer is not asked for a toJSON() again.
      value = toJSON.call(value, key)
      kind = kindOf(value)
    }
    // A boxed primitive gives the primitive; all others give themselves.
    if (isObject(value) && kind !== 'Object' && !KEPT.test(kind)) value = value.valueOf()
  }
  if (!isObject(value)) return primitiveToJson(value)
  if (depth >= MAX_DEPTH) throw invalid(`The value is nested more than ${MAX_DEPTH} deep, or refers to itself.`)
  const list: unknown[] = []
  switch (kind) {
    case 'Uint8Array':
      return { $bytes: toBase64(copyBytes(value as Uint8Array)) }
    case 'Date':
      // That of an invalid one is null in JSON.
      return { $date: timeOf(value) }
    case 'Map':
      for (const [k, v] of value as Map<unknown, unknown>) {
        list.push([element(toJson(k, '', depth + 3)), element(toJson(v, '', depth + 3))])
      }
      return { $map: list }
    case 'Set':
      for (const v of value as Set<unknown>) list.push(element(toJson(v, '', depth + 2)))
      return { $set: list }
    case 'Array':
      for (const v of value as unknown[]) list.push(toJson(v, String(list.length), depth + 1) ?? null)
      return list
  }
  if (kind !== 'Object') {
    throw invalid(`A ${kind || 'thing'} cannot be stored; convert it, or give the table a codec.`)
  }
  const json: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[name]
    // Whoever gives itself, or a copy, gives its toJSON() along.
    if (name === 'toJSON' && typeof field === 'function') continue
    const done = toJson(field, name, depth + 1)
    if (done !== undefined) setOwn(json, name, done)
  }
  return tagIn(json) === undefined ? json : { $object: json }
}

function primitiveToJson(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      return { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $bigint: value.toString() }
    case 'function':
    case 'symbol':
      throw invalid(`A ${typeof value} cannot be stored.`)
    default:
      return value
  }
}

/** An element of a collection: it has its place even where JSON would leave it out. */
const element = (json: unknown): unknown => (json === undefined ? { $undefined: true } : json)

/** Sets an own property whatever its name: `__proto__` is a key like any other. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else (target as Record<string, unknown>)[key] = value
}

/** The only name in it, if it begins with `$`. */
function tagIn(json: object): string | undefined {
  if (Array.isArray(json)) return undefined
  const names = Object.keys(json)
  return names.length === 1 && names[0]![0] === '$' ? names[0] : undefined
}

/** Puts in place of everything tagged what it stands for, the innermost first; without recursion. */
function fromJson(json: unknown): unknown {
  const root = [json]
  const holders: object[] = [root]
  const tagged: [holder: object, name: string, tag: string, value: object][] = []
  // A field in one of these only looks like a tag.
  const quotes = new Set<object>()
  // Grows while it is walked: whatever holds something stands before it.
  for (const holder of holders) {
    const isQuote = quotes.has(holder)
    for (const name of Array.isArray(holder) ? holder.keys() : Object.keys(holder)) {
      const value = (holder as Record<string, unknown>)[name]
      if (!isObject(value)) continue
      holders.push(value)
      const tag = isQuote ? undefined : tagIn(value)
      if (tag === undefined) continue
      tagged.push([holder, name as string, tag, value])
      if (tag === '$object') quotes.add(value)
    }
  }
  for (const [holder, name, tag, value] of tagged.reverse()) {
    setOwn(holder, name, fromTagged(tag, (value as Record<string, unknown>)[tag]))
  }
  return root[0]
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function fromTagged(tag: string, content: unknown): unknown {
  switch (tag) {
    case '$bytes':
      if (typeof content === 'string') return fromBase64(content)
      break
    case '$date':
      if (content === null || typeof content === 'number') return new Date(content ?? Number.NaN)
      break
    case '$bigint':
      if (typeof content === 'string' && /^-?\d+$/.test(content)) return BigInt(content)
      break
    case '$number':
      if (typeof content === 'string' && /^(NaN|-?Infinity|-0)$/.test(content)) return Number(content)
      break
    case '$undefined':
      return undefined
    case '$set':
      if (Array.isArray(content)) return new Set(content)
      break
    case '$map':
      if (Array.isArray(content) && content.every((pair) => Array.isArray(pair) && pair.length === 2)) {
        return new Map(content as [unknown, unknown][])
      }
      break
    case '$object':
      if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content
      break
  }
  throw new Error(`${tag} does not hold what it should.`)
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 1024) binary += String.fromCharCode(...bytes.subarray(i, i + 1024))
  return btoa(binary)
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
