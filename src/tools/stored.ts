/** Tables as they are stored, for who does not know how the program opens them. */
import { fromBinary } from '../bytes/binary.js'
import { jsonCodec } from '../bytes/codec.js'
import { recordedCodec, segmentsOf, tailBytes, tailCodecs, type ShardState } from '../engine/state.js'
import { splitId } from '../manifest/codec-id.js'
import { splitVersion } from '../store/value-version.js'

/** The names and codec ids of the tables of users, by name. The name of the default table is empty. */
export function tablesOf(state: ShardState): { readonly name: string; readonly codec: string }[] {
  const tables = new Set(state.manifest.codecs.keys())
  for (const entry of state.tail) for (const table of tailCodecs(entry).keys()) tables.add(table)
  return [...tables]
    .map(fromBinary)
    .filter((bytes) => bytes[0] !== INTERNAL)
    .map((bytes) => ({ name: new TextDecoder().decode(bytes), codec: splitId(recordedCodec(state, bytes)!).codec }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The names of Tidemark's own tables begin with this byte (engine/slot.ts). */
const INTERNAL = 0xff

/** Whether the segments that a state reads, and its tail, have at most so many records and bytes. */
export function isSmall(state: ShardState, most: { readonly records: number; readonly bytes: number }): boolean {
  let [records, bytes] = [0, tailBytes(state)]
  for (const segment of segmentsOf(state)) {
    records += segment.records
    bytes += segment.length
  }
  return records <= most.records && bytes <= most.bytes
}

/** Decodes values of a table by its recorded codec, when that is the default one. Of another codec it gives the bytes. */
export function storedDecoder(recorded: string | undefined): (bytes: Uint8Array) => unknown {
  const isJson = recorded !== undefined && splitId(recorded).codec === jsonCodec.id
  return (bytes) => (isJson ? jsonCodec.decode(splitVersion(bytes).rest) : bytes)
}
