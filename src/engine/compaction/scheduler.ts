/**
 * When to fold and to merge, and what of that the next entry carries; the work is the compactor's, which is loaded for it.
 * The tail is held by letting commits wait for a fold that is under way.
 */
import type { Edit } from '../../manifest/edits.js'
import { FAN_IN, type Manifest, type SegmentRef } from '../../manifest/manifest.js'
import { manifests, type CollectPlan } from '../entry-builder.js'
import { warnLater } from '../context.js'
import { Part, type Lazy } from '../../part.js'
import { tailBytes, type OpenLog } from '../state.js'
import type { Compactor, Detector } from './compactor.js'

/** Everything that writes segments; with it comes what an entry needs that names them. */
export const rewriting = new Part(async () => {
  await manifests.load()
  return import('./compactor.js')
})

/** Part of the tail's bound at which a fold starts. */
const FOLD_AT = 0.75
/** The same in shared mode, for the writer of the entry that reaches the bound; and for anyone, should that one fail. */
const SHARED_FOLD_AT = 1.5
/** Multiple of the bound up to which commits still go through while folds fail. */
const PATIENCE = 4

export class CompactionScheduler {
  readonly #shard: OpenLog
  readonly #stop = new AbortController()
  readonly compactor: Lazy<Compactor>
  /** The collection that was found for the next entry. */
  plan: CollectPlan | undefined

  constructor(shard: OpenLog, detector: Detector) {
    this.#shard = shard
    const consider = (): void => this.consider(true)
    this.compactor = rewriting.lazy((part) => new part.Compactor(shard, detector, this.signal, consider))
  }

  /** Aborts when nothing more is to be uploaded. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** The edits that the next entry may carry. */
  get edits(): readonly Edit[] {
    return this.compactor.loaded?.edits ?? []
  }

  /** The collection that the next entry is to carry. A reset in between may need some of what it condemns again. */
  get collection(): CollectPlan | undefined {
    return this.plan?.resetAt === this.#shard.state.resetAt ? this.plan : undefined
  }

  /** The state was repaired: what was made for the one before it fits no longer, even where it looks as if it did. */
  restart(): void {
    this.compactor.loaded?.restart()
    this.plan = undefined
    this.consider(true)
  }

  /** Others have written: what was found or made before and no longer fits is dropped, and found or made anew. */
  met(after: Manifest): void {
    this.plan = undefined
    this.compactor.loaded?.settled(after, [])
    this.compactor.loaded?.dropCondemned()
  }

  /**
   * Looks at the state after every entry, and starts what it calls for. Of several writers the one whose entry reaches the
   * bound folds, or else anyone some entries later; merging goes with folding.
   */
  consider(isOwn: boolean, hasFolded = false): void {
    const state = this.#shard.state
    const { entries, bytes } = this.#shard.context.checkpoint
    const { length } = state.tail
    const { isShared } = this.#shard.context
    if (isShared && !isOwn) return
    const isMany = isShared ? length === entries || length >= entries * SHARED_FOLD_AT : length >= entries * FOLD_AT
    // As long as nothing heals what was repaired, more damage may be more than can be repaired.
    const folds = isMany || tailBytes(state) >= bytes || state.isRepaired
    const merges = (!isShared || hasFolded) && state.manifest.runs.length > FAN_IN
    if (!folds && !merges) return
    this.compactor
      .use((work) => {
        if (folds) void work.startFold()
        if (merges) void work.startMerge()
      })
      .catch((error: unknown) => {
        if (!this.signal.aborted) warnLater(this.#shard.context, folds ? 'Folding' : 'Merging', error)
      })
  }

  /** Resolves when another entry may be appended; rejects when folds have failed for too long (R58). */
  async admit(): Promise<void> {
    const state = this.#shard.state
    const { entries, bytes } = this.#shard.context.checkpoint
    const bound = this.#shard.context.isShared ? entries * SHARED_FOLD_AT : entries
    const over = Math.max(state.tail.length / bound, tailBytes(state) / (bytes * PATIENCE))
    if (over < 1) return
    try {
      await this.compactor.use((work) => work.admit())
    } catch (error) {
      if (over >= PATIENCE) throw error
    }
  }

  /** An entry with a manifest was committed, which carries `edits`. */
  settled(before: Manifest, after: Manifest, edits: readonly Edit[]): void {
    const { counters } = this.#shard.context
    for (const { kind } of edits) counters[kind === 'fold' ? 'folds' : 'compactions']++
    this.compactor.loaded?.settled(after, edits)
    void this.compactor.loaded?.startClipped()
    const old = new Set(before.runs.flat().map((s) => s.name))
    counters.segmentsReused += after.runs.flat().filter((s) => old.has(s.name)).length
  }

  /** Stops what is running; what was uploaded and not yet named is left to collection, as long as there is room. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.compactor.loaded?.idle()
  }

  /** No entry will name these segments, nor what waits for one: the last one was not written, or there will be no more. */
  async dropWaiting(segments: readonly SegmentRef[], cause?: unknown): Promise<void> {
    const waiting = this.compactor.loaded?.takeWaiting() ?? []
    await rewriting.loaded?.dropUploads(this.#shard.context, [...segments, ...waiting], cause)
  }
}
