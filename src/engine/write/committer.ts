/**
 * The way of changes into the log: one append in flight, in order; commits that come meanwhile join the next entry. What
 * surely did not happen fails together with all that queued behind it, so that the changes can go back in their order;
 * after an append that is unknown, or in exclusive mode lost, nothing more is appended (R13, R15, R20).
 *
 * In shared mode a lost number means to catch up. What of the queue still stands on top of what others have written is
 * appended again, built anew (R16); the rest fails with `CONFLICT`.
 */
import { TidemarkError, isFull, isTidemarkError } from '../../errors.js'
import type { SegmentRef } from '../../manifest/manifest.js'
import type { Lazy } from '../../part.js'
import { EntryIndex } from '../gc/entry-index.js'
import { buildEntry, setExpiry, type BuiltEntry, type EntryChange } from '../entry-builder.js'
import { currentTime, moment, noteTime, type LogContext, type ShardContext } from '../context.js'
import { Memtable } from '../memtable.js'
import type { LargeCommit } from '../compaction/run-writer.js'
import { conflict, Contention, takeFallen } from './contention.js'
import { Queue } from './commit-queue.js'
import { assertNotTrimmed, sendEntry } from './send.js'
import { behind, Refused } from './refused.js'
import { sealed } from './sealed.js'
import { checkOffsets, standingAfter } from './standing.js'
import type { CommitRequest, CommitResult, Derive, Job, MakeChange } from './requests.js'
import type { OpenLog, ShardState } from '../state.js'
import type { Detector } from '../compaction/compactor.js'
import { CompactionScheduler, rewriting } from '../compaction/scheduler.js'

/** The shard whose entries are appended. */
export interface CommitterHost extends OpenLog {
  /** The entry is durable: the state moves on. */
  advance(built: BuiltEntry): void
  /** The right to write has ended. */
  ended(error: TidemarkError): void
  /** Changes of commits that surely did not happen, oldest first, and whether offsets were among them. */
  rollback(memtables: readonly Memtable[], withOffsets: boolean): void
  readonly derive: Derive | undefined
  /** Applies what others have written; throws when the right to write has ended. */
  catchUp(): Promise<void>
}

const NONE: ReadonlySet<Job> = new Set()

export class Committer {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #compaction: CompactionScheduler
  readonly #host: CommitterHost
  readonly queue = new Queue()
  /** Why nothing more is taken: who may write or what was written is in doubt, or the handle is closed. */
  ended: TidemarkError | undefined
  /** The changes of the first in the queue, if they are many. */
  readonly #large: Lazy<LargeCommit>
  /** With other writers, in shared mode. */
  readonly #contention: Contention | undefined
  /** A refresh that has not had its turn. */
  #refreshing: Promise<void> | undefined
  /** Something in the queue has not been asked yet whether it stands on top of what others have written. */
  #isUnsifted = false
  #running: Promise<void> | undefined

  constructor(host: CommitterHost, compaction: CompactionScheduler) {
    this.#ctx = host.context
    this.#log = host.log
    this.#compaction = compaction
    this.#host = host
    this.#large = rewriting.lazy((part) => new part.LargeCommit(this.#ctx, this.#log, compaction.signal))
    this.#contention = this.#ctx.isShared ? new Contention(this.#ctx) : undefined
  }

  /** From here on the committer owns the memtable; it throws, and takes nothing, when the offsets surely go back. */
  commit(request: CommitRequest): Promise<CommitResult> {
    // While something is in front of it, nobody knows yet which offsets it will meet.
    if (this.#running === undefined) checkOffsets(this.#host.state.carried, request)
    return this.#enqueue({ request, isVersion: true, build: (batch) => this.#buildCommit(batch) })
  }

  /** Appends a version of another kind; it takes its place in the queue in this very turn. */
  append(make: MakeChange): Promise<CommitResult> {
    const { signal } = this.#compaction
    return this.#enqueue({ isVersion: true, build: async () => this.#entry(await make(this.#host.state, signal)) })
  }

  /** Appends an entry for what is ready to be carried, unless an earlier one carries it. */
  async carry(): Promise<void> {
    await this.#enqueue({ isVersion: false, build: () => this.#buildMaintenance() })
  }

  /** Appends changes that only indexes store, given the state at its turn; none when there are none. */
  async index(make: (state: ShardState, time: number) => Promise<Memtable | undefined>): Promise<void> {
    await this.#enqueue({
      isVersion: false,
      build: async () => {
        const time = this.#time()
        const memtable = await make(this.#host.state, time)
        return memtable && this.#entry({ kind: 'index', memtable }, time)
      },
    })
  }

  /** Catches up with other writers, at its turn. */
  refresh(): Promise<void> {
    // One that has not begun is for all.
    const build = async (): Promise<undefined> => {
      this.#refreshing = undefined
      await this.#catchUp()
    }
    return (this.#refreshing ??= this.#enqueue({ isVersion: false, build }).then(() => undefined))
  }

  #enqueue(job: Omit<Job, 'resolve' | 'reject'>): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      this.queue.push({ ...job, resolve, reject })
      this.#isUnsifted = true
      this.#running ??= this.#run()
    })
  }

  /** Settles when the queue is empty. */
  get idle(): Promise<void> | undefined {
    return this.#running
  }

  /** Takes nothing more, as what came after the queue was seen empty would be cut off; resolves when it is empty. */
  async close(reason: TidemarkError): Promise<void> {
    this.ended ??= reason
    await this.#running
  }

  async #run(): Promise<void> {
    // One turn later, so that all commits of one turn of the program are there to be joined.
    await Promise.resolve()
    let hasCaughtUp = false
    for (let next = this.queue.first; next; next = this.queue.first) {
      if (this.#isUnsifted && this.#sift(false)) continue
      let sent = false
      try {
        if (next.isVersion) {
          // An entry without a version makes the tail shorter, or room for that; it need not wait.
          await this.#compaction.admit()
          await this.#contention?.giveWay()
        }
        if (this.ended && !this.#isClosed) throw this.ended
        const built = await next.build(this.queue.take(this.#large.loaded?.count))
        if (built === undefined) this.#settle({ version: this.#host.state.carried.version, bytes: 0, requests: 0 })
        else if (!hasCaughtUp && this.#contention?.hasSlept(this.#log.free)) {
          this.queue.putBack()
          await this.#catchUp()
          hasCaughtUp = true
        } else {
          sent = true
          hasCaughtUp = false
          await this.#append(built)
        }
      } catch (error) {
        // Nothing was written that names what was uploaded.
        if (isFull(error)) await this.#compaction.dropWaiting(this.#segments, error)
        if (error instanceof Refused) this.#refuse(error)
        else this.#fail(next, error, sent)
      }
    }
    // In the same turn in which the queue was seen empty: a commit that comes next starts anew.
    this.#running = undefined
  }

  async #catchUp(): Promise<void> {
    try {
      await this.#host.catchUp()
    } finally {
      this.#isUnsifted = true
    }
  }

  async #buildCommit(batch: readonly Job[]): Promise<BuiltEntry> {
    const request = batch[0]!.request!
    const standing = standingAfter(this.#host.state.carried, request)
    const stands = standing instanceof Promise ? await standing : standing
    let { memtable } = request
    if (batch.length > 1) {
      memtable = new Memtable()
      for (const job of batch) memtable.absorb(job.request!.memtable)
    }
    const time = this.#time()
    setExpiry(memtable, time, this.#ctx.clock.monotonic())
    const commits = batch.map(({ request: { memtable: changes } = request }) => changes)
    const derived = this.#host.derive?.(this.#host.state, commits, time)
    if (derived) {
      const { first, over, refused } = await derived
      if (refused) throw new Refused(batch[refused.at]!, refused.error)
      if (first) {
        this.queue.putBack()
        return this.#entry({ kind: 'index', memtable: first }, time)
      }
      if (!over!.empty) {
        if (batch.length === 1) memtable = memtable.copy()
        memtable.absorb(over!)
        // It was made for another state.
        this.#large.loaded?.drop()
      }
    }
    const isLarge = memtable.bytes > this.#ctx.checkpoint.large
    const changes = isLarge
      ? { references: await this.#large.use((large) => large.upload(memtable, time, batch.length)) }
      : { memtable }
    const { label, meta, turn } = request
    const { edits, collection: collect } = this.#compaction
    return this.#entry({ kind: 'commit', ...changes, ...stands, label, meta, turn, edits, collect }, time)
  }

  /** An entry for what is ready, if anything still fits. */
  async #buildMaintenance(): Promise<BuiltEntry | undefined> {
    const { edits, collection: collect } = this.#compaction
    const built = await this.#entry({ kind: collect ? 'collect' : 'fold', edits, collect })
    return built.carries.length > 0 || collect ? built : undefined
  }

  #entry(change: Omit<EntryChange, 'time'>, time = this.#time()): Promise<BuiltEntry> {
    return buildEntry(this.#log, this.#host.state, { ...change, time })
  }

  #time(): number {
    return Math.max(this.#host.state.carried.time, currentTime(this.#ctx, this.#log))
  }

  get #segments(): readonly SegmentRef[] {
    return this.#large.loaded?.segments ?? []
  }

  async #append(built: BuiltEntry): Promise<void> {
    const { n } = built.entry
    const { clock, isShared } = this.#ctx
    let requests = 0
    const { covers } = built.manifest ?? this.#host.state.manifest
    const sent = moment(this.#ctx, this.#log)
    const begun = clock.monotonic()
    const how = isShared ? 'claim' : 'append'
    const resolution = await sendEntry(this.#ctx, this.#log, covers, built, how, () => requests++)
    if (resolution.outcome === 'committed') {
      await assertNotTrimmed(this.#ctx, this.#log, n, resolution.time)
      // Nobody appends after an entry before it is there.
      this.#log.free = sent
      noteTime(this.#ctx, this.#log, resolution.time)
      this.#contention?.appended(clock.monotonic() - begun)
      this.#host.advance(built)
      if (built.entry.seal) this.#end(sealed(this.#ctx.store))
      const version = built.entry.carried!.version
      const segments = this.#segments
      const bytes = segments.reduce((sum, segment) => sum + segment.length, built.bytes.length)
      this.#settle({ version, bytes, requests: requests + segments.length })
    } else if (resolution.outcome === 'unknown') {
      throw new TidemarkError(
        'UNKNOWN_OUTCOME',
        `It is not known whether version ${n} of store "${this.#ctx.store}" was written. Call reopen() and look.`,
        { cause: resolution.cause },
      )
    } else if (isShared) {
      await this.#lost(clock.monotonic() - begun)
    } else {
      throw new TidemarkError(
        'FENCED',
        `Store "${this.#ctx.store}" was taken over by another writer, which wrote entry ${n}. Call reopen() to take it back.`,
      )
    }
  }

  /** Another writer was first: what stands on top of what it wrote has another turn. */
  async #lost(tookMs: number): Promise<void> {
    await this.#contention!.lost(tookMs, this.#host.state.writer)
    const before = this.#host.state.carried.version
    await this.#host.catchUp()
    this.queue.putBack()
    // Entries without changes, as folds and collections are, stand in nobody's way.
    if (this.#host.state.carried.version === before) return
    this.#sift(true)
  }

  /** Fails what does not stand on top of what others have written. */
  #sift(isLate: boolean): boolean {
    this.#isUnsifted = false
    if (!this.#ctx.isShared) return false
    const fallen = takeFallen(this.queue, isLate)
    if (fallen.size === 0) return false
    const { version } = this.#host.state.carried
    const { store } = this.#ctx
    this.#fall([...fallen.keys()], (job) => conflict(store, version, fallen.get(job)!, job.request!.kind))
    return true
  }

  /** Fails a commit that an index refuses, and what is queued behind it and may have read or may lie above its changes. */
  #refuse({ job, error }: Refused): void {
    let isBehind = false
    const failed = this.queue.takeOut((other) => {
      const kind = isBehind ? other.request?.kind : undefined
      isBehind ||= other === job
      return other === job || kind === 'transaction' || (kind === 'buffer' && job.request!.kind === 'buffer')
    })
    this.#fall(failed, (other) => (other === job || other.request!.kind === 'buffer' ? error : behind(this.#ctx.store)))
  }

  #settle(result: CommitResult): void {
    this.#large.loaded?.settled()
    for (const { resolve } of this.queue.settle()) resolve(result)
  }

  #fail(job: Job, error: unknown, sent: boolean): void {
    const unknown = isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME'
    // Changes that may have been written must not be offered for writing again (R15).
    const written = new Set(sent && unknown ? this.queue.inFlight : [])
    // A job that has no changes of the program to give back, and can't be built, fails alone.
    const isAlone = !sent && job.request === undefined
    const failed = this.queue.takeOut((other) => other === job || (!isAlone && other.isVersion))
    this.#fall(failed, () => error, written)
    this.#end(error)
  }

  /** Fails jobs, and gives the changes back of those that were surely not written. */
  #fall(failed: readonly Job[], why: (job: Job) => unknown, written: ReadonlySet<Job> = NONE): void {
    this.#large.loaded?.drop()
    const requests = failed.flatMap((job) => (written.has(job) ? [] : (job.request ?? [])))
    if (requests.length > 0) {
      this.#host.rollback(
        requests.filter(({ kind }) => kind === 'buffer').map(({ memtable }) => memtable),
        requests.some(({ offsets }) => offsets.size > 0),
      )
    }
    for (const job of failed) job.reject(why(job))
  }

  /** An error that leaves in doubt what was written, or who may write, ends the right to write. */
  #end(error: unknown): void {
    if (!isTidemarkError(error) || (error.code !== 'UNKNOWN_OUTCOME' && error.code !== 'FENCED')) return
    if (this.ended && !this.#isClosed) return
    this.ended = error
    this.#host.ended(error)
  }

  /** Jobs that came before the end are still appended. */
  get #isClosed(): boolean {
    return this.ended?.code === 'CLOSED'
  }
}

export function startWriting(
  host: CommitterHost,
  detector: Detector,
): { readonly compaction: CompactionScheduler; readonly committer: Committer; readonly known: EntryIndex } {
  const compaction = new CompactionScheduler(host, detector)
  return { compaction, committer: new Committer(host, compaction), known: new EntryIndex() }
}
