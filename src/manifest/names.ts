/** The names that opening, reading and writing use (docs/format.md, "Names"); all others are in listed-names.ts. */
import { toHex } from '../bytes/hex.js'
import { corrupt, invalid, show, unsupported } from '../errors.js'

/** Names that Windows reserves, and a dot at the end, are refused on every storage, because state moves between them. */
const STORE_NAME = /^(?!(?:con|nul|aux|prn|(?:com|lpt)[1-9])(?:\.|$))[a-z0-9._-]{0,63}[a-z0-9_-]$/

/** A store has one shard for now; the format has places for more. */
const SHARD = 0

/** Throws `INVALID_ARGUMENT` unless `name` can be a store's. */
export function checkStoreName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || !STORE_NAME.test(name)) {
    throw invalid(
      `name: ${show(name)} is no store name; use 1 to 64 of a-z, 0-9, ".", "_" and "-", no dot at the end, no name of Windows (con, nul).`,
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

export function segmentName(log: string, id: Uint8Array): string {
  return `${log}/seg/${toHex(id)}`
}

/**
 * Log paths in manifests come from storage: one that could lead elsewhere is refused. Shards that come of a split will be
 * named by 32 hex digits; this release does not know them.
 */
export function checkLogPath(path: string): string {
  const [, store, shard] = /^([^/]+)\/(\d{1,6}|[0-9a-f]{32})\/[0-9a-f]{32}$/.exec(path) ?? []
  if (store === undefined || !STORE_NAME.test(store)) throw corrupt('A manifest names an impossible log path.')
  if (shard!.length > 6) throw unsupported(`A manifest names the shard ${shard} of store "${store}"`)
  return path
}
