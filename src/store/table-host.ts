import type { Memtable } from '../engine/memtable.js'
import type { View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { Hold } from './holds.js'
import type { ReadSet } from './read-set.js'

/** What a table needs of the store that it belongs to. */
export interface TableHost {
  readonly partitions: number
  /** How large the memtable that takes changes may be: what `maxUncommittedBytes` leaves beside the commits on their way. */
  readonly budget: number
  /** Milliseconds that never step back. */
  monotonic(): number
  /** The time by which live reads judge expiry. */
  now(): number
  /** The memtable that takes changes; throws when this handle may not write. */
  writable(): Memtable
  /** What is to be read now; throws when the handle is closed. */
  view(): View
  /** Takes note of what is read of what is committed, in handles that write together with others. */
  readonly readSet?: Pick<ReadSet, 'key' | 'range'> | undefined
  /** Catches up with others. */
  catchUp(): Promise<void>
  /** Throws when nothing can be read any more. */
  assertOpen(): void
  /** Keeps what a reader of the state needs: while it waits for a promise, or for as long as it is used. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold
  /** After a read that failed: the same view, repaired, to repeat it on. Throws when it was not damage, or can't be. */
  mend(view: View, error: unknown): Promise<View>
}
