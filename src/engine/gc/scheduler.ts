/** When to look for what nothing needs any more: now and then beside commits, and whenever somebody asks for it. */
import { isTidemarkError } from '../../errors.js'
import { Collector, type CollectOptions, type CollectResult } from './collector.js'
import { warnLater, type LogContext, type ShardContext } from '../context.js'
import type { EntryIndex } from './entry-index.js'
import { COLLECT_EVERY, type MaintainResult, type MaintenanceHost } from './maintenance.js'
import type { ShardState } from '../state.js'

/** How often what is to be condemned is looked for anew because another writer came first. */
const TRIES = 4

/** The most objects that are deleted beside commits at once. */
const COLLECT_AT_ONCE = 1024

export class Collecting {
  readonly #ctx: ShardContext
  readonly #host: MaintenanceHost
  readonly #collector: Collector
  readonly #stop = new AbortController()
  #collecting: Promise<unknown> | undefined
  /** At which head it was last looked for what to collect. */
  #lookedAt = 0
  /** When the oldest of what a collection has condemned is due. */
  #due: { readonly collectedAt: number; readonly time: number | undefined } | undefined

  constructor(ctx: ShardContext, log: LogContext, known: EntryIndex, host: MaintenanceHost) {
    this.#ctx = ctx
    this.#host = host
    this.#collector = new Collector(ctx, log, known, this.#stop.signal)
  }

  /** Beside commits, now and then: an idle store stays idle. */
  consider(): void {
    if (this.#collecting) return
    const state = this.#host.state()
    const { head, carried } = state
    const { versions, ageMs } = this.#ctx.retain
    // A look reads what it does not know of the log, and that is worth a part of what is kept.
    const since = head - Math.max(this.#lookedAt, carried.collectedAt, carried.trim)
    const isWorth = since >= Math.max(COLLECT_EVERY, versions / 4) && (ageMs > 0 || head - carried.trim > versions)
    if (!isWorth && !this.#isDue(state)) return
    const options = { minDeletes: COLLECT_EVERY, maxDeletes: COLLECT_AT_ONCE, inTime: () => true, dryRun: false }
    this.#collect(options).catch((cause: unknown) => {
      if (this.#host.isPoisoned() || this.#stop.signal.aborted) return
      warnLater(this.#ctx, 'Collection', cause)
    })
  }

  #isDue(state: ShardState): boolean {
    const { collectedAt, time } = state.carried
    if (this.#due?.collectedAt === collectedAt) return (this.#due.time ?? Infinity) <= time
    this.#due = { collectedAt, time: undefined }
    this.#collector
      .dueAt(state)
      .then((due) => {
        if (this.#due?.collectedAt === collectedAt) this.#due = { collectedAt, time: due }
      })
      // It is tried again with the next collection, or when there is more to do.
      .catch(() => undefined)
    return false
  }

  /** One at a time. What it finds the next entry condemns. */
  #collect(options: CollectOptions): Promise<CollectResult> {
    const host = this.#host
    const run = this.idle().then(async () => {
      if (!options.dryRun) host.assertWritable()
      const state = host.state()
      if (!options.dryRun) this.#lookedAt = state.head
      const result = await this.#collector.run(state, options)
      if (result.plan && !options.dryRun) host.compaction().condemn(result.plan, state.resetAt)
      return result
    })
    const running = run.finally(() => {
      if (this.#collecting === running) this.#collecting = undefined
    })
    this.#collecting = running
    return running
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.idle()
  }

  /** Resolves when no collection is under way. */
  async idle(): Promise<void> {
    await this.#collecting?.catch(() => undefined)
  }

  /** Folds, compacts and collects now. */
  async maintain(options: CollectOptions): Promise<MaintainResult> {
    const host = this.#host
    const { counters } = this.#ctx
    const { dryRun, inTime } = options
    const before = { ...counters }
    let isFolded = true
    // Looking is for followers, too.
    if (!dryRun) {
      host.assertWritable()
      await host.refresh()
      isFolded = await this.#fold(inTime)
    }
    const { carried } = host.state()
    let { deleted, plan, waiting } = await this.#collect(options)
    for (let tries = 1; plan && !dryRun; tries++) {
      const collectedAt = host.state().carried.collectedAt
      await host.carry()
      if (host.state().carried.collectedAt !== collectedAt || tries === TRIES) break
      const again = await this.#collect(options)
      plan = again.plan
      waiting = again.waiting
      deleted = sum(deleted, again.deleted)
    }
    // What was deleted may have made room.
    if (!isFolded && deleted.bytes > 0) await this.#fold(inTime)
    return {
      folds: counters.folds - before.folds,
      compactions: counters.compactions - before.compactions,
      keeps: plan?.keeps ?? carried.keeps,
      condemned: { entries: plan ? plan.trim - carried.trim : 0, segments: plan?.ids.length ?? 0 },
      waiting,
      deleted,
    }
  }

  /** Folds and compacts. Where there is no space for it a warning has said so, and collecting, which makes some, goes on. */
  async #fold(inTime: () => boolean): Promise<boolean> {
    const host = this.#host
    try {
      await host.checkpoint()
      if (inTime() && (await host.compaction().mergeNow())) await host.carry()
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
