/**
 * Codecs turn values into bytes. The default one writes JSON; what JSON would lose is kept as an object with one key
 * that begins with `$` (docs/format.md, "Values"):
 *
 *     {"$bytes": base64}  {"$date": ms | null}  {"$bigint": decimal}  {"$map": [[k, v]…]}  {"$set": [v…]}
 *     {"$number": "NaN" | "Infinity" | "-Infinity" | "-0"}  {"$object": {…}} around an object that itself looks like that
 *
 * A value that is itself a Uint8Array is one byte 0x00 and the bytes: JSON never begins with 0x00.
 */
import { damaged } from '../errors.js'
import { fromBinary } from './binary.js'
import { concat } from './concat.js'
import { writeJson } from './json.js'
import { copyBytes, isBytes } from './kinds.js'
import { bytesOf, sliceOf, type Slice } from './slice.js'
import { fromUtf8 } from './utf8.js'

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
/** The bytes of a value with the default codec: a part of a larger buffer, which nobody may give away. */
export function encodeJson(value: unknown): Slice {
  return isBytes(value) ? sliceOf(concat([Uint8Array.of(RAW), copyBytes(value)])) : writeJson(value)
}

/** The default codec: JSON, with tags for values that JSON lacks. */
export const jsonCodec: Codec<unknown> = {
  id: 'json',
  encode: (value) => bytesOf(encodeJson(value)).slice(),
  decode(bytes) {
    if (bytes[0] === RAW) return new Uint8Array(bytes.subarray(1))
    try {
      const text = fromUtf8(bytes)
      const value: unknown = JSON.parse(text)
      return text.includes('{"$') ? fromJson(value) : value
    } catch (cause) {
      throw damaged('A stored value', 'it is no JSON', cause)
    }
  },
}

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
      if (typeof content === 'string') return fromBinary(atob(content))
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
  throw new Error(`${tag} holds something else.`)
}
