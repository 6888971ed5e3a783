/** Requests to the committer, and its answers. */
import type { TidemarkError } from '../../errors.js'
import type { OffsetMap } from '../../log/offsets.js'
import type { Spans } from '../../log/spans.js'
import type { Turn } from '../../log/shard-parts.js'
import type { BuiltEntry, EntryChange } from '../entry-builder.js'
import type { Memtable } from '../memtable.js'
import type { ShardState } from '../state.js'

/** The program's buffer, changes of their own that are blind, or those of a transaction. */
export type CommitKind = 'buffer' | 'own' | 'transaction'

export interface CommitRequest {
  /** Sealed: every point has its bytes. */
  readonly memtable: Memtable
  /** Judged at its turn, against the committed ones. */
  readonly offsets: OffsetMap
  /** Where a run has moved sources whose positions differ between partitions; `offsets` has the lowest of them. */
  readonly moved?: Spans | undefined
  readonly force: boolean
  readonly label: string | undefined
  readonly meta: string | undefined
  /** Whose turn it is from here on, where a group shares out who owns what. */
  readonly turn?: Turn | undefined
  /**
   * Why it may no longer be appended, now that others have written; `isLate` when they did so after it was asked for. Only
   * asked in shared mode.
   */
  readonly objection: (isLate: boolean) => string | undefined
  /** Only changes of the buffer are given back when it fails: the makers of others make them anew. */
  readonly kind: CommitKind
}

/** The result of `commit`. */
export interface CommitResult {
  /** The version that the commit made. It may be more than one above the last one, as `store.version` says. */
  readonly version: number
  /** The bytes of the entry, and of segments to which it refers. */
  readonly bytes: number
  /** The storage requests that writing these took. */
  readonly requests: number
}

/** The change to append, given the state at its turn; it uploads, if anything, by the way. */
export type MakeChange = (state: ShardState, signal: AbortSignal) => Promise<Omit<EntryChange, 'time'>>

/** A place in the queue. */
export interface Job {
  /** Only a commit has one. */
  readonly request?: CommitRequest
  /** It makes a version: it waits for room in the tail, and falls together with those in front of it. */
  readonly isVersion: boolean
  /** Builds the entry on the state at its turn, of itself and those that join it; `undefined` when none is called for. */
  readonly build: (batch: readonly Job[]) => Promise<BuiltEntry | undefined>
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}

/** What commits that share an entry mean for indexes, when the entry follows a state. */
export interface Derived {
  /** To be appended in an entry of its own before any of them. */
  readonly first?: Memtable
  /** To be laid over the changes of all of them. */
  readonly over?: Memtable
  /** One of them is refused, by its place. */
  readonly refused?: { readonly at: number; readonly error: TidemarkError }
}

/** What commits mean for indexes at their turn; `undefined` when no index can be concerned. */
export type Derive = (state: ShardState, commits: readonly Memtable[], time: number) => Promise<Derived> | undefined
