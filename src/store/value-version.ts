/**
 * The versions of a table's values (docs/format.md, "Values"). Values of version 1 are as their codec writes them; those of a later
 * one begin with a mark. The version that was written last is recorded with the table, behind the id of its codec.
 */
import { concat } from '../bytes/concat.js'
import { ByteReader } from '../bytes/reader.js'
import { sliceOf, type Slice } from '../bytes/slice.js'
import { ByteWriter } from '../bytes/writer.js'

/** JSON never begins so, and it is unlikely that anything else does. */
const MARK = Uint8Array.of(0x01, 0x54, 0x44, 0x4d, 0x4b)
const RECORDED = '\0v'

export function recordedId(codec: string, version: number): string {
  return version > 1 ? codec + RECORDED + version : codec
}

/** The codec and the version that a table was written with last. */
export function splitId(recorded: string): { readonly codec: string; readonly version: number } {
  const [codec, version] = recorded.split(RECORDED) as [string, string | undefined]
  return { codec, version: version === undefined ? 1 : Number(version) }
}

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
