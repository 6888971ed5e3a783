/**
 * Folds and merges beside commits. Each only uploads; the edit that it has made waits until the next entry carries it. One fold
 * and one merge run at a time.
 */
import { TidemarkError, isFull, isTidemarkError } from '../../errors.js'
import { applyEdit, type Edit } from '../../manifest/edits.js'
import type { Manifest, Run, SegmentRef } from '../../manifest/manifest.js'
import { damageOf } from '../../segment/damage.js'
import { warnLater } from '../context.js'
import type { OpenLog, ShardState } from '../state.js'
import { pickClipped } from './clipped.js'
import { pickAll, pickMerge } from './picker.js'
import { foldTail, mergeRuns, writtenFor } from './run-writer.js'

export { dropUploads, foldTail, LargeCommit, writtenFor } from './run-writer.js'

/** Knows of damage, for a merge. */
export interface Detector {
  readonly repairer: { readonly loaded?: { isAnyDamaged(segments: readonly SegmentRef[]): boolean } | undefined }
  /** Resolves when the present state is repaired; rejects with what it can't repair. */
  repair(state: ShardState, error: unknown): Promise<unknown>
}

type Kind = Edit['kind']

export class Compactor {
  readonly #shard: OpenLog
  readonly #detector: Detector
  /** Aborts when nothing more is to be uploaded. */
  readonly #signal: AbortSignal
  /** Looks at the state anew. */
  readonly #consider: () => void
  readonly #running = new Map<Kind, Promise<void>>()
  readonly #ready = new Map<Kind, Edit>()
  /** The error of the last fold, or merge, since it was last asked for one: a merge that fails is no business of a fold. */
  readonly #errors = new Map<Kind, unknown>()
  /** Counts repairs: an edit that was begun before one is dropped. */
  #ground = 0

  constructor(shard: OpenLog, detector: Detector, signal: AbortSignal, consider: () => void) {
    this.#shard = shard
    this.#detector = detector
    this.#signal = signal
    this.#consider = consider
  }

  /** The edits that the next entry may carry. */
  get edits(): readonly Edit[] {
    return (['merge', 'fold'] as const).flatMap((kind) => this.#ready.get(kind) ?? [])
  }

  restart(): void {
    this.#ground++
    this.#drop(() => true)
  }

  /** Drops edits that name what another writer's collection has condemned, which could not know of it. */
  dropCondemned(): void {
    this.#drop((edit) => this.#isCondemned(edit))
  }

  #isCondemned(edit: Edit): boolean {
    return this.#shard.context.uploads.areCondemned(writtenFor([edit]))
  }

  #drop(isOver: (edit: Edit) => boolean): void {
    for (const edit of this.#ready.values()) {
      if (!isOver(edit)) continue
      this.#shard.context.uploads.drop(writtenFor([edit]))
      this.#ready.delete(edit.kind)
    }
  }

  /** Waits for a fold; rejects when folds fail. */
  async admit(): Promise<void> {
    if (this.#ready.has('fold')) return
    const { context, state } = this.#shard
    this.#errors.delete('fold')
    // One that began before a repair is dropped without an error; the one after it counts.
    for (let tries = 2; tries > 0 && !this.#ready.has('fold') && !this.#errors.has('fold'); tries--) {
      await this.startFold(true)
    }
    if (this.#ready.has('fold')) return
    const what = `Commits of store "${context.store}" wait: ${state.tail.length} entries are not folded, because`
    const cause = this.#errors.get('fold')
    throw isFull(cause)
      ? new TidemarkError('QUOTA', `${what} there is no space for that. Free some space and try again.`, { cause })
      : new TidemarkError('STORAGE_UNAVAILABLE', `${what} folding fails. See the cause.`, { cause })
  }

  /** Folds what is committed now, and has entries carry that. `writer` throws when nothing may be written any more. */
  async foldNow(writer: () => { carry(): Promise<void> }): Promise<void> {
    const wanted = this.#shard.state.head
    while (this.#shard.state.manifest.covers < wanted) {
      // A fold that covers less is carried first: what it has uploaded is not for nothing.
      if (!this.#ready.has('fold')) {
        const folding = this.startFold(true)
        this.#errors.delete('fold')
        await folding
        // An error of a commit meanwhile forbids it as well, and says more than that the fold was stopped.
        writer()
        // No edit and no error: another one was carried meanwhile.
        if (!this.#ready.has('fold') && this.#errors.has('fold')) throw this.#errors.get('fold')
      }
      await writer().carry()
    }
  }

  /** Beside other tabs only one folds at a time, unless it `must` be done. Resolves when the fold is over. */
  startFold(must = false): Promise<void> {
    const { context, log, state } = this.#shard
    const { peers } = context.storage
    const fold = (): Promise<Edit> => foldTail(context, log, state, this.#signal)
    return this.#start('fold', () =>
      context.isShared && peers && !must ? peers.alone(`${log.path}/fold`, fold) : fold(),
    )
  }

  /** Merges all that is there where that is worth it; resolves with whether there is an edit to carry. */
  async mergeNow(): Promise<boolean> {
    await this.#running.get('merge')
    if (!this.#ready.has('merge')) {
      this.#errors.delete('merge')
      await this.startMerge(pickAll(this.#shard.state.manifest) ?? (await this.#pickClipped()))
      if (!this.#ready.has('merge') && this.#errors.has('merge')) throw this.#errors.get('merge')
    }
    return this.#ready.has('merge')
  }

  startMerge(inputs = pickMerge(this.#shard.state.manifest)): Promise<void> {
    const { context, log } = this.#shard
    // A merge takes long, and must not keep the tail in memory that the state has when it begins.
    const { manifest, carried } = this.#shard.state
    // Lost segments stay where they are, for whoever can still read parts of them.
    if (inputs === undefined || this.#detector.repairer.loaded?.isAnyDamaged(inputs.flat())) return Promise.resolve()
    return this.#start('merge', () =>
      mergeRuns(context, log, manifest, carried.versionTime, inputs, this.#signal).catch(async (error: unknown) => {
        if (damageOf(error) === undefined) throw error
        // It is tried again on the repaired state.
        await this.#detector.repair(this.#shard.state, error)
        return undefined
      }),
    )
  }

  /** Rewrites a run of other logs' segments of which little counts, while there is nothing else to merge. */
  async startClipped(): Promise<void> {
    if (this.#running.has('merge') || this.#ready.has('merge')) return
    const inputs = await this.#pickClipped().catch((error: unknown) => {
      warnLater(this.#shard.context, 'Merging', error)
      return undefined
    })
    if (inputs) await this.startMerge(inputs)
  }

  async #pickClipped(): Promise<readonly Run[] | undefined> {
    const { context, log, state } = this.#shard
    const run = await pickClipped(context.cache, state.manifest, log.path)
    return run && [run]
  }

  /** Starts what makes an edit, unless one is being made or waits; what no longer fits when it is made is dropped. */
  #start(kind: Kind, make: () => Promise<Edit | undefined>): Promise<void> {
    const running = this.#running.get(kind)
    if (running || this.#ready.has(kind) || this.#signal.aborted) return running ?? Promise.resolve()
    const ground = this.#ground
    const made = make()
      .then((edit) => {
        if (edit === undefined) return
        this.#ready.set(kind, edit)
        const fits = applyEdit(this.#shard.state.manifest, edit) !== undefined
        if (ground !== this.#ground || !fits || this.#isCondemned(edit)) this.#drop((other) => other === edit)
      })
      .catch((error: unknown) => {
        this.#errors.set(kind, error)
        if (this.#signal.aborted || (isTidemarkError(error) && error.code === 'ABORTED')) return
        warnLater(this.#shard.context, kind === 'fold' ? 'Folding' : 'Merging', error)
      })
      .finally(() => {
        this.#running.delete(kind)
        if (ground !== this.#ground) this.#consider()
      })
    this.#running.set(kind, made)
    return made
  }

  /** Entries were committed that carry `edits`; one that no longer fits would wait for ever. */
  settled(after: Manifest, edits: readonly Edit[]): void {
    for (const edit of this.#ready.values()) if (edits.includes(edit)) this.#ready.delete(edit.kind)
    this.#drop((edit) => applyEdit(after, edit) === undefined)
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  /** Takes the segments of the edits that wait for an entry, and will not get one. */
  takeWaiting(): readonly SegmentRef[] {
    const waiting = writtenFor(this.edits)
    this.#ready.clear()
    return waiting
  }
}
