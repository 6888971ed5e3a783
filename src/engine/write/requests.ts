/** What is asked of the committer, and what it answers. */
import type { OffsetMap } from '../../log/offsets.js'
import type { Reset } from '../entry-builder.js'
import type { Memtable } from '../memtable.js'
import type { ShardState } from '../state.js'

export interface CommitRequest {
  /** Sealed: every point has its bytes. */
  readonly memtable: Memtable
  readonly offsets: OffsetMap
  readonly force: boolean
  readonly label: string | undefined
  readonly meta: string | undefined
  /**
   * Whether it may still be appended, now that others have written; `isLate` when they did so after it was asked for. Only
   * asked in shared mode.
   */
  readonly stands: (isLate: boolean) => boolean
  /** What fails is not given back: it is made anew. */
  readonly isOwn: boolean
}

export interface CommitResult {
  readonly version: number
  /** Bytes of the entry and of segments that it refers to, and the storage requests that writing them took. */
  readonly bytes: number
  readonly requests: number
}

/** Puts another state in place of the present one. */
export interface ResetRequest {
  readonly label: string | undefined
  readonly meta: string | undefined
  /** Waited for at its turn; when it fails, only the reset does. */
  readonly prepared: Promise<PreparedReset>
}

export interface PreparedReset {
  /** The offsets afterwards, given those before. */
  readonly offsets: (before: OffsetMap) => OffsetMap
  /** What to put there, given the state at its turn; uploads, if anything, by the way. */
  readonly build: (state: ShardState, signal: AbortSignal) => Promise<ResetBuild>
}

export interface ResetBuild {
  readonly reset: Reset
  readonly memtable: Memtable | undefined
}

export interface ResetResult extends CommitResult {
  /** The version that undoes it. */
  readonly undo: number
}

/** A place in the queue: a commit, a reset, a look at what others have written, or none of these for an entry that only carries what is ready. */
export interface Waiting {
  readonly request?: CommitRequest
  readonly reset?: ResetRequest
  readonly isLook?: boolean
  /** After a commit. Behind a reset they are known only at their turn; left out: as they were. */
  readonly offsets?: OffsetMap | ((before: OffsetMap) => OffsetMap) | undefined
  readonly resolve: (result: CommitResult) => void
  readonly reject: (error: unknown) => void
}
