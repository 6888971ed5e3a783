/** The surroundings of a shard, from the options of its store. */
import { Part } from '../part.js'
import { SegmentCache } from '../segment/cache.js'
import { Uploads, type ShardContext } from '../shard/context.js'
import type { Storage } from '../storage/contract.js'
import { newCounters } from './metrics.js'
import type { ResolvedOptions } from './options.js'
import type { Residency } from './resident.js'

/** What a shard tells of itself. */
export type ShardEvents = Pick<ShardContext, 'warn' | 'moved' | 'committed' | 'emit'>

/** To be loaded before a handle with such options is made. */
export const residency = new Part('resident stores', () => import('./resident.js'))
export const sharing = new Part('shared mode', () => import('./readings.js'))

/** `storage` is that of the options, in decorators; `cacheBytes` is that of the options unless it is given. */
export function shardContext(
  options: ResolvedOptions,
  storage: Storage,
  events: ShardEvents,
  cacheBytes = options.cacheBytes,
): ShardContext & { readonly resident: Residency | undefined } {
  const { clock } = options
  const cache = new SegmentCache(storage.blobs, cacheBytes)
  const resident = options.resident ? new residency.loaded!.Residency(cache, storage.blobs, clock) : undefined
  return {
    store: options.name,
    isShared: options.mode === 'shared',
    storage,
    probed: options.storage,
    clock,
    cache,
    uploads: new Uploads(resident),
    resident,
    held: new Set(),
    retain: options.retain,
    segments: options,
    checkpoint: options.checkpoint,
    durability: options.durability,
    timeoutMs: options.timeoutMs,
    graceMs: options.graceMs,
    rules: options.rules,
    counters: newCounters(),
    ...events,
  }
}
