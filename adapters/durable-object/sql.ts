/**
 * Objects with conditional writes in the SQLite database of a Durable Object.
 *
 * - Each call runs its statements in one turn and one transaction, as create-once, swap and the trim guard need it.
 * - A small object is one row, so that a commit is one row written. Tables without rowid have no index beside them.
 */
import { toHex } from '../../src/bytes/hex.js'
import { systemClock } from '../../src/clock.js'
import type { ByteRange } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { TAIL_BYTES } from '../../src/storage/tails.js'
import type { DurableObjectStorageLike, SqlLike } from './binding.js'
import { callsTo } from './calls.js'
import { divide, fromHead, fromParts, HEADS_AT_ONCE, incomplete, partsIn, span } from './parts.js'

/** An object whose `bytes` are null lies in parts. `trim` is that of an anchor, and 0 for all other objects. */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS tidemark_objects
    (name TEXT PRIMARY KEY, size INTEGER, token TEXT, trim INTEGER, bytes BLOB) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS tidemark_parts
    (name TEXT, part INTEGER, bytes BLOB, PRIMARY KEY (name, part)) WITHOUT ROWID`,
]
const CREATE = `INSERT INTO tidemark_objects SELECT ?, ?, ?, ?, ?
  WHERE NOT EXISTS (SELECT 1 FROM tidemark_objects WHERE name = ? AND trim >= ?)
  ON CONFLICT DO NOTHING RETURNING 1`
const SWAP =
  'UPDATE tidemark_objects SET size = ?, token = ?, trim = ?, bytes = ? WHERE name = ? AND token = ? RETURNING 1'
const REPLACE = 'REPLACE INTO tidemark_objects VALUES (?, ?, ?, ?, ?)'
const READ = 'SELECT name, size, token, bytes FROM tidemark_objects WHERE name = ?'
const LIST = 'SELECT name, size FROM tidemark_objects WHERE name >= ? AND name < ? ORDER BY name LIMIT ?'
const READ_ALL = 'SELECT name, size, bytes FROM tidemark_objects WHERE name >= ? AND name < ? ORDER BY name LIMIT ?'
const DELETE = 'DELETE FROM tidemark_objects WHERE name = ? RETURNING bytes IS NULL AS divided'
const WRITE_PART = 'INSERT INTO tidemark_parts VALUES (?, ?, ?)'
const READ_PARTS = 'SELECT bytes FROM tidemark_parts WHERE name = ? AND part >= ? AND part < ? ORDER BY part'
const DELETE_PARTS = 'DELETE FROM tidemark_parts WHERE name = ?'

interface Row {
  readonly name: string
  readonly size: number
  readonly bytes: ArrayBuffer | null
}

/** Objects of which a range can be read at once. */
export interface SqlObjects extends ObjectStore {
  readonly getNow: (key: string, range: ByteRange) => Uint8Array | undefined
}

export function sqlObjects(storage: DurableObjectStorageLike, prefix: string): SqlObjects {
  const calls = callsTo(storage)
  let isMade = false

  function database(): SqlLike {
    const sql = storage.sql as SqlLike
    if (!isMade) for (const table of TABLES) sql.exec(table)
    isMade = true
    return sql
  }

  const rows = <R>(query: string, ...bindings: unknown[]): R[] =>
    database()
      .exec(query, ...bindings)
      .toArray() as R[]

  /** Writes a head by `write`, and its parts if that has written it. */
  function written(
    name: string,
    bytes: Uint8Array,
    write: (token: string, within: Uint8Array | null) => boolean,
  ): { token: string } | 'lost' {
    const { within, parts } = divide(bytes)
    const token = toHex(systemClock.random(16))
    database()
    return storage.transactionSync!(() => {
      if (!write(token, within)) return 'lost'
      for (const [i, part] of parts.entries()) rows(WRITE_PART, name, i, part)
      return { token }
    })
  }

  const create = (name: string, bytes: Uint8Array, trim: number, guard: readonly [string, number]) =>
    written(name, bytes, (token, within) => {
      return rows(CREATE, name, bytes.length, token, trim, within, ...guard).length > 0
    })

  /** The bytes of an object, or of a range of it. */
  function bytesOf({ name, size, bytes }: Row, range?: ByteRange): Uint8Array {
    if (bytes !== null) return fromHead(new Uint8Array(bytes), range)
    const [first, end] = partsIn(size, range)
    const parts = rows<{ bytes: ArrayBuffer }>(READ_PARTS, name, first, end).map((part) => new Uint8Array(part.bytes))
    const found = fromParts(parts, first, size, range)
    if (found === undefined) throw incomplete(name)
    return found
  }

  return {
    create: (key, bytes, guard, options) =>
      calls.once(`create ${key}`, options, () => create(prefix + key, bytes, 0, [prefix + guard.anchor, guard.n])),
    swap: (key, token, bytes, trim, options) => {
      const name = prefix + key
      return calls.once(`replace ${key}`, options, () => {
        // No anchor guards another one: no trim number reaches this.
        if (token === undefined) return create(name, bytes, trim, [name, Infinity])
        return written(name, bytes, (next, within) => {
          if (rows(SWAP, bytes.length, next, trim, within, name, token).length === 0) return false
          rows(DELETE_PARTS, name)
          return true
        })
      })
    },
    put: (key, bytes, options) =>
      calls.repeat(`write ${key}`, options, () => {
        const name = prefix + key
        written(name, bytes, (token, within) => {
          rows(REPLACE, name, bytes.length, token, 0, within)
          rows(DELETE_PARTS, name)
          return true
        })
      }),
    get: (key, options) =>
      calls.read(`read ${key}`, options, () => {
        const [row] = rows<Row & { readonly token: string }>(READ, prefix + key)
        return row ? { bytes: bytesOf(row, options?.range), token: row.token } : { bytes: undefined, token: undefined }
      }),
    getNow(key, range) {
      const [row] = rows<Row>(READ, prefix + key)
      return row && range.offset + range.length <= row.size ? bytesOf(row, range) : undefined
    },
    list: (within, { after, limit, signal }) =>
      calls.read(`list ${within}`, { signal }, () => {
        const { start, end } = span(prefix + within, after === undefined ? undefined : prefix + after)
        const found = rows<Row>(LIST, start, end, limit + 1)
        const items = found.slice(0, limit).map(({ name, size }) => ({ name: name.slice(prefix.length), size }))
        return { items, more: found.length > limit }
      }),
    getAll: (within, { after, signal }) =>
      calls.read(`read ${within}`, { signal }, () => {
        const { start, end } = span(prefix + within, prefix + after)
        const found = rows<Row>(READ_ALL, start, end, HEADS_AT_ONCE)
        const items: { name: string; bytes: Uint8Array }[] = []
        let size = 0
        for (const row of found) {
          if (size >= TAIL_BYTES) break
          items.push({ name: row.name.slice(prefix.length), bytes: bytesOf(row) })
          size += row.size
        }
        return { items, more: items.length < found.length || found.length === HEADS_AT_ONCE }
      }),
    delete: (keys, options) =>
      calls.repeat(`delete ${keys[0] ?? ''}`, options, () => {
        database()
        storage.transactionSync!(() => {
          for (const key of keys) {
            const [row] = rows<{ divided: number }>(DELETE, prefix + key)
            if (row?.divided) rows(DELETE_PARTS, prefix + key)
          }
        })
      }),
  }
}
