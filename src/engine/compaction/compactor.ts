/**
 * Compactor and merging beside commits. A job only uploads; what it has made waits as an edit until the next entry carries
 * it. One fold and one merge run at a time.
 */
import { TidemarkError, isFull, isTidemarkError } from '../../errors.js'
import { applyEdit, type Edit, type FoldEdit, type MergeEdit } from '../../manifest/edits.js'
import type { Manifest, SegmentRef } from '../../manifest/manifest.js'
import { damageOf } from '../../segment/damage.js'
import { warnLater, type LogContext, type ShardContext } from '../context.js'
import { pickAll, pickMerge } from './picker.js'
import { foldTail, mergeRuns, writtenFor } from './run-writer.js'
import type { ShardState } from '../state.js'

export { dropUploads, foldTail, writeMemtables, writtenFor } from './run-writer.js'

/** What a merge does about damage. */
export interface Repairs {
  isDamaged(name: string): boolean
  /** Resolves when the present state is repaired; rejects with what it can't repair. */
  mend(state: ShardState, error: unknown): Promise<unknown>
}

export class Compactor {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #state: () => ShardState
  readonly #repairs: Repairs
  /** Aborts when nothing more is to be uploaded. */
  readonly #signal: AbortSignal
  /** Looks at the state anew. */
  readonly #consider: () => void
  #folding: Promise<void> | undefined
  #merging: Promise<void> | undefined
  #fold: FoldEdit | undefined
  #merge: MergeEdit | undefined
  /** Of the last fold or merge that failed. */
  #lastError: unknown
  /** Counts repairs: what a job began on before one is dropped. */
  #ground = 0

  constructor(
    ctx: ShardContext,
    log: LogContext,
    state: () => ShardState,
    repairs: Repairs,
    signal: AbortSignal,
    consider: () => void,
  ) {
    this.#ctx = ctx
    this.#log = log
    this.#state = state
    this.#repairs = repairs
    this.#signal = signal
    this.#consider = consider
  }

  /** What the next entry may carry. */
  get edits(): readonly Edit[] {
    return [...(this.#merge ? [this.#merge] : []), ...(this.#fold ? [this.#fold] : [])]
  }

  restart(): void {
    this.#ground++
    this.#dropFold()
    this.#dropMerge()
  }

  dropCondemned(): void {
    if (this.#fold && this.#isCondemned(this.#fold)) this.#dropFold()
    if (this.#merge && this.#isCondemned(this.#merge)) this.#dropMerge()
  }

  /** Another writer's collection could not know of what is about to be named. */
  #isCondemned(edit: FoldEdit | MergeEdit): boolean {
    return this.#ctx.uploads.areCondemned(edit.kind === 'fold' ? edit.runs.flat() : edit.output)
  }

  /** Waits for a fold; rejects when folds fail and there is no patience left. */
  async admit(isPatient: boolean): Promise<void> {
    if (this.#fold) return
    const { length } = this.#state().tail
    this.#lastError = undefined
    // One that began before a repair is dropped without an error; the one after it counts.
    for (let tries = 2; tries > 0 && !this.#fold && this.#lastError === undefined; tries--) {
      this.startFold(true)
      await this.#folding
    }
    if (this.#fold || isPatient) return
    const what = `Commits of store "${this.#ctx.store}" wait: ${length} entries are not folded, because`
    const cause = this.#lastError
    throw isFull(cause)
      ? new TidemarkError('QUOTA', `${what} there is no space for that. Free some space and try again.`, { cause })
      : new TidemarkError('STORAGE_UNAVAILABLE', `${what} folding fails. See the cause.`, { cause })
  }

  /** Folds what is there now, or less; resolves when the edit is ready, rejects with what made it fail. */
  async foldNow(): Promise<void> {
    const wanted = this.#state().head
    while (this.#state().manifest.covers < wanted) {
      // One that covers less is carried first: what it has uploaded is not for nothing.
      if (this.#fold) return
      this.startFold(true)
      this.#lastError = undefined
      await this.#folding
      // No edit and no error: another one was carried meanwhile.
      if (this.#fold === undefined && this.#lastError !== undefined) throw this.#lastError
      if (this.#signal.aborted) return
    }
  }

  /** Beside other tabs only one folds at a time, unless it `must` be done. */
  startFold(must = false): void {
    if (this.#folding || this.#fold || this.#signal.aborted) return
    const state = this.#state()
    const ground = this.#ground
    const fold = (): Promise<FoldEdit> => foldTail(this.#ctx, this.#log, state, this.#signal)
    const { peers } = this.#ctx.storage
    this.#folding = (this.#ctx.isShared && peers && !must ? peers.alone(`${this.#log.path}/fold`, fold) : fold())
      .then((edit) => {
        if (edit === undefined) return
        // Another one may have been carried since this one began.
        this.#fold = edit
        const isMoved = edit.from !== this.#state().manifest.covers
        if (ground !== this.#ground || isMoved || this.#isCondemned(edit)) this.#dropFold()
      })
      .catch((error: unknown) => this.#failed('Compactor', error))
      .finally(() => {
        this.#folding = undefined
        if (ground !== this.#ground) this.#consider()
      })
  }

  /** Merges all that is there where that is worth it; resolves with whether there is an edit to carry. */
  async mergeNow(): Promise<boolean> {
    await this.#merging
    if (this.#merge === undefined) {
      this.#lastError = undefined
      this.startMerge(pickAll(this.#state().manifest))
      await this.#merging
      if (this.#merge === undefined && this.#lastError !== undefined) throw this.#lastError
    }
    return this.#merge !== undefined
  }

  #dropFold(): void {
    if (this.#fold) this.#ctx.uploads.drop(this.#fold.written?.flat() ?? [])
    this.#fold = undefined
  }

  #dropMerge(): void {
    if (this.#merge) this.#ctx.uploads.drop(this.#merge.output)
    this.#merge = undefined
  }

  startMerge(inputs = pickMerge(this.#state().manifest)): void {
    if (this.#merging || this.#merge || this.#signal.aborted || inputs === undefined) return
    const state = this.#state()
    // What is lost stays where it is, for whoever can still read parts of it.
    if (inputs.flat().some(({ name }) => this.#repairs.isDamaged(name))) return
    const ground = this.#ground
    this.#merging = mergeRuns(this.#ctx, this.#log, state, inputs, this.#signal)
      .then((edit) => {
        this.#merge = edit
        if (ground !== this.#ground || this.#isCondemned(edit)) this.#dropMerge()
      })
      .catch(async (error: unknown) => {
        // Tried again on the repaired state.
        if (damageOf(error)) await this.#repairs.mend(state, error)
        else throw error
      })
      .catch((error: unknown) => this.#failed('Compaction', error))
      .finally(() => {
        this.#merging = undefined
      })
  }

  #failed(what: string, error: unknown): void {
    this.#lastError = error
    if (this.#signal.aborted || (isTidemarkError(error) && error.code === 'ABORTED')) return
    warnLater(this.#ctx, what, error)
  }

  /** Entries were committed that carry `edits`: what was waiting is done with. */
  carried(after: Manifest, edits: readonly Edit[]): void {
    // An edit that is carried is done with; one that no longer fits would wait for ever, its blobs are left to collection.
    if (this.#fold && edits.includes(this.#fold)) this.#fold = undefined
    else if (this.#fold?.from !== after.covers) this.#dropFold()
    if (this.#merge && edits.includes(this.#merge)) this.#merge = undefined
    else if (this.#merge && applyEdit(after, this.#merge) === undefined) this.#dropMerge()
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.allSettled([this.#folding, this.#merging])
  }

  /** What waits for an entry, and will not get one. */
  takeWaiting(): readonly SegmentRef[] {
    const waiting = writtenFor([this.#fold, this.#merge])
    this.#fold = this.#merge = undefined
    return waiting
  }
}
