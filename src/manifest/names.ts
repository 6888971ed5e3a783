/** The names of everything in a storage: built and parsed here only (docs/format.md, "Names"). */
import { fromHex, toHex } from '../bytes/hex.js'
import { corrupt, invalid, show, unsupported } from '../errors.js'

/** Names that Windows reserves, and a dot at the end, are refused on every storage, because state moves between them. */
const STORE_NAME = /^(?!(?:con|nul|aux|prn|(?:com|lpt)[1-9])(?:\.|$))[a-z0-9._-]{0,63}[a-z0-9_-]$/

/** A store has one shard for now; the format has places for more. */
const SHARD = 0

/** Throws `INVALID_ARGUMENT` unless `name` can be a store's. */
export function checkStoreName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || !STORE_NAME.test(name)) {
    throw invalid(
      `name: ${show(name)} is no store name; use 1 to 64 of a-z, 0-9, ".", "_" and "-", no dot at the end, and no name that Windows reserves (con, nul).`,
    )
  }
}

export function shardPath(store: string): string {
  return `${store}/${SHARD}`
}

export function anchorPath(store: string): string {
  return `${shardPath(store)}/anchor`
}

export function logPath(store: string, logId: Uint8Array): string {
  return `${shardPath(store)}/${toHex(logId)}`
}

/** The log id at the end of a log's path; `undefined` for a path that no store of this format has. */
export function logIdOfPath(store: string, path: string): Uint8Array | undefined {
  const prefix = `${shardPath(store)}/`
  const hex = path.slice(prefix.length)
  return path.startsWith(prefix) && /^[0-9a-f]{32}$/.test(hex) ? fromHex(hex) : undefined
}

export function segmentName(log: string, id: Uint8Array): string {
  return `${log}/seg/${toHex(id)}`
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

/** The id at the end of the name of a segment or pin; `undefined` when the name is neither. */
export function idOfBlob(prefix: string, name: string): Uint8Array | undefined {
  const hex = name.slice(prefix.length)
  return name.startsWith(prefix) && /^[0-9a-f]{32}$/.test(hex) ? fromHex(hex) : undefined
}

/** Store, shard and log id of a log's path, which `checkLogPath` has let through. */
export function storeOfLog(path: string): string {
  return path.slice(0, path.indexOf('/'))
}

const GONE = /^[a-z0-9._-]{1,64}\/\d{1,6}\/gone\/([0-9a-f]{32})$/

export function gonePrefix(store: string): string {
  return `${shardPath(store)}/gone/`
}

/** An empty blob that stays until all else of a store that is being destroyed is gone: by it what is left is found. */
export function gonePath(store: string, logId: Uint8Array): string {
  return gonePrefix(store) + toHex(logId)
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

/**
 * Log paths in manifests come from storage: one that could lead elsewhere is refused. Shards that come of a split will be
 * named by 32 hex digits; this release does not know them.
 */
export function checkLogPath(path: string): string {
  const [, store, shard] = /^([^/]+)\/(\d{1,6}|[0-9a-f]{32})\/[0-9a-f]{32}$/.exec(path) ?? []
  if (store === undefined || !STORE_NAME.test(store))
    throw corrupt('A manifest names a log path that no store can have.')
  if (shard!.length > 6) throw unsupported(`A manifest names the shard ${shard} of store "${store}"`)
  return path
}
