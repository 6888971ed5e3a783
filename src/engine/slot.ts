/**
 * A slot is one table in one partition. In segments its keys begin with its prefix: partition (two bytes, big-endian),
 * length of the table's name (one byte), the name. So all tables of a partition lie together, and partitions in order.
 */
import { isWellFormed, utf8 } from '../bytes/utf8.js'
import { invalid } from '../errors.js'
import { MAX_TABLE_BYTES } from '../log/delta.js'
import { toBinary } from '../bytes/binary.js'

export interface Slot {
  readonly partition: number
  readonly table: Uint8Array
  readonly prefix: Uint8Array
  /** The prefix as text: one string per slot, for Maps. */
  readonly id: string
}

export function makeSlot(partition: number, table: Uint8Array): Slot {
  const prefix = new Uint8Array(3 + table.length)
  prefix[0] = partition >>> 8
  prefix[1] = partition
  prefix[2] = table.length
  prefix.set(table, 3)
  return { partition, table, prefix, id: toBinary(prefix) }
}

/** The bytes of a table's name as users give it; the default table has the empty name. */
export function tableBytes(name: string): Uint8Array {
  if (typeof name !== 'string' || !isWellFormed(name))
    throw invalid('A table name is a string without lone surrogates.')
  const bytes = utf8(name)
  if (bytes.length > MAX_TABLE_BYTES) {
    throw invalid(`The table name has ${bytes.length} bytes; at most ${MAX_TABLE_BYTES} are allowed.`)
  }
  return bytes
}

/** A table of Tidemark's own: 0xff never begins UTF-8, so no user's table can have its name. */
export function internalTable(name: string): Uint8Array {
  return Uint8Array.of(0xff, ...utf8(name))
}

/** The table of the states of indexes: a store that has none has no index. */
export const INDEX_STATES = Uint8Array.from('\xffindexes', (letter) => letter.charCodeAt(0))

export function prefixed(prefix: Uint8Array, key: Uint8Array): Uint8Array {
  const all = new Uint8Array(prefix.length + key.length)
  all.set(prefix)
  all.set(key, prefix.length)
  return all
}
