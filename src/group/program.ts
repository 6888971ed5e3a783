/** What a member runs on each shard that it owns. */
import type { Key } from '../bytes/keys.js'
import type { ConsumeOptions, Progress } from '../stream/options.js'
import type { HandledEvent, Source } from '../stream/source.js'
import type { Partition } from '../store/tables.js'

/** The partitions of a shard. */
export interface ShardRange {
  /** The id of its log, 32 hex digits. It is another one after a split or a merge. */
  readonly id: string
  /** Its first partition. */
  readonly first: number
  /** Its last partition. */
  readonly last: number
}

/** The circumstances in which an event is handled. */
export interface HandlerContext {
  /** Aborts when the shard is lost: what the handler does from then on does not count. */
  readonly signal: AbortSignal
  /** The number of the owner's fence. It rises for a partition whatever happens, so that others can refuse a former owner. */
  readonly token: number
  /** The shard of the event. */
  readonly shard: ShardRange
}

/** Handles one event, as the handler of `consume()` does. */
export type GroupHandler<V = unknown, O = unknown, K extends Key = Key, S = unknown, E = Key | undefined> = (
  event: HandledEvent<V, E>,
  state: Partition<K, S>,
  emit: (output: O) => void,
  context: HandlerContext,
) => unknown

/** How far the run on one shard is, after a commit. */
export interface ShardProgress extends Progress {
  /** The shard. */
  readonly shard: ShardRange
}

/** The events and commits of all shards. */
export interface Totals {
  events: number
  commits: number
}

export interface Program {
  readonly source: Source
  readonly handler: GroupHandler
  readonly options: Omit<ConsumeOptions, 'signal' | 'onProgress'> & {
    readonly onProgress?: ((progress: ShardProgress) => unknown) | undefined
  }
  /** Aborts when it is to end on all shards. */
  readonly signal: AbortSignal
  readonly totals: Totals
}
