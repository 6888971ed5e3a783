/**
 * A shard: one log and its owner's view of it. It ties the parts together and holds the one thing that changes, the state;
 * how entries are built, appended, folded, found and read is in the files beside this one.
 */
import { TidemarkError } from '../errors.js'
import { Part, type Lazy } from '../part.js'
import type { BuiltEntry } from './entry-builder.js'
import { Committer, sharing } from './write/committer.js'
import { closeLog, warnLater, type LogContext, type ShardContext } from './context.js'
import type { CollectOptions } from './gc/collector.js'
import { COLLECT_EVERY, EntryIndex } from './gc/entry-index.js'
import type { CollectionScheduler, MaintainResult } from './gc/scheduler.js'
import type { Memtable } from './memtable.js'
import { openShard, refreshAnchor, type OpenedShard, type OpenRequest } from './open/open.js'
import { viewOf, type View } from './read.js'
import { DamageDetector } from './repair/detector.js'
import type { CommitRequest, CommitResult, MakeChange } from './write/requests.js'
import { applyEntry, type AppliedEntry, type ShardState } from './state.js'
import { CompactionScheduler } from './compaction/scheduler.js'

export type ShardRequest = Omit<OpenRequest, 'folds'> & {
  /** Takes back the changes of commits that surely did not happen, oldest first. */
  readonly rollback: (memtables: readonly Memtable[], withOffsets: boolean) => void
  /** Others have written versions since; told what they changed, or `undefined` when that is not known. */
  readonly met: (before: ShardState, changes: readonly AppliedEntry[] | undefined) => void
}

/** Catching up with what others write. */
export const following = new Part('following', () => import('./open/catch-up.js'))
const collecting = new Part('collection', () => import('./gc/scheduler.js'))

/** Entries that are never folded for their number alone. */
const FEW = 4

export class Shard {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  /** Of a handle that may write. */
  readonly compaction: CompactionScheduler | undefined
  readonly #committer: Committer | undefined
  readonly #met: ShardRequest['met']
  readonly repairs: DamageDetector
  #state: ShardState
  #refreshing: Promise<void> | undefined
  /** A look that has not begun: it is for all. */
  #looking: Promise<void> | undefined
  #raising: Promise<void> | undefined
  /** What this handle has written or applied need not be read back. */
  readonly #known = new EntryIndex()
  readonly #collection: Lazy<CollectionScheduler>

  static async open(ctx: ShardContext, request: ShardRequest): Promise<Shard> {
    if (request.mode !== 'exclusive') await following.load()
    if (request.mode === 'shared') await sharing.load()
    return new Shard(ctx, request, await openShard(ctx, { ...request, folds: true }))
  }

  private constructor(ctx: ShardContext, request: ShardRequest, { log, state }: OpenedShard) {
    this.#ctx = ctx
    this.#log = log
    this.#met = request.met
    this.#state = state
    this.#collection = collecting.lazy((part) => new part.CollectionScheduler(ctx, log, this.#known, this))
    this.repairs = new DamageDetector(this)
    if (request.mode === 'follower') return
    this.compaction = new CompactionScheduler(this, this.repairs)
    this.#committer = new Committer(ctx, log, this.compaction, {
      state: () => this.#state,
      advance: (built) => this.#advance(built),
      ended: (error) => this.#ended(error),
      rollback: request.rollback,
      catchUp: () => this.#catchUp(),
    })
    this.compaction.consider(false)
  }

  get state(): ShardState {
    return this.#state
  }

  get context(): ShardContext {
    return this.#ctx
  }

  get log(): LogContext {
    return this.#log
  }

  /** Memory of the changes on their way, about. */
  get waitingBytes(): number {
    return this.#committer?.queue.bytes ?? 0
  }

  /** What stands over the committed runs, the caller's own memtables first. */
  view(uncommitted: readonly Memtable[]): View {
    const memtables = [
      ...uncommitted.filter((memtable) => !memtable.empty),
      ...(this.#committer?.queue.memtables ?? []),
    ]
    return viewOf(this.#state, memtables, this.#ctx.cache)
  }

  get isPoisoned(): boolean {
    return this.#committer?.ended !== undefined
  }

  /** Throws what forbids writing: a lost or unknown append, or the mode. */
  assertWritable(): void {
    if (this.#committer === undefined) {
      throw new TidemarkError('READ_ONLY', `Store "${this.#ctx.store}" was opened as a follower; it only reads.`)
    }
    if (this.#committer.ended) throw this.#committer.ended
  }

  commit(request: CommitRequest): Promise<CommitResult> {
    this.assertWritable()
    return this.#committer!.commit(request)
  }

  /** Folds what is committed now and appends the entry that carries it, unless a commit does. */
  async checkpoint(): Promise<void> {
    this.assertWritable()
    // Entries without changes are worth an entry of their own only when there are many of them: more than such an entry and
    // its peers leave behind, or an idle store would be folded again and again.
    const { tail, isRepaired } = this.#state
    const isIdle = tail.every(({ memtable, references }) => memtable === undefined && references === undefined)
    if (!isRepaired && isIdle && tail.length < Math.max(this.#ctx.checkpoint.entries, FEW)) return
    const wanted = this.#state.head
    while (this.#state.manifest.covers < wanted) {
      // What came of commits meanwhile forbids it as it forbids theirs, and says more than that the fold was stopped.
      await this.compaction!.foldNow().finally(() => this.assertWritable())
      await this.#committer!.carry()
    }
    await this.#raising
  }

  /** Appends an entry for what is ready. */
  carry(): Promise<void> {
    return this.#committer!.carry()
  }

  /** Puts an equal state, which stands on other segments, in place of the present one. */
  replace(equal: ShardState): void {
    this.#state = equal
    this.compaction?.restart()
    this.#ctx.moved()
  }

  #advance(built: BuiltEntry): void {
    const before = this.#state
    this.#state = applyEntry(before, built)
    const { counters } = this.#ctx
    counters.bytes += built.bytes.length
    this.#known.note(built)
    this.#ctx.uploads.named([...(built.manifest?.runs.flat() ?? []), ...(built.references?.runs.flat() ?? [])])
    if (built.collection) this.compaction!.condemned()
    if (built.entry.kind === 'commit') counters.commits++
    if (built.manifest) {
      this.compaction!.carried(before.manifest, built.manifest, built.carries)
    }
    if (built.manifest || built.collection) this.#raise()
    this.#ctx.moved()
    const { version } = this.#state.carried
    if (built.carries.length > 0) this.#ctx.emit('checkpoint', { version, covers: built.manifest!.covers })
    if (version !== before.carried.version) {
      this.#ctx.committed()
      this.#ctx.emit('version', { version })
    }
    // What was built before the damage was found may list it.
    if (this.repairs.repairer.loaded?.isHit(this.#state)) void this.repairs.prepare().catch(() => undefined)
    this.compaction!.consider(true, built.carries.length > 0)
    if (built.carries.length > 0) this.#considerCollection()
  }

  /** Beside commits, now and then: an idle store stays idle. */
  #considerCollection(): void {
    const { head, carried } = this.#state
    // As long as this is so there is nothing that could be due.
    if (carried.collectedAt === 0 && head - carried.trim < COLLECT_EVERY) return
    this.#collection
      .use((work) => {
        if (!this.isPoisoned) work.consider()
      })
      .catch((cause: unknown) => warnLater(this.#ctx, 'Collection', cause))
  }

  /** Folds, compacts and collects now. */
  async maintain(options: CollectOptions): Promise<MaintainResult> {
    const result = await this.#collection.use((work) => work.maintain(options))
    await this.#raising
    return result
  }

  /** Appends a version that is no commit; when it can't be made, nothing falls with it. */
  append(make: MakeChange): Promise<CommitResult> {
    this.assertWritable()
    return this.#committer!.append(make)
  }

  /** Refreshes the anchor beside everything else; one swap at a time, and the last one sees the newest state. */
  #raise(): void {
    const state = this.#state
    this.#raising = (this.#raising ?? Promise.resolve()).then(async () => {
      if (this.#state.carried.manifestAt === state.carried.manifestAt) await refreshAnchor(this.#ctx, this.#log, state)
    })
  }

  #ended(error: TidemarkError): void {
    // What it would still upload nothing could name.
    void this.compaction!.stop()
    if (error.code === 'FENCED') this.#ctx.emit('fenced', { error })
  }

  /** Catches up with what others have written; an owner has nothing to catch up with. Who may not write goes on reading. */
  refresh(): Promise<void> {
    if (this.#committer === undefined || (this.#ctx.isShared && this.isPoisoned)) {
      this.#looking ??= Promise.allSettled([this.#refreshing]).then(() => {
        this.#looking = undefined
        return (this.#refreshing = this.#catchUp())
      })
      return this.#looking
    }
    return this.#ctx.isShared ? this.#committer.look() : Promise.resolve()
  }

  /** Of a writer at a moment at which nothing is in flight. */
  async #catchUp(): Promise<void> {
    const before = this.#state
    const { catchUp } = following.loaded ?? (await following.load())
    const prepare = (state: ShardState): Promise<ShardState> => this.repairs.prepared(state)
    const { state, read, entries, failure } = await catchUp(this.#ctx, this.#log, before, prepare)
    if (state !== before && (read !== before || this.#state === before)) this.#apply(before, state, entries)
    if (failure !== undefined) throw failure
  }

  #apply(before: ShardState, state: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.#state = state
    if (this.compaction) this.#meet(before, state, entries)
    this.#ctx.moved()
    const { version } = state.carried
    if (version !== before.carried.version) this.#ctx.emit('version', { version })
    if (this.compaction && !this.isPoisoned) following.loaded!.assertShared(this.#ctx.store, state, entries)
  }

  /** Others have written beside this writer. */
  #meet(before: ShardState, state: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    following.loaded!.noteOthers(this.#ctx, this.#log, this.#known, entries)
    this.#known.forget(state.carried.trim)
    this.compaction!.met(state.manifest)
    if (state.carried.version !== before.carried.version) {
      this.#met(before, entries?.some(({ entry }) => entry.kind === 'reset') ? undefined : entries)
    }
  }

  /** Waits for what is in flight, stops what runs beside it, and lets go of the log. */
  async close(): Promise<void> {
    const message = `Store "${this.#ctx.store}" writes nothing more until it is open again: call reopen(), once more if it failed.`
    await this.#committer?.close(new TidemarkError('CLOSED', message))
    await this.compaction?.stop()
    // An entry of which nothing is known, perhaps the last one that was on its way, may name what waited for one.
    if (this.#committer?.ended?.code === 'CLOSED') await this.compaction?.dropWaiting([])
    await this.#collection.loaded?.stop()
    await this.#raising
    await (this.#looking ?? this.#refreshing)?.catch(() => undefined)
    await closeLog(this.#ctx, this.#log)
  }
}
