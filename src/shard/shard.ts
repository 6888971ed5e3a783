/**
 * A shard: one log and its owner's view of it. It ties the parts together and holds the one thing that changes, the state;
 * how entries are built, appended, folded, found and read is in the files beside this one.
 */
import { equalBytes } from '../bytes/compare.js'
import { TidemarkError } from '../errors.js'
import { readAnchor } from '../log/anchor.js'
import type { OffsetMap } from '../log/offsets.js'
import type { BuiltEntry } from './build.js'
import { Committer, type CommitRequest, type CommitResult } from './committer.js'
import type { LogContext, ShardContext } from './context.js'
import type { Layer } from './layer.js'
import { openShard, refreshAnchor, type OpenedShard, type OpenRequest } from './open.js'
import { viewOf, type View } from './reads.js'
import { anchorName, closeLog, overtaken, readOn } from './recovery.js'
import { foldTail } from './rewrite.js'
import { applyEntry, parseEntry, type AppliedEntry, type ShardState } from './state.js'
import { Upkeep } from './upkeep.js'

export type ShardRequest = Omit<OpenRequest, 'fold'> & {
  /** Takes back the changes of commits that surely did not happen, oldest first. */
  readonly giveBack: (layers: readonly Layer[]) => void
}

export class Shard {
  readonly #ctx: ShardContext
  readonly #log: LogContext
  readonly #upkeep: Upkeep | undefined
  readonly #committer: Committer | undefined
  #state: ShardState
  #poisoned: TidemarkError | undefined
  #refreshing: Promise<void> | undefined
  #raising: Promise<void> | undefined

  static async open(ctx: ShardContext, request: ShardRequest): Promise<Shard> {
    const { signal } = new AbortController()
    const opened = await openShard(ctx, {
      ...request,
      // A tail that was never folded, by a program that crashes or closes soon after opening, must not grow for ever.
      // It is no condition for opening either: without space, say, a store can still be read.
      fold: async (log, state) => {
        if (state.tail.length < ctx.checkpoint.entries) return []
        try {
          return [await foldTail(ctx, log, state, signal)]
        } catch (cause) {
          ctx.warn(`The tail of store "${ctx.store}" could not be folded at opening; it is tried again later.`, cause)
          return []
        }
      },
    })
    return new Shard(ctx, request, opened)
  }

  private constructor(ctx: ShardContext, request: ShardRequest, { log, state }: OpenedShard) {
    this.#ctx = ctx
    this.#log = log
    this.#state = state
    if (request.mode === 'follower') return
    this.#upkeep = new Upkeep(ctx, log, () => this.#state)
    this.#committer = new Committer(ctx, log, this.#upkeep, {
      state: () => this.#state,
      advance: (built) => this.#advance(built),
      poison: (error) => this.#poison(error),
      giveBack: request.giveBack,
    })
    this.#upkeep.consider()
  }

  get state(): ShardState {
    return this.#state
  }

  get log(): LogContext {
    return this.#log
  }

  /** Memory of the changes on their way, about. */
  get waitingBytes(): number {
    return this.#committer?.bytes ?? 0
  }

  /** With all that is on its way; the same map as long as nothing has changed them. */
  get offsets(): OffsetMap {
    return this.#committer?.offsets ?? this.#state.carried.offsets
  }

  /** What stands over the committed runs, the caller's own layers first. */
  view(uncommitted: readonly Layer[]): View {
    const layers = [...uncommitted.filter((layer) => !layer.empty), ...(this.#committer?.layers ?? [])]
    return viewOf(this.#state, layers, this.#ctx.cache)
  }

  /** Throws what forbids writing: a lost or unknown append, or the mode. */
  assertWritable(): void {
    if (this.#poisoned) throw this.#poisoned
    if (this.#committer === undefined) {
      throw new TidemarkError('READ_ONLY', `Store "${this.#ctx.store}" was opened as a follower; it only reads.`)
    }
  }

  commit(request: CommitRequest): Promise<CommitResult> {
    this.assertWritable()
    return this.#committer!.commit(request)
  }

  /** Folds what is committed now and appends the entry that carries it, unless a commit does. */
  async checkpoint(): Promise<void> {
    this.assertWritable()
    // Entries without changes are worth an entry of their own only when there are many of them.
    const { tail } = this.#state
    if (
      tail.every(({ layer, references }) => layer === undefined && references === undefined) &&
      tail.length < this.#ctx.checkpoint.entries
    )
      return
    const wanted = this.#state.head
    while (this.#state.manifest.covers < wanted) {
      // What came of commits meanwhile forbids it as it forbids theirs, and says more than that the fold was stopped.
      await this.#upkeep!.foldNow().finally(() => this.assertWritable())
      await this.#committer!.carry()
    }
    await this.#raising
  }

  #advance(built: BuiltEntry): void {
    const before = this.#state
    this.#state = applyEntry(before, built)
    const { counters } = this.#ctx
    counters.bytes += built.bytes.length
    if (built.entry.kind === 'commit') counters.commits++
    if (built.manifest) {
      this.#upkeep!.carried(before.manifest, built.manifest, built.carries)
      this.#raise()
    }
    this.#ctx.moved()
    const { version } = this.#state.carried
    if (built.manifest) this.#ctx.emit('checkpoint', { version, covers: built.manifest.covers })
    if (version !== before.carried.version) this.#ctx.emit('version', { version })
    this.#upkeep!.consider()
  }

  /** Refreshes the anchor beside everything else; one swap at a time, and the last one sees the newest state. */
  #raise(): void {
    const state = this.#state
    this.#raising = (this.#raising ?? Promise.resolve()).then(async () => {
      if (this.#state.carried.manifestAt === state.carried.manifestAt) await refreshAnchor(this.#ctx, this.#log, state)
    })
  }

  #poison(error: TidemarkError): void {
    this.#poisoned = error
    // What it would still upload nothing could name.
    void this.#upkeep!.stop()
    if (error.code === 'FENCED') this.#ctx.emit('fenced', { error })
  }

  /** Catches up with what the log has; a writer has nothing to catch up with. */
  refresh(): Promise<void> {
    if (this.#committer !== undefined) return Promise.resolve()
    this.#refreshing ??= this.#follow().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #follow(): Promise<void> {
    const before = this.#state
    const state = await readOn(this.#ctx, this.#log, before, 1)
    // Read after the absent answer: a head at or below the trim number is no head.
    const { value } = await readAnchor(this.#log.anchor, anchorName(this.#ctx))
    if (value === undefined || !equalBytes(value.logId, this.#log.logId)) {
      throw new TidemarkError(
        'NOT_FOUND',
        `Store "${this.#ctx.store}" was destroyed${value ? ' and made anew' : ''}; call reopen() to look again.`,
      )
    }
    if (value.trim >= state.head) throw overtaken(this.#ctx)
    await this.#ctx.resident?.prepare(state)
    if (state === before) return
    this.#state = state
    this.#ctx.moved()
    if (state.carried.version !== before.carried.version) this.#ctx.emit('version', { version: state.carried.version })
  }

  /** Reads an entry of the past; `undefined` when it is not there. */
  async readEntry(n: number): Promise<AppliedEntry | undefined> {
    const { bytes } = await this.#log.log.read(n)
    return bytes && parseEntry(bytes, n, this.#log.logId, this.#log.path)
  }

  /** Waits for what is in flight, stops what runs beside it, and lets go of the log. */
  async close(): Promise<void> {
    // From here on nothing more is taken: what came after the queue was seen empty would be cut off.
    this.#poisoned ??= new TidemarkError(
      'CLOSED',
      `Store "${this.#ctx.store}" was closed, or failed to reopen; open it again.`,
    )
    await this.#committer?.idle()
    await this.#upkeep?.stop()
    await this.#raising
    await this.#refreshing?.catch(() => undefined)
    await closeLog(this.#ctx, this.#log)
  }
}
