/** The names that opening, reading and writing use (docs/format.md, "Names"); all others are in listed-names.ts. */
import { toHex } from '../bytes/hex.js'
import { corrupt, invalid, show } from '../errors.js'

/** Names that Windows reserves, and a dot at the end, are refused on every storage, because state moves between them. */
const STORE_NAME = /^(?!(?:con|nul|aux|prn|(?:com|lpt)[1-9])(?:\.|$))[a-z0-9._-]{0,63}[a-z0-9_-]$/

/** The shard with which a store begins; those that come of it are named by the ids of their logs. */
export const ROOT = '0'

/** Throws `INVALID_ARGUMENT` unless `name` can be a store's. */
export function checkStoreName(name: unknown): asserts name is string {
  if (typeof name !== 'string' || !STORE_NAME.test(name)) {
    throw invalid(
      `name: ${show(name)} is no store name; use 1 to 64 of a-z, 0-9, ".", "_" and "-", no dot at the end, no name of Windows (con, nul).`,
    )
  }
}

export function shardPath(store: string, shard = ROOT): string {
  return `${store}/${shard}`
}

export function anchorPath(store: string, shard?: string): string {
  return `${shardPath(store, shard)}/anchor`
}

export function logPath(store: string, logId: Uint8Array, shard?: string): string {
  return `${shardPath(store, shard)}/${toHex(logId)}`
}

export function segmentName(log: string, id: Uint8Array): string {
  return `${log}/seg/${toHex(id)}`
}

/** Log paths in manifests come from storage: one that could lead elsewhere is refused. */
export function checkLogPath(path: string): string {
  const [, store] = /^([^/]+)\/(?:\d{1,6}|[0-9a-f]{32})\/[0-9a-f]{32}$/.exec(path) ?? []
  if (store === undefined || !STORE_NAME.test(store)) throw corrupt('A manifest names an impossible log path.')
  return path
}
