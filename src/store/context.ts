/** The surroundings of a shard, from the options of its store. */
import { Part } from '../part.js'
import { ROOT } from '../manifest/names.js'
import { SHORT_TAIL } from '../storage/tails.js'
import { SegmentCache } from '../segment/cache.js'
import { currentTime, Uploads, type Held, type ShardContext } from '../engine/context.js'
import type { Shard } from '../engine/shard.js'
import type { Capabilities, Storage } from '../storage/contract.js'
import { newCounters } from './metrics.js'
import type { ResolvedOptions } from './open-options.js'
import type { ReadSet } from './read-set.js'
import type { Following } from './follow.js'
import type { Residency } from './resident.js'
import type { Freeze } from './table-spec.js'

export type ShardEvents = Pick<ShardContext, 'warn' | 'moved' | 'committed' | 'emit'>

const residency = new Part(() => import('./resident.js'))
const sharing = new Part(() => import('./read-set.js'))
const following = new Part(() => import('./follow.js'))
const freezing = new Part(() => import('./freeze.js'))

/** Classes that only some options need. */
export interface Extras {
  readonly Residency?: typeof Residency
  readonly ReadSet?: typeof ReadSet
  readonly Following?: typeof Following
  readonly deepFreeze?: Freeze
}

/** To be waited for before a handle with these options is made. */
export async function loadExtras({ resident, mode, freeze }: ResolvedOptions): Promise<Extras> {
  const loading = mode !== 'exclusive' && following.load()
  return {
    ...(await loading),
    ...(resident && (await residency.load())),
    ...(mode === 'shared' && (await sharing.load())),
    ...(freeze && (await freezing.load())),
  }
}

/** `storage` is that of the options, in decorators; `cacheBytes` is that of the options unless it is given. */
export function shardContext(
  options: ResolvedOptions,
  storage: Storage,
  events: ShardEvents,
  { Residency: Resident }: Pick<Extras, 'Residency'> = {},
  cacheBytes = options.cacheBytes,
): ShardContext & { readonly resident: Residency | undefined } {
  const tail: NonNullable<Capabilities['tail']> = storage.capabilities.tail ?? SHORT_TAIL
  // A resident store has all of its blocks in memory beside the cache, and may have most of its rows. Else at most half of the
  // cache is for them.
  const [capacity, rowBytes] = Resident ? [cacheBytes * 4, cacheBytes * 4] : [cacheBytes, cacheBytes / 2]
  const base = {
    store: options.name,
    shard: options.folder === ROOT ? undefined : options.folder,
    isShared: options.mode === 'shared',
    storage,
    probed: options.storage,
    clock: options.clock,
    cache: new SegmentCache(storage, capacity),
    rowBytes,
    held: new Set<Held>(),
    retain: options.retain,
    segments: { ...options, blockBytes: options.blockBytes || (storage.capabilities.blockBytes ?? 16 << 10) },
    checkpoint: {
      entries: options.checkpoint.entries || tail.entries,
      bytes: options.checkpoint.bytes || tail.bytes,
      large: options.checkpoint.bytes || (tail.large ?? tail.bytes),
    },
    durability: options.durability,
    timeoutMs: options.timeoutMs,
    graceMs: options.graceMs,
    counters: newCounters(),
    ...events,
  }
  const resident = Resident && new Resident(base)
  return { ...base, resident, uploads: new Uploads(resident) }
}

/** Now, as the store sees it: never before its newest entry. */
export function nowIn(ctx: ShardContext, { state, log }: Pick<Shard, 'state' | 'log'>): number {
  return Math.max(state.carried.time, currentTime(ctx, log))
}
