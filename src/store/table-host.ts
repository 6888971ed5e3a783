/** Tables read and write through a host: a store, a snapshot, a transaction, or a job's buffer. */
import type { MapKey } from '../bytes/keys.js'
import type { KeyRange } from '../segment/record.js'
import type { Memtable } from '../engine/memtable.js'
import type { CommitResult } from '../engine/write/requests.js'
import type { View } from '../engine/read.js'
import type { Slot } from '../engine/slot.js'
import type { ShardState } from '../engine/state.js'
import type { Live } from './watching/live.js'
import type { ObserverSet, TableName } from './watching/observer.js'

/** Keeps a state readable for as long as somebody reads it. */
export interface Hold {
  /** A step of the reading. Returns whether the last one was so lately that collection has left the state alone. */
  use(): boolean
  release(): void
}

/** Takes note of what is read of what is committed. */
export interface ReadNotes {
  key(slot: Slot, key: MapKey): void
  range(slot: Slot, range: KeyRange): void
}

/** Watches and live ranges of the tables of a store. */
export interface Observing extends ObserverSet {
  watch(table: TableName, slots: readonly Slot[], options: unknown, listener: unknown): () => void
  live<T>(table: TableName, slots: readonly Slot[], options: unknown): Live<T>
  /** `place`: the index, as its reads find it. */
  liveIndex<T>(place: object, options: unknown): Live<T>
}

interface Range {
  readonly first: number
  readonly last: number
}

/** The side of a host that tables see. */
export interface TableHost {
  readonly partitions: number
  /** The partitions of its shard, when these are not all. */
  readonly own: Range | undefined
  /** How large the memtable that takes changes may be: what `maxUncommittedBytes` leaves beside the commits on their way. */
  readonly budget: number
  /** Milliseconds that never step back. */
  monotonic(): number
  /** The time by which live reads judge expiry. */
  now(): number
  /** The memtable that takes changes; throws when this handle may not write. */
  writable(): Memtable
  /** Commits changes by themselves. Within something larger that is committed as one they join it. */
  commitOwn(lay: (memtable: Memtable) => void): Promise<CommitResult>
  /** Runs `change` as a transaction until it counts; within something larger that is committed as one it is part of that. */
  transact<T>(change: (host: TableHost) => Promise<T>): Promise<T>
  /** Calls a function of the program as a part of a transaction. */
  readonly calls?: (<T>(act: () => T) => T) | undefined
  /** The view to read from now; throws when the handle is closed. */
  view(): View
  /** In handles that write together with others. */
  readonly readSet?: ReadNotes | undefined
  /** Catches up with others. */
  catchUp(): Promise<void>
  /** Those who are told of changes; throws where nothing changes by itself. */
  readonly observers: Observing
  /** Throws when nothing can be read any more. */
  assertOpen(): void
  /** Keeps what a reader of the state needs: while it waits for a promise, or for as long as it is used. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold
  /** After a read that failed: the same view, repaired, to repeat it on. Throws when it was not damage, or can't be. */
  repair(view: View, error: unknown): Promise<View>
}

/** The transactions of a handle, one after another. */
export interface Transactions {
  /** Whether the function of one is running. */
  readonly isRunning: boolean
  run<T>(body: (host: TableHost) => Promise<T>, options: { readonly tries: number }, fallenOffsets: number): Promise<T>
}
