/**
 * A delta: the changes of a commit, grouped by partition and table (docs/format.md, "Deltas").
 *
 *     varint number of groups; per group:
 *       varint partition · table (varint length, bytes) · codec id (varint length, UTF-8) · varint number of changes
 *       per change: u8 type · key (varint length, bytes)
 *         type 0 put:             value (varint length, bytes)
 *         type 1 expiring put:    varint expiry in ms since the epoch · value
 *         type 2 delete:          nothing more; the key was deleted
 *         type 3 range delete:    the key is the lower bound; upper bound (varint length, bytes)
 *
 * Within a delta points win over its range deletes, and a later change of a key over an earlier one.
 */
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'

export const MAX_PARTITIONS = 4096
export const MAX_TABLE_BYTES = 255

export interface DeltaGroup {
  readonly partition: number
  readonly table: Uint8Array
  readonly codec: string
  readonly changes: readonly Change[]
}

export type Change =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly expires: number }
  | { readonly type: 'delete'; readonly key: Uint8Array }
  | { readonly type: 'range'; readonly key: Uint8Array; readonly upper: Uint8Array }

const PUT = 0
const PUT_EXPIRING = 1
const DELETE = 2
const RANGE = 3

export function encodeDelta(groups: readonly DeltaGroup[]): Uint8Array {
  const w = new ByteWriter(1024)
  w.varint(groups.length)
  for (const group of groups) {
    w.varint(group.partition)
    w.bytes(group.table)
    w.string(group.codec)
    w.varint(group.changes.length)
    for (const change of group.changes) writeChange(w, change)
  }
  return w.finish()
}

function writeChange(w: ByteWriter, change: Change): void {
  switch (change.type) {
    case 'put':
      w.u8(change.expires === 0 ? PUT : PUT_EXPIRING)
      w.bytes(change.key)
      if (change.expires !== 0) w.varint(change.expires)
      w.bytes(change.value)
      break
    case 'delete':
      w.u8(DELETE)
      w.bytes(change.key)
      break
    case 'range':
      w.u8(RANGE)
      w.bytes(change.key)
      w.bytes(change.upper)
  }
}

export function decodeDelta(bytes: Uint8Array, what: string): DeltaGroup[] {
  const r = new ByteReader(bytes, what)
  const groups: DeltaGroup[] = []
  for (let left = r.count(4); left > 0; left--) {
    const partition = r.varint()
    const table = r.bytes()
    if (partition >= MAX_PARTITIONS || table.length > MAX_TABLE_BYTES) r.fail('an impossible table')
    const codec = r.string()
    const changes: Change[] = []
    for (let more = r.count(2); more > 0; more--) changes.push(readChange(r))
    groups.push({ partition, table, codec, changes })
  }
  r.end()
  return groups
}

function readChange(r: ByteReader): Change {
  const type = r.u8()
  const key = r.bytes()
  switch (type) {
    case PUT:
      return { type: 'put', key, value: r.bytes(), expires: 0 }
    case PUT_EXPIRING: {
      const expires = r.varint()
      return { type: 'put', key, value: r.bytes(), expires }
    }
    case DELETE:
      return { type: 'delete', key }
    case RANGE:
      return { type: 'range', key, upper: r.bytes() }
    default:
      return r.fail(`an unknown type ${type}`)
  }
}
