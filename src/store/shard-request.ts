/** What a handle asks of its shard, and what it tells it. */
import { Part } from '../part.js'
import type { ShardRequest } from '../engine/shard.js'
import type { Indexed } from './indexes/indexing.js'
import { isAsked, type ResolvedOptions } from './open-options.js'

export const indexing = new Part(() => import('./indexes/indexing.js'))
/** The errors of a store that is not the one that was asked for. */
const refusing = new Part(() => import('./identity.js'))

/** The handle that opens a shard. */
interface Opener extends Indexed {
  readonly options: ResolvedOptions
  readonly changes: Pick<ShardRequest, 'rollback' | 'met'>
}

export function shardRequest(
  handle: Opener,
  create: boolean | undefined,
  expectAtLeast: number | undefined,
): ShardRequest {
  const { options, changes, specs } = handle
  const { mode, force, signal, partitions = 1, job, clock, shard } = options
  return {
    mode,
    shard,
    force,
    signal,
    create,
    config: () => ({ partitions, job, created: Math.floor(clock.now()) }),
    check: async (state) => {
      if (!isAsked(options, state, expectAtLeast))
        await refusing.use((part) => part.refuse(options, state, expectAtLeast))
    },
    rollback: (memtables, withOffsets) => changes.rollback(memtables, withOffsets),
    met: (before, entries) => changes.met(before, entries),
    derive: (state, commits, time) => {
      if (!state.hasIndexes && !specs.hasIndexes) return undefined
      return indexing.use((part) => part.derive(handle, state, commits, time))
    },
  }
}
