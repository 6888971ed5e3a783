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

/** Options of `group.run`: those of `consume`, for the run on each shard. */
export interface GroupRunOptions<O = unknown> extends Omit<ConsumeOptions<O>, 'signal' | 'onProgress'> {
  /**
   * Ends the run when it aborts: the events in hand are finished and committed, and `run` resolves. The shards stay with this
   * member until it leaves.
   * @default none: the run ends with `leave()`
   * @when Set it when something else is to be run on the same shards.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * Is called after each commit of a shard, and waited for. An error of it is told as a `warning` of the group.
   * @default none
   * @when Set it to show how far each shard is.
   */
  readonly onProgress?: ((progress: ShardProgress) => unknown) | undefined
}

/** The result of `group.run`. */
export interface GroupRunResult {
  /** Events handled by this member, on all shards. */
  readonly events: number
  /** Commits made by it. */
  readonly commits: number
}

export interface Program {
  readonly source: Source
  readonly handler: GroupHandler
  readonly options: Omit<GroupRunOptions, 'signal'>
  /** It is to end on all shards. */
  isEnding: boolean
  /** What ends its run on each shard. One signal for all would have as many listeners as there are shards, of which Node warns. */
  readonly runs: Set<() => void>
  readonly totals: { events: number; commits: number }
}
