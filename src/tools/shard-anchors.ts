/** The anchors that a store has besides that of its root: of logs that came of others, and of a group's control store. */
import { toHex } from '../bytes/hex.js'
import { isDamage } from '../errors.js'
import { decodeAnchor } from '../log/anchor.js'
import { decodeSealedEnd } from '../log/sealed-anchor.js'
import { isTombstone, TOMBSTONE } from '../log/tombstone.js'
import { shardOfLog } from '../manifest/listed-names.js'
import { anchorPath, ROOT } from '../manifest/names.js'
import type { Anchor, Storage } from '../storage/contract.js'

/**
 * The shards of a store but its root. Logs that are collected are not listed any more, and their anchors stay: seals in the anchors
 * before them tell of these (S6).
 */
export async function otherShards(storage: Storage, store: string, paths: readonly string[]): Promise<string[]> {
  const found = new Set(paths.map(shardOfLog).filter((shard) => shard !== ROOT))
  // What is found on the way is gone through as well.
  const named = await namedBy(storage.anchor(anchorPath(store)))
  for (const shard of [...found, ...named]) found.add(shard)
  for (const shard of found) for (const next of await namedBy(storage.anchor(anchorPath(store, shard)))) found.add(next)
  return [...found]
}

async function namedBy(anchor: Anchor): Promise<string[]> {
  const { bytes } = await anchor.read()
  if (bytes === undefined || isTombstone(bytes)) return []
  try {
    const { sealed } = decodeAnchor(bytes, 'An anchor')
    if (sealed === undefined) return []
    const { seal, living } = decodeSealedEnd(sealed, 'An anchor')
    return [...seal.children.map(({ logId }) => logId), seal.fallback, ...living.map(({ logId }) => logId)].map(toHex)
  } catch (error) {
    if (!isDamage(error)) throw error
    return []
  }
}

/** Whoever has one of these shards open writes no more. One that is being written at once is tried again by the next call. */
export async function buryShards(storage: Storage, store: string, shards: readonly string[]): Promise<void> {
  for (const shard of shards) {
    const anchor = storage.anchor(anchorPath(store, shard))
    const { bytes, token } = await anchor.read()
    if (bytes !== undefined && !isTombstone(bytes)) await anchor.swap(token, TOMBSTONE.bytes, TOMBSTONE.trim)
  }
}

/** One that is not there is left alone: on files removing leaves a mark. */
export async function removeAnchors(storage: Storage, store: string, shards: readonly string[]): Promise<void> {
  for (const shard of shards) {
    const anchor = storage.anchor(anchorPath(store, shard))
    if ((await anchor.read()).bytes !== undefined) await anchor.remove()
  }
}
