/**
 * A delta: the changes of a commit, grouped by partition and table (docs/format.md, "Deltas").
 *
 *     varint 0, or where the rest is deflated its length before that
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
import { inflated, type Platform } from '../storage/platform.js'

export const MAX_PARTITIONS = 4096
export const MAX_TABLE_BYTES = 255
/** Longer deltas are not deflated, so that nobody has to get more memory for what a few bytes claim. */
export const MOST_DEFLATED = 256 << 20

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

/** Stands for the length before compression of what is not compressed. */
export const PLAIN = 0
/** Deflate makes nothing shorter than this part of it. */
const MOST = 1032

export const PUT = 0
export const PUT_EXPIRING = 1
export const DELETE = 2
export const RANGE = 3

export async function decodeDelta(platform: Platform, bytes: Uint8Array, what: string): Promise<DeltaGroup[]> {
  const r = new ByteReader(bytes, what)
  const length = r.varint()
  const payload = r.raw(r.left)
  if (length > payload.length * MOST || length > MOST_DEFLATED) r.fail('an impossible length')
  return decodeGroups(length === PLAIN ? payload : await inflated(platform, payload, length, what), what)
}

/** The changes of a delta, without the length in front, uncompressed. */
export function decodeGroups(bytes: Uint8Array, what: string): DeltaGroup[] {
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
