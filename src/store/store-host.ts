import type { Shard } from '../engine/shard.js'
import type { ShardState } from '../engine/state.js'
import type { SegmentCache } from '../segment/cache.js'
import type { Changes } from './changes.js'
import type { Hold } from './holds.js'
import type { ResolvedOptions } from './options.js'
import type { ReadSet } from './read-set.js'
import type { TablesHost } from './tables.js'

/** An open store as its transactions, its snapshots and what works on its past see it. */
export interface StoreHost extends TablesHost {
  readonly options: ResolvedOptions
  readonly state: ShardState
  /** Another one after the store was opened again. */
  readonly shard: Shard
  readonly cache: SegmentCache
  readonly changes: Changes
  readonly past: {
    /** Settles when what is read now is no longer about to be put away by a restore. */
    readonly restoring: Promise<unknown> | undefined
  }
  /** Of a handle that writes together with others. */
  readonly readSet: ReadSet | undefined
  /** Throws when this handle may not write. */
  assertWritable(): void
  /** With a number: keeps the entries after it, too. */
  hold(state: ShardState, waiting?: Promise<unknown>, trim?: number): Hold
}
