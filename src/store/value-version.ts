/**
 * The versions of a table's values (docs/format.md, "Values"). Values of version 1 are as their codec writes them; those of a later
 * one begin with a mark.
 */
import { concat } from '../bytes/concat.js'
import { ByteReader } from '../bytes/reader.js'
import { sliceOf, type Slice } from '../bytes/slice.js'
import { ByteWriter } from '../bytes/writer.js'

/** JSON never begins so, and it is unlikely that anything else does. */
const MARK = Uint8Array.of(0x01, 0x54, 0x44, 0x4d, 0x4b)

export function withVersion({ buffer, from, to }: Slice, version: number): Slice {
  const w = new ByteWriter(16)
  w.raw(MARK)
  w.varint(version)
  return sliceOf(concat([w.finish(), buffer.subarray(from, to)]))
}

/** The version of a value, and what its codec has written. */
export function splitVersion(bytes: Uint8Array): { readonly version: number; readonly rest: Uint8Array } {
  if (!MARK.every((byte, i) => bytes[i] === byte)) return { version: 1, rest: bytes }
  const r = new ByteReader(bytes, 'A stored value')
  r.raw(MARK.length)
  const version = r.varint()
  return { version, rest: r.raw(r.left) }
}
