/** Collection as an open shard sees it: what it is told of, and when it comes into play (collecting.ts). */
import type { CollectOptions, CollectResult } from './collector.js'
import type { Collecting } from './scheduler.js'
import { warnLater, type LogContext, type ShardContext } from '../context.js'
import { EntryIndex } from './entry-index.js'
import { collecting } from '../parts.js'
import type { AppliedEntry, ShardState } from '../state.js'
import type { CompactionScheduler } from '../compaction/scheduler.js'

/** Entries after which it is looked for what to collect. */
export const COLLECT_EVERY = 64

export type MaintainOptions = CollectOptions

/** What `maintain()` did, or with `dryRun` what of it would be due now. */
export interface MaintainResult {
  readonly folds: number
  readonly compactions: number
  /** The oldest version that is kept; 0 as long as all are. */
  readonly keeps: number
  /** What is deleted by a later call, a grace period from now. */
  readonly condemned: { readonly entries: number; readonly segments: number }
  /** Segments that were condemned before, and whose grace period is not over. */
  readonly waiting: number
  readonly deleted: CollectResult['deleted']
}

export interface MaintenanceHost {
  state(): ShardState
  /** Of a handle that may write. */
  compaction(): CompactionScheduler
  isPoisoned(): boolean
  assertWritable(): void
  checkpoint(): Promise<void>
  /** Appends an entry for what is ready. */
  carry(): Promise<void>
  /** Catches up with other writers. */
  refresh(): Promise<void>
}

export class Maintenance {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #host: MaintenanceHost
  readonly #known = new EntryIndex()
  #collecting: Collecting | undefined
  #stopped = false

  constructor(ctx: ShardContext, log: LogContext, host: MaintenanceHost) {
    this.#ctx = ctx
    this.#log = log
    this.#host = host
  }

  #use<T>(act: (work: Collecting) => T | Promise<T>): Promise<T> {
    return collecting.use((part) => {
      this.#collecting ??= new part.Collecting(this.#ctx, this.#log, this.#known, this.#host)
      return act(this.#collecting)
    })
  }

  /** Those up to the trim number are of no use any more. */
  forget(trim: number): void {
    this.#known.forget(trim)
  }

  /** An entry that this handle has written or applied: it need not be read back. */
  note(applied: AppliedEntry): void {
    this.#known.note(applied)
  }

  /** Beside commits, now and then: an idle store stays idle. */
  consider(): void {
    const { head, carried } = this.#host.state()
    // As long as this is so there is nothing that could be due.
    if (carried.collectedAt === 0 && head - carried.trim < COLLECT_EVERY) return
    this.#use((work) => {
      if (!this.#stopped) work.consider()
    }).catch((cause: unknown) => {
      warnLater(this.#ctx, 'Collection', cause)
    })
  }

  /** Folds, compacts and collects now. */
  maintain(options: MaintainOptions): Promise<MaintainResult> {
    return this.#use((work) => work.maintain(options))
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#collecting?.stop()
  }
}
