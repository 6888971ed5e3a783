/**
 * A shard: one log and its owner's view of it. It ties the parts together and holds the one thing that changes, the state;
 * how entries are built, appended, folded, found and read is in the files beside this one.
 */
import { TidemarkError } from '../errors.js'
import { Part, type Lazy } from '../part.js'
import type { BuiltEntry } from './entry-builder.js'
import type { Committer } from './write/committer.js'
import { closeLog, COLLECT_EVERY, warnLater, type LogContext, type ShardContext } from './context.js'
import type { CollectOptions } from './gc/collector.js'
import type { EntryIndex } from './gc/entry-index.js'
import type { CollectionScheduler, MaintainResult } from './gc/scheduler.js'
import type { Memtable } from './memtable.js'
import { anchoring, openShard } from './open/open.js'
import type { OpenedShard, Shown, Together } from './open/following.js'
import type { OpenRequest } from './open/request.js'
import { viewOf, type View } from './read.js'
import { Rows } from './rows.js'
import { DamageDetector } from './repair/detector.js'
import { applyEntry, tailBytes, type AppliedEntry, type ShardState } from './state.js'
import type { CompactionScheduler } from './compaction/scheduler.js'
import type { Derive } from './write/requests.js'

export type ShardRequest = Omit<OpenRequest, 'folds'> & {
  /** A log that is open already, and owned. */
  readonly adopts?: OpenedShard | undefined
  /** Takes back the changes of commits that surely did not happen, oldest first. */
  readonly rollback: (memtables: readonly Memtable[], withOffsets: boolean) => void
  readonly derive?: Derive
  /** Others have written versions since; told what they changed, or `undefined` when that is not known. */
  readonly met: (before: ShardState, changes: readonly AppliedEntry[] | undefined) => void
}

/** Catching up with what others write. */
export const following = new Part(() => import('./open/catch-up.js'))
/** Only a handle that writes needs it. */
const writing = new Part(() => import('./write/committer.js'))
/** The mark of a clean end. */
const releasing = new Part(() => import('./open/release.js'))
const collecting = new Part(() => import('./gc/scheduler.js'))

/** Entries without changes that are not folded for their number alone. */
const FEW = 16

export class Shard {
  readonly context: ShardContext
  readonly log: LogContext
  /** Both are of a handle that may write. */
  readonly compaction: CompactionScheduler | undefined
  readonly #committer: Committer | undefined
  readonly rollback: ShardRequest['rollback']
  readonly met: ShardRequest['met']
  readonly derive: Derive | undefined
  readonly detector: DamageDetector
  state: ShardState
  /** Of a follower: what it follows beside its own log, or in its place. */
  together: Together | undefined
  readonly partition: number | undefined
  readonly others: Shown['others'] = new Map()
  #refreshing: Promise<void> | undefined
  /** A refresh that has not begun: it is for all. */
  #nextRefresh: Promise<void> | undefined
  #raising = Promise.resolve()
  /** The entries that this handle has written or applied need not be read back. */
  readonly known: EntryIndex | undefined
  readonly #collection: Lazy<CollectionScheduler>
  readonly #rows: Rows
  /** The view of the state alone. */
  #view: View | undefined

  static async open(ctx: ShardContext, request: ShardRequest): Promise<Shard> {
    const { mode } = request
    await Promise.all([mode !== 'exclusive' && following.load(), mode !== 'follower' && writing.load()])
    return new Shard(request, request.adopts ?? (await openShard(ctx, { ...request, folds: true })))
  }

  private constructor(request: ShardRequest, { context: ctx, log, state, together }: OpenedShard) {
    this.context = ctx
    this.log = log
    this.rollback = request.rollback
    this.met = request.met
    this.derive = request.derive
    this.state = state
    this.#rows = new Rows(ctx.rowBytes, ctx.cache, state)
    this.#collection = collecting.lazy((part) => new part.CollectionScheduler(this))
    this.detector = new DamageDetector(this)
    this.partition = request.shard
    this.together = together?.(this)
    if (request.mode === 'follower') return
    const { compaction, committer, known } = writing.loaded!.startWriting(this, this.detector)
    this.known = known
    this.compaction = compaction
    this.#committer = committer
    compaction.consider(false)
  }

  /** About how much memory the changes on their way take. */
  get waitingBytes(): number {
    return this.#committer?.queue.bytes ?? 0
  }

  /** A view of the state under the caller's own memtables, and under those on their way. */
  view(uncommitted: readonly Memtable[]): View {
    const waiting = this.#committer?.queue.memtables ?? []
    const memtables = [...uncommitted.filter((memtable) => !memtable.empty), ...waiting]
    if (memtables.length > 0) return viewOf(this.state, memtables, this.context.cache, this.#rows)
    if (this.#view?.state !== this.state) this.#view = viewOf(this.state, [], this.context.cache, this.#rows)
    return this.#view!
  }

  /** Whether the right to write has ended. */
  get hasEnded(): boolean {
    return this.#committer?.ended !== undefined
  }

  /** The way into the log. Throws what forbids writing: a lost or unknown append, the end of the handle, or its mode. */
  get writer(): Committer {
    if (this.#committer === undefined) {
      throw new TidemarkError(
        'READ_ONLY',
        `Store "${this.context.store}" was opened as a follower, which only reads. Open it in another mode to write.`,
      )
    }
    if (this.#committer.ended) throw this.#committer.ended
    return this.#committer
  }

  assertWritable(): void {
    void this.writer
  }

  /** Throws in a follower, and while it is closed to be opened again. */
  assertWriter(): void {
    if (this.#committer === undefined || this.#committer.ended?.code === 'CLOSED') void this.writer
  }

  /** Folds what is committed now and appends the entry that carries it, unless a commit does. */
  async checkpoint(): Promise<void> {
    this.assertWritable()
    // Entries without changes are worth an entry of their own only when there are many of them: more than such an entry and
    // its peers leave behind, or an idle store would be folded again and again.
    const { tail, isRepaired } = this.state
    const isIdle = tail.every(({ memtable, references }) => memtable === undefined && references === undefined)
    if (!isRepaired && isIdle && tail.length < FEW) return
    await this.compaction!.compactor.use((work) => work.foldNow(() => this.writer))
    await this.#raising
  }

  /** Puts an equal state, which stands on other segments, in place of the present one. */
  replace(equal: ShardState): void {
    this.state = equal
    this.#rows.restart(equal)
    this.compaction?.restart()
    this.context.moved()
  }

  /** Takes over what the committer has appended. */
  advance(built: BuiltEntry): void {
    const before = this.state
    this.state = applyEntry(before, built)
    const { context, compaction } = this
    this.#rows.follow(before, this.state, [built])
    const { counters } = context
    const { entry, manifest, references, carries } = built
    counters.bytes += built.bytes.length
    this.known!.note(built)
    context.uploads.named([...(manifest?.runs.flat() ?? []), ...(references?.runs.flat() ?? [])])
    if (entry.collection) compaction!.plan = undefined
    if (entry.kind === 'commit') counters.commits++
    if (manifest) compaction!.settled(before.manifest, manifest, carries)
    // A merge, and a collection that has deleted nothing yet, leave openers no more to read.
    if (this.state.carried.covers !== before.carried.covers) this.#raise()
    context.moved()
    const { version } = this.state.carried
    if (carries.length > 0) context.emit('checkpoint', { version, covers: manifest!.covers })
    if (version !== before.carried.version) {
      context.committed()
      context.emit('version', { version })
    }
    // An entry that was built before damage was found may list it.
    if (this.detector.repairer.loaded?.isHit(this.state)) void this.detector.prepare().catch(() => undefined)
    compaction!.consider(true, carries.length > 0)
    if (carries.length > 0) this.#considerCollection()
  }

  /** Beside commits, now and then: an idle store stays idle. */
  #considerCollection(): void {
    const { head, carried } = this.state
    // As long as this is so there is nothing that could be due.
    if (carried.collectedAt === 0 && head - carried.trim < COLLECT_EVERY) return
    this.#collection
      .use((work) => {
        if (!this.hasEnded) work.consider()
      })
      .catch((cause: unknown) => warnLater(this.context, 'Collection', cause))
  }

  /** Folds, compacts and collects now. */
  async maintain(options: CollectOptions): Promise<MaintainResult> {
    const result = await this.#collection.use((work) => work.maintain(options))
    await this.#raising
    return result
  }

  /** Refreshes the anchor beside everything else; one swap at a time, and the last one sees the newest state. */
  #raise(): void {
    const state = this.state
    this.#raising = this.#raising.then(async () => {
      if (this.state.carried.manifestAt === state.carried.manifestAt) {
        await anchoring.use((part) => part.refreshAnchor(this.context, this.log, state))
      }
    })
  }

  /** The right to write has ended. */
  ended(error: TidemarkError): void {
    // Nothing could name what would still be uploaded.
    void this.compaction!.stop()
    if (error.code === 'FENCED') this.context.emit('fenced', { error })
  }

  /** Others have written `entries`, or what is not known. */
  moveTo(after: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.#rows.follow(this.state, after, entries)
    this.state = after
  }

  /** Catches up with what others have written; an owner has nothing to catch up with. Who may not write goes on reading. */
  refresh(): Promise<void> {
    if (this.#committer && !this.context.isShared) return Promise.resolve()
    if (this.#committer && !this.hasEnded) return this.#committer.refresh()
    this.#nextRefresh ??= Promise.allSettled([this.#refreshing]).then(() => {
      this.#nextRefresh = undefined
      return (this.#refreshing = this.catchUp())
    })
    return this.#nextRefresh
  }

  /** Applies what others have written; a writer calls it when nothing is in flight. Throws when the right to write has ended. */
  catchUp(): Promise<void> {
    return following.use((part) => part.catchUp(this))
  }

  /** Before it is closed: whoever opens the store next finds a tail within its bound. */
  async foldDue(): Promise<void> {
    await this.#committer?.idle
    if (this.compaction === undefined || this.hasEnded || tailBytes(this.state) <= this.context.checkpoint.bytes) return
    await this.checkpoint().catch((cause: unknown) => warnLater(this.context, 'Folding', cause))
  }

  /** Waits for what is in flight, stops what runs beside it, and lets go of the log. */
  async close(): Promise<void> {
    const message = `Store "${this.context.store}" writes nothing more until it is open again: call reopen(), once more if it failed.`
    await this.#committer?.close(new TidemarkError('CLOSED', message))
    await this.compaction?.stop()
    // An entry of which nothing is known, perhaps the last one that was on its way, may name what waited for one.
    const isClean = this.#committer?.ended?.code === 'CLOSED'
    if (isClean) await this.compaction?.dropWaiting([])
    await this.#collection.loaded?.stop()
    await this.#raising
    await (this.#nextRefresh ?? this.#refreshing)?.catch(() => undefined)
    if (isClean && this.log.writes > 0) {
      await releasing.use((part) => part.markClosed(this.context, this.log, this.state)).catch(() => undefined)
    }
    for (const { context, log } of [this, ...this.others.values()]) await closeLog(context, log)
  }
}
