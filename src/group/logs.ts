/** The logs of a group's shards: which of them live, and a handle on one. */
import { toHex } from '../bytes/hex.js'
import { isTidemarkError } from '../errors.js'
import { ROOT } from '../manifest/names.js'
import type { ShardState } from '../engine/state.js'
import { StoreHandle } from '../store/handle.js'
import type { ResolvedOptions } from '../store/open-options.js'
import type { LivingLog } from './state.js'

/** A log that lives, and the highest generation that it knows of. */
export interface Found extends LivingLog {
  readonly generation: number
}

/** The shards of a store, and the log with which it began. */
export interface Family {
  readonly root: string
  readonly partitions: number
  readonly living: readonly Found[]
}

/** Creates the store unless it exists. Nobody is fenced. */
export async function ensureStore(options: ResolvedOptions): Promise<void> {
  try {
    const handle = await StoreHandle.open({ ...options, mode: 'follower', create: undefined })
    return await handle.close()
  } catch (error) {
    if (!isTidemarkError(error) || error.code !== 'NOT_FOUND') throw error
  }
  try {
    const handle = await StoreHandle.open({ ...options, mode: 'exclusive', create: true })
    await handle.close()
  } catch (error) {
    // Whoever else came first may have created it; who opens it next sees whether it is the one that was meant.
    if (!isTidemarkError(error) || error.code !== 'INVALID_ARGUMENT') throw error
  }
}

/** Looks at the anchors: nobody writes down a log that they do not name. */
export async function findFamily(options: ResolvedOptions): Promise<Family> {
  const handle = await StoreHandle.open({ ...options, mode: 'follower', create: undefined })
  try {
    const { state, partitions } = handle
    const id = toHex(state.logId)
    const { first, last } = ownOf(state)
    const generation = state.carried.turn?.generation ?? 0
    return { root: id, partitions, living: [{ id, first, last, generation }] }
  } finally {
    await handle.close()
  }
}

/** The partitions of a log. */
export function ownOf({ carried, manifest }: ShardState): { readonly first: number; readonly last: number } {
  return carried.own ?? { first: 0, last: manifest.config.partitions - 1 }
}

/** A handle that follows the log of a shard. */
export function openFollower(options: ResolvedOptions, root: string, id: string): Promise<StoreHandle> {
  return StoreHandle.open({ ...options, mode: 'follower', create: undefined, folder: id === root ? ROOT : id })
}
