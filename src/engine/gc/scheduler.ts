/** When to look for what nothing needs any more: now and then beside commits, and whenever somebody asks for it. */
import { isExpired, isTidemarkError } from '../../errors.js'
import { COLLECT_EVERY, warnLater } from '../context.js'
import { Collector, type CollectOptions, type CollectResult } from './collector.js'
import { EntryIndex } from './entry-index.js'
import type { CollectPlan } from '../entry-builder.js'
import { Part, type Lazy } from '../../part.js'
import type { RepairedLog } from '../history/past.js'
import type { ShardState } from '../state.js'
import type { Undertaking } from '../shards/undertaking.js'
import { Thinning } from './thinning.js'

/** How often what is to be condemned is looked for anew because another writer came first. */
const TRIES = 4

/** The most objects that are deleted beside commits at once. */
const COLLECT_AT_ONCE = 1024

/** The work that `maintain()` did, or with `dryRun` the work that would be due now. */
export interface MaintainResult {
  /** How often the tail of the log was folded into segments. */
  readonly folds: number
  /** How often segments were merged. */
  readonly compactions: number
  /** From this version on all are kept, before it only thinned and tagged ones; 0 as long as all are. */
  readonly keeps: number
  /** These are deleted by a later call, a grace period from now. */
  readonly condemned: { readonly entries: number; readonly segments: number }
  /** Segments that were condemned before, and whose grace period is not over. */
  readonly waiting: number
  /** Objects that were deleted, and their bytes. */
  readonly deleted: CollectResult['deleted']
}

/** The shard whose log is collected. */
export interface CollectedShard extends RepairedLog {
  /** Whether the right to write has ended. */
  readonly hasEnded: boolean
  /** Of a handle that may write. */
  readonly known: EntryIndex | undefined
  /** Only a handle that may write has one. */
  readonly compaction:
    | { plan: CollectPlan | undefined; readonly compactor: Pick<Lazy<{ mergeNow(): Promise<boolean> }>, 'use'> }
    | undefined
  /** Appends an entry for what is ready. */
  readonly writer: { carry(): Promise<void> }
  assertWritable(): void
  checkpoint(): Promise<void>
  /** Catches up with other writers. */
  refresh(): Promise<void>
}

const NOTHING: CollectResult = { deleted: { entries: 0, segments: 0, pins: 0, bytes: 0 }, plan: undefined, waiting: 0 }

const undertaking = new Part(() => import('../shards/undertaking.js'))

export class CollectionScheduler {
  readonly #shard: CollectedShard
  readonly #collector: Collector
  readonly #stop = new AbortController()
  readonly #undertaking: Lazy<Undertaking>
  #running: Promise<unknown> | undefined
  /** At which head it was last looked for what to collect. */
  #lookedAt = 0
  /** When the oldest of what a collection has condemned is due. */
  #due: { readonly collectedAt: number; time: number } | undefined

  constructor(shard: CollectedShard) {
    this.#shard = shard
    this.#collector = new Collector(
      shard,
      shard.known ?? new EntryIndex(),
      this.#stop.signal,
      new Thinning(shard, this.#stop.signal),
    )
    this.#undertaking = undertaking.lazy((part) => new part.Undertaking(shard, this.#stop.signal))
  }

  /** Beside commits, now and then: an idle store stays idle. */
  consider(): void {
    if (this.#running) return
    const state = this.#shard.state
    const { head, carried } = state
    const { versions, ageMs } = this.#shard.context.retain
    // A look reads what it does not know of the log, and that is worth a part of what is kept.
    const since = head - Math.max(this.#lookedAt, carried.collectedAt, carried.trim)
    const isWorth = since >= Math.max(COLLECT_EVERY, versions / 4) && (ageMs > 0 || head - carried.trim > versions)
    if (!isWorth && !this.#isDue(state)) return
    const options = { minDeletes: COLLECT_EVERY, maxDeletes: COLLECT_AT_ONCE, inTime: () => true, dryRun: false }
    const done = this.#collect(options).then(() => this.#undertake(options, true))
    done.catch((cause: unknown) => {
      if (this.#shard.hasEnded || this.#stop.signal.aborted) return
      warnLater(this.#shard.context, 'Collection', cause)
    })
  }

  /** Whether the oldest of what is condemned may be deleted by now; that is not known before the first time it is asked. */
  #isDue({ carried: { collectedAt, time } }: ShardState): boolean {
    if (this.#due?.collectedAt === collectedAt) return this.#due.time <= time
    const due = { collectedAt, time: Infinity }
    this.#due = due
    // When it can't be found out, it is tried again with the next collection, or when there is more to do.
    this.#collector.dueAt(collectedAt).then(
      (at) => (due.time = at),
      () => undefined,
    )
    return false
  }

  /** What it finds the next entry condemns. */
  #collect(options: CollectOptions): Promise<CollectResult> {
    return this.#alone(() => this.#look(options))
  }

  async #look(options: CollectOptions): Promise<CollectResult> {
    const shard = this.#shard
    if (!options.dryRun) shard.assertWritable()
    const state = shard.state
    // Of one that was sealed anybody collects what is left, by other ways.
    if (state.seal || state.of) return NOTHING
    if (!options.dryRun) this.#lookedAt = state.head
    try {
      const result = await this.#collector.run(state, options)
      if (result.plan && !options.dryRun) shard.compaction!.plan = result.plan
      return result
    } catch (error) {
      if (!isExpired(error)) throw error
      // Another writer has deleted what this one was about to read: it looks again at what is left.
      await shard.refresh()
      if (shard.state.carried.trim === state.carried.trim) throw error
      return this.#look(options)
    }
  }

  /** Collects the logs of which this one came, where there are any. */
  async #undertake(
    options: CollectOptions,
    isBeside: boolean,
  ): Promise<Pick<CollectResult, 'deleted' | 'waiting'> & Partial<Pick<MaintainResult, 'condemned'>>> {
    const { carried, of } = this.#shard.state
    if (!carried.own && !of) return NOTHING
    return this.#alone(() => this.#undertaking.use((work) => work.run(options, isBeside)))
  }

  /** One at a time. */
  #alone<T>(act: () => Promise<T>): Promise<T> {
    const running = this.idle()
      .then(act)
      .finally(() => {
        if (this.#running === running) this.#running = undefined
      })
    this.#running = running
    return running
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.idle()
    await this.#undertaking.loaded?.stop()
  }

  /** Resolves when no collection is under way. */
  async idle(): Promise<void> {
    await this.#running?.catch(() => undefined)
  }

  /** Folds, compacts and collects now. */
  async maintain(options: CollectOptions): Promise<MaintainResult> {
    const shard = this.#shard
    const { counters } = this.#shard.context
    const { dryRun, inTime } = options
    const counted = { ...counters }
    let isFolded = true
    // Looking is for followers, too.
    if (!dryRun) {
      shard.assertWritable()
      await shard.refresh()
      isFolded = await this.#fold(inTime)
    }
    const { carried } = shard.state
    let { deleted, plan, waiting } = await this.#collect(options)
    for (let tries = 1; plan && !dryRun; tries++) {
      const collectedAt = shard.state.carried.collectedAt
      await shard.writer.carry()
      if (shard.state.carried.collectedAt !== collectedAt || tries === TRIES) break
      const again = await this.#collect(options)
      plan = again.plan
      waiting = again.waiting
      deleted = sum(deleted, again.deleted)
    }
    const left = options.maxDeletes - deleted.entries - deleted.segments - deleted.pins
    const others = await this.#undertake({ ...options, maxDeletes: left }, false)
    deleted = sum(deleted, others.deleted)
    // Deleting may have made room.
    if (!isFolded && deleted.bytes > 0) await this.#fold(inTime)
    return {
      folds: counters.folds - counted.folds,
      compactions: counters.compactions - counted.compactions,
      keeps: plan?.keeps ?? carried.keeps,
      condemned: {
        entries: (plan ? plan.trim - carried.trim : 0) + (others.condemned?.entries ?? 0),
        segments: (plan?.ids.length ?? 0) + (others.condemned?.segments ?? 0),
      },
      waiting: waiting + others.waiting,
      deleted,
    }
  }

  /** Folds and compacts. Where there is no space for it a warning has said so, and collecting, which makes some, goes on. */
  async #fold(inTime: () => boolean): Promise<boolean> {
    const shard = this.#shard
    try {
      await shard.checkpoint()
      if (inTime() && (await shard.compaction!.compactor.use((work) => work.mergeNow()))) await shard.writer.carry()
      return true
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'QUOTA') throw error
      return false
    }
  }
}

function sum(a: CollectResult['deleted'], b: CollectResult['deleted']): CollectResult['deleted'] {
  return {
    entries: a.entries + b.entries,
    segments: a.segments + b.segments,
    pins: a.pins + b.pins,
    bytes: a.bytes + b.bytes,
  }
}
