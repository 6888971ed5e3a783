/** Writes JSON for programs, always on one line, and harmless on a terminal too. */
import { jsonCodec } from '../bytes/codec.js'
import { writeJson } from '../bytes/json.js'
import { bytesOf } from '../bytes/slice.js'
import { fromUtf8, utf8 } from '../bytes/utf8.js'
import { encodeKey, type Key } from '../bytes/keys.js'
import { invalid } from '../errors.js'
import { harmless } from '../tools/text.js'

/** A key or value with the tags of the default codec: `{"$bigint":"5"}`, `{"$bytes":"AQI="}`, `{"$date":0}` … */
export function taggedJson(value: unknown): string {
  return harmless(fromUtf8(bytesOf(writeJson(value))))
}

/** A record of the command line's own. Only bigints need a tag. */
export function plainJson(value: unknown): string {
  const tag = (_: string, v: unknown): unknown => (typeof v === 'bigint' ? { $bigint: String(v) } : v)
  return harmless(JSON.stringify(value, tag))
}

/** Reads a key that a person wrote as JSON, with the same tags. */
export function keyOfJson(text: string): Key {
  let key: Key
  try {
    // The text is written anew, as the codec knows its tags only without white space.
    key = jsonCodec.decode(utf8(JSON.stringify(JSON.parse(text)))) as Key
  } catch (cause) {
    throw invalid(
      `${text} is no key in JSON; write "text", 5, null, ["a",1], {"$bigint":"5"}, {"$date":0} or {"$bytes":"AQI="}, in quotes for the shell.`,
      cause,
    )
  }
  encodeKey(key)
  return key
}
