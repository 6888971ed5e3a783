/**
 * How indexes are stored (docs/format.md, "Indexes"): in tables of Tidemark's own, in the partition and the entry of the rows that
 * they are of. So they are never ahead of these nor behind, in any version, in restores of partitions, forks and copies.
 *
 * - The **state** of the indexes of a table: which there are, and up to where they are built.
 * - A **record** for each row: the keys by which indexes have it, and a checksum of the value that these are of. Whoever changes the
 *   row removes them by it, and needs neither the old value nor the functions of the old indexes.
 * - An **index row** for each key by which an index has a row.
 */
import { crc32 } from '../../bytes/crc32.js'
import { encodeKey, encodePrefix, toMapKey, type Key, type MapKey } from '../../bytes/keys.js'
import { concat } from '../../bytes/concat.js'
import { afterPrefix, compareBytes } from '../../bytes/compare.js'
import { ByteReader } from '../../bytes/reader.js'
import { utf8 } from '../../bytes/utf8.js'
import { ByteWriter } from '../../bytes/writer.js'
import { unsupported } from '../../errors.js'
import { INDEX_STATES, makeSlot, type Slot } from '../../engine/slot.js'
import type { KeyBounds } from '../bounds.js'
import type { RangeOptions } from '../range.js'

/** The codec id of all that indexes store. */
export const INDEX_CODEC = 'index'

const RECORDS = 0
const ROWS = 1
const FORM = 1
const MANY = 1
const UNIQUE = 2

/** Whether a table is one of a user's, whose rows may be indexed. */
export const isOfUser = (table: Uint8Array): boolean => table[0] !== 0xff

export const statesSlot = (partition: number): Slot => makeSlot(partition, INDEX_STATES)

export const stateKey = (table: Uint8Array): MapKey => toMapKey(table)

export const recordsSlot = ({ partition, table }: Slot): Slot =>
  makeSlot(partition, concat([Uint8Array.of(0xff, RECORDS), table]))

export const rowsSlot = ({ partition, table }: Slot, index: string): Slot =>
  makeSlot(partition, concat([Uint8Array.of(0xff, ROWS, table.length), table, utf8(index)]))

/** The key of an index row. */
export const rowKey = (indexKey: Key, key: Key): MapKey => toMapKey([indexKey, key])

/** An index as it is stored. */
export interface StoredIndex {
  readonly many: boolean
  readonly unique: boolean
}

export interface IndexState {
  /** The version of the table's values that they are of. */
  readonly version: number
  readonly indexes: ReadonlyMap<string, StoredIndex>
  /** Rows up to this encoded key have their records; `undefined`: all have. */
  readonly upTo: Uint8Array | undefined
}

export function encodeState({ version, indexes, upTo }: IndexState): Uint8Array {
  const w = new ByteWriter(64)
  w.u8(FORM)
  w.varint(version)
  w.varint(indexes.size)
  for (const [name, { many, unique }] of indexes) {
    w.string(name)
    w.u8((many ? MANY : 0) | (unique ? UNIQUE : 0))
  }
  w.u8(upTo ? 1 : 0)
  if (upTo) w.bytes(upTo)
  return w.finish()
}

export function decodeState(bytes: Uint8Array, what: string): IndexState {
  const r = new ByteReader(bytes, what)
  const form = r.u8()
  if (form !== FORM) throw unsupported(`${what} is of form ${form}`)
  const version = r.varint()
  const indexes = new Map<string, StoredIndex>()
  for (let left = r.count(2); left > 0; left--) {
    const name = r.string()
    const flags = r.u8()
    if (flags > (MANY | UNIQUE)) throw unsupported(`${what} holds flags ${flags}`)
    indexes.set(name, { many: (flags & MANY) !== 0, unique: (flags & UNIQUE) !== 0 })
  }
  const hasRest = r.u8()
  if (hasRest > 1) r.fail('no such mark')
  const upTo = hasRest ? r.bytes() : undefined
  r.end()
  return { version, indexes, upTo }
}

/** The keys, encoded, by which indexes have a row. */
export type IndexKeys = ReadonlyMap<string, readonly Uint8Array[]>

export interface RowRecord {
  /** Of the value's bytes. */
  readonly checksum: number
  readonly keys: IndexKeys
}

export function encodeRecord({ checksum, keys }: RowRecord): Uint8Array {
  const w = new ByteWriter(64)
  w.u32(checksum)
  w.varint(keys.size)
  for (const [name, all] of keys) {
    w.string(name)
    w.varint(all.length)
    for (const key of all) w.bytes(key)
  }
  return w.finish()
}

export function decodeRecord(bytes: Uint8Array, what: string): RowRecord {
  const r = new ByteReader(bytes, what)
  const checksum = r.u32()
  const keys = new Map<string, Uint8Array[]>()
  for (let left = r.count(2); left > 0; left--) {
    const name = r.string()
    keys.set(
      name,
      Array.from({ length: r.count(1) }, () => r.bytes()),
    )
  }
  r.end()
  return { checksum, keys }
}

export const checksumOf = (value: Uint8Array | undefined): number => (value ? crc32(value) : 0)

const OPEN = 1
/** No element of an array begins so. */
const ABOVE = Uint8Array.of(0xff)

/** The bytes of an array that has begun with these elements; `left` bytes of its end are cut off. */
const begun = (key: Key, left = OPEN): Uint8Array => {
  const bytes = encodeKey([key])
  return bytes.subarray(0, bytes.length - left)
}

/** The bounds of index rows whose index keys lie in a range. */
export function rowBounds({ gt, gte, lt, lte, prefix }: RangeOptions<Key>): KeyBounds {
  const lowers: Uint8Array[] = []
  const uppers: Uint8Array[] = []
  if (gte !== undefined) lowers.push(begun(gte))
  if (gt !== undefined) lowers.push(concat([begun(gt), ABOVE]))
  if (lt !== undefined) uppers.push(begun(lt))
  if (lte !== undefined) uppers.push(concat([begun(lte), ABOVE]))
  if (prefix !== undefined) {
    // It says whether this can be a prefix.
    encodePrefix(prefix)
    // Without the end of the text or list within the list, either.
    const lower = begun(prefix, OPEN + 1)
    lowers.push(lower)
    uppers.push(Array.isArray(prefix) ? concat([lower, ABOVE]) : afterPrefix(lower)!)
  }
  return { lower: last(lowers) ?? new Uint8Array(0), upper: first(uppers) }
}

const last = (all: Uint8Array[]): Uint8Array | undefined => all.sort(compareBytes).at(-1)
const first = (all: Uint8Array[]): Uint8Array | undefined => all.sort(compareBytes)[0]
