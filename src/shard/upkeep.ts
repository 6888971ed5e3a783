/**
 * Folding and merging beside commits. A job only uploads; what it has made waits as an edit until the next entry carries
 * it. One fold and one merge run at a time; the tail is held by letting commits wait for a fold that is under way.
 */
import { TidemarkError, isTidemarkError } from '../errors.js'
import { applyEdit, type Edit, type FoldEdit, type MergeEdit } from '../manifest/edits.js'
import type { Manifest } from '../manifest/manifest.js'
import { damageOf } from '../segment/damage.js'
import type { CollectPlan } from './build.js'
import type { LogContext, ShardContext } from './context.js'
import { rewriting } from './parts.js'
import type { Repairs } from './repairs.js'
import { tailBytes, type ShardState } from './state.js'

/** Part of the tail's bound at which a fold starts. */
const FOLD_AT = 0.75
/** Of the runs that are merged; with no more than so many there is nothing to merge (picker.ts). */
export const FAN_IN = 8
/** The same in shared mode, for the writer of the entry that reaches the bound; and for anyone, should that one fail. */
const SHARED_FOLD_AT = 1.5
/** Multiple of the bound up to which commits still go through while folds fail. */
const PATIENCE = 4

export class Upkeep {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #state: () => ShardState
  readonly #repairs: Repairs
  readonly #stop = new AbortController()
  #folding: Promise<void> | undefined
  #merging: Promise<void> | undefined
  #fold: FoldEdit | undefined
  #merge: MergeEdit | undefined
  /** What the next entry is to condemn, and the entry after which that was found. */
  #plan: { readonly collect: CollectPlan; readonly resetAt: number | undefined } | undefined
  /** Of the last fold that failed. */
  #lastError: unknown
  /** Counts repairs: what a job began on before one is dropped. */
  #ground = 0

  constructor(ctx: ShardContext, log: LogContext, state: () => ShardState, repairs: Repairs) {
    this.#ctx = ctx
    this.#log = log
    this.#state = state
    this.#repairs = repairs
  }

  /** Aborts when nothing more is to be uploaded. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** What the next entry may carry. */
  get edits(): readonly Edit[] {
    // Only simulations leave this rule out.
    if (this.#fold && !this.#ctx.rules.foldStart) this.#fold = { ...this.#fold, from: this.#state().manifest.covers }
    return [...(this.#merge ? [this.#merge] : []), ...(this.#fold ? [this.#fold] : [])]
  }

  /** What the next entry is to condemn. A reset in between may need some of it again. */
  get collection(): CollectPlan | undefined {
    return this.#plan?.resetAt === this.#state().resetAt ? this.#plan?.collect : undefined
  }

  /** `resetAt` is that of the state in which it was found. */
  condemn(collect: CollectPlan, resetAt: number | undefined): void {
    this.#plan = { collect, resetAt }
  }

  /** An entry condemned what was waiting. */
  condemned(): void {
    this.#plan = undefined
  }

  /** The state was repaired: what was made for the one before it fits no longer, even where it looks as if it did. */
  restart(): void {
    this.#ground++
    this.#dropFold()
    this.#dropMerge()
    this.#plan = undefined
    this.consider(true)
  }

  /** Others have written: what was found or made before and no longer fits is dropped, and found or made anew. */
  met(before: Manifest, after: Manifest): void {
    this.#plan = undefined
    this.carried(before, after, [])
    if (this.#fold && this.#isCondemned(this.#fold)) this.#dropFold()
    if (this.#merge && this.#isCondemned(this.#merge)) this.#dropMerge()
  }

  /** Another writer's collection could not know of what is about to be named. */
  #isCondemned(edit: FoldEdit | MergeEdit): boolean {
    return this.#ctx.uploads.areCondemned(edit.kind === 'fold' ? edit.runs.flat() : edit.output)
  }

  /**
   * Looks at the state after every entry, and starts what it calls for. Of several writers the one whose entry reaches the
   * bound folds, or else anyone some entries later; merging goes with folding.
   */
  consider(isOwn: boolean): void {
    const state = this.#state()
    const { entries, bytes } = this.#ctx.checkpoint
    const { length } = state.tail
    const { isShared } = this.#ctx
    if (isShared && !isOwn) return
    const isMany = isShared ? length === entries || length >= entries * SHARED_FOLD_AT : length >= entries * FOLD_AT
    // As long as nothing heals what was repaired, more damage may be more than can be repaired.
    if (isMany || tailBytes(state) >= bytes || state.isRepaired) this.#startFold()
    if (!isShared || length < entries) this.#startMerge()
  }

  /** Resolves when another entry may be appended; rejects when folds have failed for too long. */
  async admit(): Promise<void> {
    const state = this.#state()
    const { entries, bytes } = this.#ctx.checkpoint
    const bound = this.#ctx.isShared ? entries * SHARED_FOLD_AT : entries
    const over = Math.max(state.tail.length / bound, tailBytes(state) / (bytes * PATIENCE))
    if (over < 1 || this.#fold) return
    this.#startFold()
    await this.#folding
    if (this.#fold || over < PATIENCE) return
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `Commits of store "${this.#ctx.store}" wait: ${state.tail.length} entries are not folded, because folding fails. See the cause.`,
      { cause: this.#lastError },
    )
  }

  /** Folds all that is there now; resolves when the edit is ready, rejects with what made it fail. */
  async foldNow(): Promise<void> {
    const wanted = this.#state().head
    while (this.#state().manifest.covers < wanted) {
      if (this.#fold && this.#fold.covers >= wanted) return
      if (this.#folding === undefined) {
        this.#dropFold()
        this.#startFold(true)
      }
      this.#lastError = undefined
      await this.#folding
      // No edit and no error: another one was carried meanwhile.
      if (this.#fold === undefined && this.#lastError !== undefined) throw this.#lastError
      if (this.#stop.signal.aborted) return
    }
  }

  /** Beside other tabs only one folds at a time, unless it `must` be done. */
  #startFold(must = false): void {
    if (this.#folding || this.#fold || this.#stop.signal.aborted) return
    const state = this.#state()
    const ground = this.#ground
    const fold = (): Promise<FoldEdit> =>
      rewriting.use(({ foldTail }) => foldTail(this.#ctx, this.#log, state, this.#stop.signal))
    const { neighbours } = this.#ctx.storage
    this.#folding = (
      this.#ctx.isShared && neighbours && !must ? neighbours.alone(`${this.#log.path}/fold`, fold) : fold()
    )
      .then((edit) => {
        if (edit === undefined) return
        // Another one may have been carried since this one began.
        this.#fold = edit
        const isMoved = this.#ctx.rules.foldStart && edit.from !== this.#state().manifest.covers
        if (ground !== this.#ground || isMoved || this.#isCondemned(edit)) this.#dropFold()
      })
      .catch((error: unknown) => {
        this.#lastError = error
        this.#failed('Folding', error)
      })
      .finally(() => {
        this.#folding = undefined
        if (ground !== this.#ground) this.consider(true)
      })
  }

  /** Merges all that is there where that is worth it; resolves with whether there is an edit to carry. */
  async mergeNow(): Promise<boolean> {
    await this.#merging
    if (this.#merge === undefined) {
      this.#lastError = undefined
      this.#startMerge(true)
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

  #startMerge(all = false): void {
    if (this.#merging || this.#merge || this.#stop.signal.aborted) return
    const state = this.#state()
    if (!all && state.manifest.runs.length <= FAN_IN) return
    const ground = this.#ground
    this.#merging = rewriting
      .use(({ mergeRuns, pickAll, pickMerge }) => {
        const inputs = (all ? pickAll : pickMerge)(state.manifest)
        // What is lost stays where it is, for whoever can still read parts of it.
        if (inputs?.flat().some(({ name }) => this.#repairs.isDamaged(name)) !== false) return undefined
        return mergeRuns(this.#ctx, this.#log, state, inputs, this.#stop.signal)
      })
      .then((edit) => {
        this.#merge = edit
        if (ground !== this.#ground || (edit && this.#isCondemned(edit))) this.#dropMerge()
      })
      .catch(async (error: unknown) => {
        // Tried again on the repaired state.
        if (damageOf(error)) await this.#repairs.mend(state, error)
        else throw error
      })
      .catch((error: unknown) => {
        this.#lastError = error
        this.#failed('Compaction', error)
      })
      .finally(() => {
        this.#merging = undefined
      })
  }

  #failed(what: string, error: unknown): void {
    if (this.#stop.signal.aborted || (isTidemarkError(error) && error.code === 'ABORTED')) return
    this.#ctx.warn(`${what} of store "${this.#ctx.store}" failed and is tried again later.`, error)
  }

  /** An entry with a manifest was committed, which carries `edits`: what was waiting is done with. */
  carried(before: Manifest, after: Manifest, edits: readonly Edit[]): void {
    for (const { kind } of edits) this.#ctx.counters[kind === 'fold' ? 'folds' : 'compactions']++
    // An edit that is carried is done with; one that no longer fits would wait for ever, its blobs are left to collection.
    if (this.#fold && edits.includes(this.#fold)) this.#fold = undefined
    else if (this.#ctx.rules.foldStart && this.#fold?.from !== after.covers) this.#dropFold()
    if (this.#merge && edits.includes(this.#merge)) this.#merge = undefined
    else if (this.#merge && applyEdit(after, this.#merge) === undefined) this.#dropMerge()
    const old = new Set(before.runs.flat().map((s) => s.name))
    this.#ctx.counters.segmentsReused += after.runs.flat().filter((s) => old.has(s.name)).length
  }

  /** Stops what is running; what was uploaded and not yet named is left to collection. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled([this.#folding, this.#merging])
  }
}
