/** Indexes as a program declares them. */
import { encodeKey, type Key } from '../../bytes/keys.js'
import { toBinary } from '../../bytes/binary.js'
import { refusePromise } from '../../callback.js'
import { invalid, isTidemarkError, reasonOf, show } from '../../errors.js'
import type { TableSpec } from '../table-spec.js'
import type { IndexKeys, IndexState } from './layout.js'

/**
 * The keys by which the indexes of a table have a row.
 * @throws `INVALID_ARGUMENT` when a function throws, or returns what is no key
 */
export function keysOf(spec: TableSpec, key: Key, value: unknown): IndexKeys {
  const all = new Map<string, readonly Uint8Array[]>()
  for (const [name, { key: keyOf, many }] of spec.indexes) {
    const where = `Index "${name}" of ${spec.title}, of key ${show(key)}`
    let given: unknown
    try {
      given = keyOf(value as never)
    } catch (cause) {
      throw invalid(`${where}: its function threw: ${reasonOf(cause)}`, cause)
    }
    refusePromise(where, given)
    if (given === undefined) continue
    if (many && !Array.isArray(given)) throw invalid(`${where}: an array of keys is expected, not ${show(given)}.`)
    const keys = new Map<string, Uint8Array>()
    for (const each of many ? (given as readonly (Key | undefined)[]) : [given as Key]) {
      if (each === undefined) continue
      const bytes = encoded(each, where)
      keys.set(toBinary(bytes), bytes)
    }
    // With its row's key it has to fit into one key.
    for (const each of keys.values()) encoded([each, key], where)
    if (keys.size > 0) all.set(name, [...keys.values()])
  }
  return all
}

function encoded(key: Key, where: string): Uint8Array {
  try {
    return encodeKey(key)
  } catch (cause) {
    throw isTidemarkError(cause) ? invalid(`${where}: ${cause.message}`, cause) : cause
  }
}

/** Whether the indexes are those of the table, in the version of its values. */
export function isSame(spec: TableSpec, { version, indexes }: IndexState): boolean {
  if (version !== spec.version || indexes.size < spec.indexes.size) return false
  return [...spec.indexes].every(([name, { many, unique }]) => {
    const other = indexes.get(name)
    return other !== undefined && other.many === many && other.unique === unique
  })
}

/** Whether each row has its record, and is in each index of the table. */
export function isReady(spec: TableSpec, state: IndexState): boolean {
  return state.upTo === undefined && isSame(spec, state)
}
