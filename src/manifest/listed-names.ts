/**
 * The names of what is found by listing, and their parsers (docs/format.md, "Names"). Opening, reading and writing list
 * nothing, so that this is loaded with what does.
 */
import { fromHex, toHex } from '../bytes/hex.js'
import { shardPath } from './names.js'

/** The log id at the end of a log's path; `undefined` for a path that no store of this format has. */
export function logIdOfPath(store: string, path: string, shard?: string): Uint8Array | undefined {
  return idOfBlob(`${shardPath(store, shard)}/`, path)
}

export function segmentsPrefix(log: string): string {
  return `${log}/seg/`
}

export function pinsPrefix(log: string): string {
  return `${log}/pins/`
}

export function pinName(log: string, id: Uint8Array): string {
  return pinsPrefix(log) + toHex(id)
}

export function closedPrefix(log: string): string {
  return `${log}/closed/`
}

/** An empty blob: this writer has closed the store. */
export function closedPath(log: string, writerId: Uint8Array): string {
  return closedPrefix(log) + toHex(writerId)
}

/** The id at the end of the name of a segment or pin; `undefined` when the name is neither. */
export function idOfBlob(prefix: string, name: string): Uint8Array | undefined {
  const hex = name.slice(prefix.length)
  return name.startsWith(prefix) && /^[0-9a-f]{32}$/.test(hex) ? fromHex(hex) : undefined
}

/** The store of a log's path, which `checkLogPath` has let through. */
export function storeOfLog(path: string): string {
  return path.slice(0, path.indexOf('/'))
}

/** Its shard: the root, the control store, or a log that came of others, whose shard is its own id. */
export function shardOfLog(path: string): string {
  return path.slice(path.indexOf('/') + 1, path.lastIndexOf('/'))
}

const GONE = /^[a-z0-9._-]{1,64}\/(?:\d{1,6}|group|[0-9a-f]{32})\/gone\/([0-9a-f]{32})$/

export function gonePrefix(store: string, shard?: string): string {
  return `${shardPath(store, shard)}/gone/`
}

/** An empty blob that stays until all else of a store that is being destroyed is gone: by it what is left is found. */
export function gonePath(store: string, logId: Uint8Array, shard?: string): string {
  return gonePrefix(store, shard) + toHex(logId)
}

/** The id of the log that `name` says is being destroyed; `undefined` for any other name. */
export function logIdOfGone(name: string): Uint8Array | undefined {
  const [, hex] = GONE.exec(name) ?? []
  return hex === undefined ? undefined : fromHex(hex)
}

const COMING = /^[a-z0-9._-]{1,64}\/\d{1,6}\/push\/([0-9a-f]{32})$/

export function comingPrefix(store: string): string {
  return `${shardPath(store)}/push/`
}

/** An empty blob: segments of this log are uploaded by a push that has yet to create the store, or was interrupted. */
export function comingPath(store: string, logId: Uint8Array): string {
  return comingPrefix(store) + toHex(logId)
}

/** The id of the log that `name` says is yet to come; `undefined` for any other name. */
export function logIdOfComing(name: string): Uint8Array | undefined {
  const [, hex] = COMING.exec(name) ?? []
  return hex === undefined ? undefined : fromHex(hex)
}
