/** What follows logs, and what shows a follower's state. */
import type { Manifest } from '../../manifest/manifest.js'
import type { EntryIndex } from '../gc/entry-index.js'
import type { AppliedEntry, OpenedLog, OpenLog, ShardState } from '../state.js'

/** One log that catches up, as far as that changes it. */
export interface FollowedLog extends OpenLog {
  /** By `entries`, if they are known, the state differs from the one before. */
  moveTo(after: ShardState, entries: readonly AppliedEntry[] | undefined): void
  /** Of a handle that may write. */
  readonly known: EntryIndex | undefined
  /** Whether the right to write has ended. */
  readonly hasEnded: boolean
  /** Only a handle that may write has one. */
  readonly compaction: { met(after: Manifest): void } | undefined
  readonly detector: { prepared(state: ShardState): Promise<ShardState> }
  /** Is told that others have made versions, by which entries; `undefined` when that is not known. */
  met(before: ShardState, entries: readonly AppliedEntry[] | undefined): void
}

/** The handle that shows what is followed. */
export interface Shown extends OpenLog, Pick<FollowedLog, 'moveTo'> {
  /** The logs that were opened for it beside its own, by their paths: they are closed with it. */
  readonly others: Map<string, Pick<OpenLog, 'context' | 'log'>>
  /** Puts an equal state in place of the present one. */
  replace(equal: ShardState): void
}

/** What is followed beside the log of a handle, or in its place (shards/together.ts). */
export interface Together {
  catchUp(each: (log: FollowedLog) => Promise<void>): Promise<void>
}

/** A log that was opened, and perhaps others beside it. */
export interface OpenedShard extends OpenedLog {
  /** Of a follower of several logs: has the handle that shows them follow all of them. */
  readonly together?: ((shown: Shown) => Together) | undefined
}
