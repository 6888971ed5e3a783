/**
 * The way of changes into the log: one append in flight, in order; commits that come meanwhile join the next entry. What
 * surely did not happen fails together with all that queued behind it, so that the changes can go back in their order;
 * after an append that is unknown, or in exclusive mode lost, nothing more is appended (PROTOCOL.md, section 2).
 *
 * In shared mode a lost number means to catch up. What of the queue still stands on top of what others have written is
 * appended again, built anew; the rest fails with `CONFLICT`.
 */
import { TidemarkError, isFull, isTidemarkError } from '../../errors.js'
import { resolveAppend } from '../../log/append.js'
import type { OffsetMap } from '../../log/offsets.js'
import type { CodedRuns, SegmentRef } from '../../manifest/manifest.js'
import { buildEntry, setExpiry, type BuiltEntry } from '../entry-builder.js'
import { currentTime, moment, noteTime, type LogContext, type ShardContext } from '../context.js'
import { Memtable } from '../memtable.js'
import { assertNotTrimmed, recoveryStart } from '../open/open.js'
import { rewriting, sharing } from '../parts.js'
import type { Contention } from './contention.js'
import { Queue } from './commit-queue.js'
import type { CommitRequest, CommitResult, PreparedReset, ResetBuild, ResetRequest, ResetResult } from './requests.js'
import type { Waiting } from './requests.js'
import { memtableCodecs, type ShardState } from '../state.js'
import type { CompactionScheduler } from '../compaction/scheduler.js'

export interface CommitterHost {
  state(): ShardState
  /** The entry is durable: the state moves on. */
  advance(built: BuiltEntry): void
  /** The handle may not write any more. */
  poison(error: TidemarkError): void
  /** Changes of commits that surely did not happen, oldest first, and whether offsets were among them. */
  rollback(memtables: readonly Memtable[], withOffsets: boolean): void
  /** Applies what others have written; throws when the right to write has ended. */
  catchUp(): Promise<void>
}

export class Committer {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #compaction: CompactionScheduler
  readonly #host: CommitterHost
  readonly #queue: Queue
  /** Why nothing more is appended. */
  #ended: TidemarkError | undefined
  /** The changes of the first `count` in the queue, in segments that were written for them. */
  #uploaded: { readonly references: CodedRuns; readonly count: number } | undefined
  /** With other writers, in shared mode. */
  readonly #contention: Contention | undefined
  /** A look that has not had its turn. */
  #looking: Promise<void> | undefined
  /** Something in the queue has not been asked yet whether it stands on top of what others have written. */
  #isUnsifted = false
  #running: Promise<void> | undefined
  /** Settles with the newest reset on its way. */
  #resetting: Promise<void> | undefined
  /** Of the reset whose turn it is. */
  #ready: (ResetBuild & { readonly offsets: OffsetMap }) | undefined

  constructor(ctx: ShardContext, log: LogContext, compaction: CompactionScheduler, host: CommitterHost) {
    this.#ctx = ctx
    this.#log = log
    this.#compaction = compaction
    this.#host = host
    this.#queue = new Queue(() => host.state().carried.offsets)
    this.#contention = ctx.isShared ? new (sharing().Contention)(ctx) : undefined
  }

  /** What is on its way. */
  get queue(): Pick<Queue, 'memtables' | 'bytes' | 'offsets' | 'possibleOffsets'> {
    return this.#queue
  }

  /** Settles when what is read now is no longer about to be put away by a reset; `undefined` when it is not. */
  get resetting(): Promise<void> | undefined {
    return this.#resetting
  }

  /** Throws, and takes nothing, when the offsets go back; from then on the committer owns the memtable. */
  commit(request: CommitRequest): Promise<CommitResult> {
    return this.#enqueue({ request, offsets: this.#queue.offsetsAfter(request) })
  }

  /** Takes its place in the queue in this very turn. */
  async reset(request: ResetRequest): Promise<ResetResult> {
    let undo = 0
    const prepared = request.prepared.then(({ offsets, build }): PreparedReset => ({
      offsets,
      build: (state, signal) => {
        undo = state.carried.version
        return build(state, signal)
      },
    }))
    // It is heard at its turn.
    prepared.catch(() => undefined)
    const resetting = this.#enqueue({ reset: { ...request, prepared } })
    const ended = (): void => {
      if (this.#resetting === settled) this.#resetting = undefined
    }
    const settled = resetting.then(ended, ended)
    this.#resetting = settled
    return { ...(await resetting), undo }
  }

  /** Appends an entry for what is ready to be carried, unless an earlier one carries it. */
  async carry(): Promise<void> {
    await this.#enqueue({})
  }

  /** Catches up with other writers, at its turn. */
  look(): Promise<void> {
    // One that has not begun is for all.
    this.#looking ??= this.#enqueue({ isLook: true }).then(() => undefined)
    return this.#looking
  }

  #enqueue(waiting: Omit<Waiting, 'resolve' | 'reject'>): Promise<CommitResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...waiting, resolve, reject })
      this.#isUnsifted = true
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing is in flight or queued. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // One turn later, so that all commits of one turn of the program are there to be joined.
    await Promise.resolve()
    let hasLooked = false
    for (let next = this.#queue.first; next; next = this.#queue.first) {
      let sent = false
      if (this.#isUnsifted && this.#sift(false)) continue
      if (next.isLook) {
        await this.#look(next)
        continue
      }
      if (next.reset && !(await this.#prepareReset(next))) continue
      try {
        // What is carried makes the tail shorter, or room for that.
        if (next.request ?? next.reset) await this.#compaction.admit()
        await this.#contention?.giveWay()
        if (this.#ended) throw this.#ended
        if (!hasLooked && this.#contention?.hasSlept(this.#log.free)) {
          await this.#catchUp()
          hasLooked = true
          continue
        }
        hasLooked = false
        const built = await this.#build(this.#queue.take(this.#uploaded?.count))
        if (built === undefined) this.#settle({ version: this.#host.state().carried.version, bytes: 0, requests: 0 })
        else {
          sent = true
          await this.#append(built)
        }
      } catch (error) {
        // Nothing was written that names what was uploaded.
        if (isFull(error)) await this.#compaction.dropWaiting(this.#segments, error)
        this.#fail(error, sent)
      }
    }
    // In the same turn in which the queue was seen empty: a commit that comes next starts anew.
    this.#running = undefined
  }

  async #look({ resolve, reject }: Waiting): Promise<void> {
    this.#queue.shift()
    this.#looking = undefined
    try {
      if (this.#ended) throw this.#ended
      await this.#catchUp()
      resolve({ version: this.#host.state().carried.version, bytes: 0, requests: 0 })
    } catch (error) {
      reject(error)
      this.#end(error)
    }
  }

  async #catchUp(): Promise<void> {
    try {
      await this.#host.catchUp()
    } finally {
      this.#isUnsifted = true
      this.#queue.moved()
    }
  }

  /** What can't be made ready fails alone. */
  async #prepareReset({ reset, reject }: Waiting): Promise<boolean> {
    if (this.#ended) return true
    try {
      const state = this.#host.state()
      const { offsets, build } = await reset!.prepared
      this.#ready = { ...(await build(state, this.#compaction.signal)), offsets: offsets(state.carried.offsets) }
      return true
    } catch (error) {
      this.#queue.shift()
      reject(error)
      return false
    }
  }

  async #build(batch: readonly Waiting[]): Promise<BuiltEntry | undefined> {
    const { request, reset, offsets: known } = batch[0]!
    if (reset) return this.#buildReset(reset)
    if (request === undefined) return this.#buildMaintenance()
    const offsets = typeof known === 'function' ? known(this.#host.state().carried.offsets) : known
    let { memtable } = request
    if (batch.length > 1) {
      memtable = new Memtable()
      for (const waiting of batch) memtable.absorb(waiting.request!.memtable)
    }
    const time = this.#time()
    setExpiry(memtable, time, this.#ctx.clock.monotonic())
    const isLarge = memtable.bytes > this.#ctx.checkpoint.bytes
    const changes = isLarge ? { references: await this.#upload(memtable, time, batch.length) } : { memtable }
    const { label, meta } = request
    const { edits } = this.#compaction
    const collect = this.#compaction.collection
    const change = { time, ...changes, offsets, label, meta, edits, collect }
    return buildEntry(this.#log, this.#host.state(), { kind: 'commit', ...change })
  }

  /** An entry for what is ready, if anything still fits. */
  async #buildMaintenance(): Promise<BuiltEntry | undefined> {
    const { edits, collection: collect } = this.#compaction
    const kind = collect ? 'collect' : 'fold'
    const built = await buildEntry(this.#log, this.#host.state(), { kind, time: this.#time(), edits, collect })
    return built.carries.length > 0 || collect ? built : undefined
  }

  #buildReset({ label, meta }: ResetRequest): Promise<BuiltEntry> {
    const { reset, memtable, offsets } = this.#ready!
    this.#ready = undefined
    const change = { time: this.#time(), memtable, offsets, label, meta, reset }
    return buildEntry(this.#log, this.#host.state(), { kind: 'reset', ...change })
  }

  #time(): number {
    return Math.max(this.#host.state().carried.time, currentTime(this.#ctx, this.#log))
  }

  /** Changes that alone would call for a fold go into segments at once, and a later one lists them as they are. */
  async #upload(memtable: Memtable, time: number, count: number): Promise<CodedRuns> {
    // Before anything names them, another writer's collection may have condemned them.
    if (this.#ctx.uploads.areCondemned(this.#segments)) this.#dropUploaded()
    if (this.#uploaded === undefined) {
      const { writeMemtables } = await rewriting.load()
      const run = await writeMemtables(this.#ctx, this.#log, [memtable], false, time, this.#compaction.signal)
      this.#uploaded = { references: { codecs: memtableCodecs(memtable), runs: run.length > 0 ? [run] : [] }, count }
    }
    return this.#uploaded.references
  }

  get #segments(): readonly SegmentRef[] {
    return this.#uploaded?.references.runs.flat() ?? []
  }

  #dropUploaded(): void {
    this.#ctx.uploads.drop(this.#segments)
    this.#uploaded = undefined
  }

  async #append(built: BuiltEntry): Promise<void> {
    const { log } = this.#log
    const { n } = built.entry
    let requests = 0
    const from = recoveryStart({ ...this.#host.state(), manifest: built.manifest ?? this.#host.state().manifest })
    const { clock, timeoutMs } = this.#ctx
    const isLostSure = this.#ctx.storage.capabilities.trim !== 'writer'
    const context = { log, clock, timeoutMs, isLostSure }
    const sent = moment(this.#ctx, this.#log)
    const begun = clock.monotonic()
    const resolution = await resolveAppend(context, built.entry, () => {
      requests++
      const options = { makesRoom: built.entry.kind === 'collect' }
      // Where a log has one owner, it is whoever wrote last.
      return this.#ctx.isShared ? log.claim(n, built.bytes, from, options) : log.append(n, built.bytes, from, options)
    })
    if (resolution.outcome === 'committed') {
      await assertNotTrimmed(this.#ctx, this.#log, n, resolution.time)
      // Nobody appends after an entry before it is there.
      this.#log.free = sent
      noteTime(this.#ctx, this.#log, resolution.time)
      this.#contention?.appended(clock.monotonic() - begun)
      this.#host.advance(built)
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
    } else if (this.#ctx.isShared) {
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
    await this.#contention!.lost(tookMs)
    const before = this.#host.state().carried.version
    await this.#host.catchUp()
    this.#queue.putBack()
    // Entries without changes, as folds and collections are, stand in nobody's way.
    if (this.#host.state().carried.version === before) return
    this.#sift(true)
    this.#queue.moved()
  }

  /** Fails what does not stand on top of what others have written. */
  #sift(isLate: boolean): boolean {
    this.#isUnsifted = false
    if (!this.#ctx.isShared) return false
    const fallen = sharing().takeFallen(this.#queue, isLate)
    if (fallen.length === 0) return false
    this.#dropUploaded()
    this.#rollback(fallen)
    const { version } = this.#host.state().carried
    for (const { request, reject } of fallen) reject(sharing().conflict(this.#ctx.store, version, request!))
    return true
  }

  #settle(result: CommitResult): void {
    this.#uploaded = undefined
    for (const { resolve } of this.#queue.settle()) resolve(result)
  }

  #fail(error: unknown, sent: boolean): void {
    const unknown = isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME'
    // What may have been written must not be offered for writing again.
    const written = new Set(sent && unknown ? this.#queue.inFlight : [])
    // A look has its turn in any case: it is for all who wait for it, and fails for reasons of its own.
    const failed = this.#queue.takeOut(({ isLook }) => isLook !== true)
    this.#dropUploaded()
    this.#rollback(failed.filter((waiting) => !written.has(waiting)))
    this.#end(error)
    for (const { reject } of failed) reject(error)
  }

  #rollback(failed: readonly Waiting[]): void {
    const memtables = failed.flatMap(({ request }) => (request && !request.isOwn ? [request.memtable] : []))
    this.#host.rollback(
      memtables,
      failed.some(({ request }) => request && request.offsets.size > 0),
    )
  }

  /** What leaves in doubt what was written, or who may write, ends it. */
  #end(error: unknown): void {
    if (this.#ended || !isTidemarkError(error) || (error.code !== 'UNKNOWN_OUTCOME' && error.code !== 'FENCED')) return
    this.#ended = error
    this.#host.poison(error)
  }
}
