/**
 * Codecs turn values into bytes. The default one writes JSON; what JSON would lose is kept as an object with one key
 * that begins with `$` (docs/format.md, "Values"):
 *
 *     {"$bytes": base64}  {"$date": ms | null}  {"$bigint": decimal}  {"$map": [[k, v]…]}  {"$set": [v…]}
 *     {"$number": "NaN" | "Infinity" | "-Infinity" | "-0"}  {"$object": {…}} around an object that itself looks like that
 *
 * A value that is itself a Uint8Array is one byte 0x00 and the bytes: JSON never begins with 0x00.
 */
import { TidemarkError, corrupt, invalid } from '../errors.js'
import { fromUtf8, utf8 } from './utf8.js'

export interface Codec<V> {
  /** Recorded with the data: a table that was written with one codec is not opened with another. */
  readonly id: string
  /** The bytes of a value. What it throws reaches the caller of `commit` as `INVALID_ARGUMENT`, with the key. */
  encode(value: V): Uint8Array
  /** The value of bytes that `encode` made. What it throws reaches the reader as `CORRUPT`. */
  decode(bytes: Uint8Array): V
}

const RAW = 0x00

export const jsonCodec: Codec<unknown> = {
  id: 'json',
  encode(value) {
    if (value instanceof Uint8Array) {
      const bytes = new Uint8Array(value.length + 1)
      bytes[0] = RAW
      bytes.set(value, 1)
      return bytes
    }
    if (value === undefined) throw invalid('undefined is not a value; delete the key, or store null.')
    return utf8(JSON.stringify(isPlain(value, 0) ? value : toJson(value, new Set())))
  },
  decode(bytes) {
    if (bytes[0] === RAW) return bytes.slice(1)
    try {
      const text = fromUtf8(bytes)
      const value: unknown = JSON.parse(text)
      return text.includes('{"$') ? fromJson(value) : value
    } catch (cause) {
      if (cause instanceof TidemarkError) throw cause
      throw corrupt('A stored value is damaged: it is not the JSON that was written.', cause)
    }
  },
}

// Deeper values go the slow way, which finds cycles.
const PLAIN_DEPTH = 32

/** True when `JSON.stringify` alone keeps the value as it is: the quick way for nearly every value. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      break
    default:
      return false
  }
  if (value === null) return true
  if (depth > PLAIN_DEPTH) return false
  if (Array.isArray(value)) {
    for (const element of value) if (element !== undefined && !isPlain(element, depth + 1)) return false
    return true
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  for (const key in value) {
    const field = (value as Record<string, unknown>)[key]
    if (key.charCodeAt(0) === 0x24 || key === 'toJSON') return false
    if (field !== undefined && !isPlain(field, depth + 1)) return false
  }
  return true
}

function toJson(value: unknown, parents: Set<object>): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      return { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $bigint: value.toString() }
    case 'object':
      break
    default:
      throw invalid(`A ${typeof value} cannot be stored.`)
  }
  if (value === null) return null
  if (parents.has(value)) throw invalid('The value refers to itself; a cycle cannot be stored.')
  if (parents.size > 10_000) throw invalid('The value is nested more than 10,000 deep.')
  parents.add(value)
  const json = objectToJson(value, parents)
  parents.delete(value)
  return json
}

const tagOf = (value: object): string => Object.prototype.toString.call(value)

function objectToJson(value: object, parents: Set<object>): unknown {
  if (Array.isArray(value)) return Array.from(value, (v: unknown) => (v === undefined ? null : toJson(v, parents)))
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) }
  if (value instanceof Date || tagOf(value) === '[object Date]') {
    // Of another realm it may be, from a frame.
    const time = Date.prototype.getTime.call(value)
    return { $date: Number.isNaN(time) ? null : time }
  }
  if (value instanceof Map) return { $map: Array.from(value, ([k, v]) => [element(k, parents), element(v, parents)]) }
  if (value instanceof Set) return { $set: Array.from(value, (v) => element(v, parents)) }
  const own = (value as { toJSON?: unknown }).toJSON
  if (typeof own === 'function') return toJson(own.call(value, ''), parents)
  if (tagOf(value) !== '[object Object]') {
    const name = (value as { constructor?: { name?: string } }).constructor?.name ?? 'object'
    throw invalid(`A ${name} cannot be stored by the default codec; convert it, or give the table a codec.`)
  }
  const json: Record<string, unknown> = {}
  const keys = Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined)
  for (const key of keys) setOwn(json, key, toJson((value as Record<string, unknown>)[key], parents))
  return keys.length === 1 && keys[0]!.startsWith('$') ? { $object: json } : json
}

function element(value: unknown, parents: Set<object>): unknown {
  return value === undefined ? { $undefined: true } : toJson(value, parents)
}

/** Sets an own property whatever its name: `__proto__` is a key like any other. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else (target as Record<string, unknown>)[key] = value
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fromJson)
  const keys = Object.keys(value)
  if (keys.length === 1 && keys[0]!.startsWith('$')) {
    return fromTagged(keys[0]!, (value as Record<string, unknown>)[keys[0]!])
  }
  return fromFields(value)
}

function fromFields(value: object): object {
  for (const key of Object.keys(value)) setOwn(value, key, fromJson((value as Record<string, unknown>)[key]))
  return value
}

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
      if (content === 'NaN' || content === 'Infinity' || content === '-Infinity' || content === '-0')
        return Number(content)
      break
    case '$undefined':
      return undefined
    case '$set':
      if (Array.isArray(content)) return new Set(content.map(fromJson))
      break
    case '$map':
      if (Array.isArray(content) && content.every((pair) => Array.isArray(pair) && pair.length === 2)) {
        return new Map((content as [unknown, unknown][]).map(([k, v]) => [fromJson(k), fromJson(v)]))
      }
      break
    case '$object':
      if (typeof content === 'object' && content !== null && !Array.isArray(content)) return fromFields(content)
      break
  }
  throw corrupt(`A stored value is damaged: ${tag} does not hold what it should.`)
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192))
  return btoa(binary)
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
