/** What is told of changes of a store: its watches and its live ranges. */
import type { Lazy } from '../../part.js'
import type { Slot } from '../../engine/slot.js'
import type { ShardState } from '../../engine/state.js'

/** Is told what the store comes to. */
export interface Observer {
  /** The store has come to a newer state. */
  push(state: ShardState): void
  /** A table was opened: what was written with its codec may be read from now on. It is called to begin with, too. */
  retry(): void
  stop(): void
}

/** Those who are told of what a store comes to. */
export interface ObserverSet {
  /** It is told of each state from now on. Returns a function that stops it. */
  add(observer: Lazy<Observer>): () => void
}

/** The name of a table, and its bytes. */
export interface TableName {
  readonly name: string
  readonly bytes: Uint8Array
}

/** A table in some partitions. */
export interface Place extends TableName {
  readonly slots: readonly Slot[]
}
