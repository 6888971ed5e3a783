/** The handle behind a store: the buffer of what is uncommitted, the shard that makes it durable, and their life. */
import { singleFlight } from '../async.js'
import { tell } from '../callback.js'
import { TidemarkError, isExpired, isTidemarkError } from '../errors.js'
import type { Own } from '../log/shard-parts.js'
import { shardPath } from '../manifest/names.js'
import type { Lazy } from '../part.js'
import type { SegmentCache } from '../segment/cache.js'
import { Memtable } from '../engine/memtable.js'
import { viewOf, type View } from '../engine/read.js'
import { following, Shard } from '../engine/shard.js'
import { tableBytes } from '../engine/slot.js'
import type { CommitResult } from '../engine/write/requests.js'
import type { OpenedLog, ShardState } from '../engine/state.js'
import type { Channel, Peers } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { Changes } from './changes.js'
import { loadExtras, nowIn, shardContext, type Extras } from './context.js'
import { Events, STORE_EVENTS, type StoreEvents } from './events.js'
import type { Following } from './follow.js'
import { holdState } from './holds.js'
import { collectMetrics, type Metrics } from './metrics.js'
import type { Observed } from './watching/observed.js'
import { Observers } from './watching/observers.js'
import type { ResolvedOptions } from './open-options.js'
import type { ReadSet } from './read-set.js'
import { indexing, shardRequest } from './shard-request.js'
import type { Hold, TableHost, Transactions } from './table-host.js'
import type { AnyTableOptions } from './table-options.js'
import { Specs } from './specs.js'
import { type TableSpec } from './table-spec.js'

export class StoreHandle implements TableHost, Observed {
  /** Another mode, once a follower has become the owner. */
  options: ResolvedOptions
  readonly events: Events<StoreEvents>
  readonly #ctx: ReturnType<typeof shardContext>
  readonly #requests = { put: 0, get: 0, list: 0, delete: 0 }
  readonly specs: Specs
  readonly changes: Changes
  /** Its store's. */
  transactions!: Lazy<Transactions>
  #hasWarned = false
  /** Only of a handle that writes together with others. */
  readonly readSet: ReadSet | undefined
  /** Each ends a wait with an error, when the store is closed. */
  readonly waits = new Set<(error: unknown) => void>()
  readonly observers = new Observers(this)
  readonly #following: Following | undefined
  readonly #peers: Peers | undefined
  /** Tells other handles of versions, and is told of theirs. */
  #channel: Channel | undefined
  #shard: Shard | undefined
  #closing: Promise<void> | undefined
  readonly #once = singleFlight()

  static async open(options: ResolvedOptions): Promise<StoreHandle> {
    const handle = new StoreHandle(options, await loadExtras(options))
    await handle.#openShard(options.create, options.expectAtLeast)
    return handle
  }

  /** A handle on a log that is open already, and owned. */
  static async adopt(options: ResolvedOptions, opened: OpenedLog): Promise<StoreHandle> {
    const handle = new StoreHandle(options, await loadExtras(options))
    const context = { ...handle.#ctx, shard: opened.context.shard }
    await handle.#openShard(undefined, undefined, { ...opened, context })
    return handle
  }

  /** A follower becomes the owner: its log was taken over, and `state` is the newest one since. */
  async promote(state: ShardState): Promise<void> {
    const { context, log } = this.shard
    this.options = { ...this.options, mode: 'exclusive' }
    await this.#ctx.resident?.prepare(state)
    await this.#openShard(undefined, undefined, { context, log, state })
    this.#following?.stop()
  }

  private constructor(options: ResolvedOptions, extras: Extras) {
    this.options = options
    const { clock, timeoutMs, followMs } = options
    this.specs = new Specs(extras.deepFreeze)
    this.events = new Events<StoreEvents>(STORE_EVENTS, (message, cause) => this.#log(message, cause))
    const storage = deadlines(options.storage, { timeoutMs, clock, requests: this.#requests })
    this.#peers = storage.peers
    this.changes = new Changes(this)
    const { ReadSet: Reads } = extras
    this.readSet =
      Reads &&
      new Reads(
        () => this.changes.buffer,
        () => this.cache,
      )
    this.#ctx = shardContext(
      options,
      storage,
      {
        warn: (message, cause) => this.report(message, cause),
        moved: () => this.#moved(),
        // When telling fails: the version is durable, and others find it when they catch up.
        committed: () => tell(() => this.#channel?.tell(), this.#followingFailed),
        emit: (event, detail) => {
          // Opening may repair before anybody listens.
          if (event === 'repaired') this.#log(detail['message'] as string, detail['cause'])
          this.events.emit(event, detail as never)
        },
      },
      extras,
    )
    this.#following =
      extras.Following &&
      new extras.Following({ clock, followMs, catchUp: () => this.catchUp(), failed: this.#followingFailed })
  }

  readonly #followingFailed = (cause: unknown): void =>
    this.report(`Following store "${this.options.name}" failed; it goes on.`, cause)

  async #openShard(create: boolean | undefined, expectAtLeast: number | undefined, adopts?: OpenedLog): Promise<void> {
    const shard = await Shard.open(this.#ctx, { ...shardRequest(this, create, expectAtLeast), adopts })
    try {
      await shard.detector.prepare()
    } catch (error) {
      await shard.close()
      throw error
    }
    this.#shard = shard
    this.#moved()
    this.#follow()
  }

  #follow(): void {
    const { mode, followMs, name, folder } = this.options
    this.#channel ??= this.#peers?.channel(shardPath(name, folder), () => {
      // A follower that was not told to follow stays where it is until refresh().
      if (mode === 'shared' || followMs > 0) void this.#following?.catchUp()
    })
    this.#following?.start()
  }

  /** The state is another one. */
  #moved(): void {
    // Opening folds and carries before there is a store to speak of.
    if (this.#shard === undefined) return
    const { state } = this
    this.#ctx.resident?.use(state)
    this.observers.moved(state)
  }

  /** Tells of something that failed no call. */
  report(message: string, cause?: unknown): void {
    this.#log(message, cause)
    this.events.emit('warning', { message, cause })
  }

  #log(message: string, cause: unknown): void {
    const { logger = console } = this.options
    // When it fails there is nobody left to tell.
    tell(() => {
      if (logger) return cause === undefined ? logger.warn?.(message) : logger.warn?.(message, cause)
      return undefined
    })
  }

  get shard(): Shard {
    return this.#shard!
  }

  get state(): ShardState {
    return this.shard.state
  }

  get cache(): SegmentCache {
    return this.#ctx.cache
  }

  /**
   * Keeps what a reader of the state needs, in memory where all of it is: while it waits for a promise, else as long as it is
   * used now and then, until it is released. With a number: the entries after it, too.
   */
  hold(state: ShardState, waiting?: Promise<unknown>, trim = Infinity): Hold {
    return holdState(this.#ctx, this.shard, this.options.mode, state, waiting, trim)
  }

  get budget(): number {
    return this.options.maxUncommittedBytes - this.shard.waitingBytes
  }

  get partitions(): number {
    return this.state.manifest.config.partitions
  }

  get own(): Own | undefined {
    return this.state.carried.own
  }

  monotonic(): number {
    return this.options.clock.monotonic()
  }

  now(): number {
    return nowIn(this.#ctx, this.shard)
  }

  view(): View {
    this.assertOpen()
    return this.shard.view([this.changes.buffer])
  }

  async repair(view: View, error: unknown): Promise<View> {
    if (view.state === undefined) throw error
    try {
      const state = await this.shard.detector.repair(view.state, error)
      return viewOf(state, view.memtables, view.cache)
    } catch (failure) {
      // Others may have collected the newest state that this handle knows.
      if (isExpired(failure) && view.state === this.state) {
        await following.loaded?.outdated(this.options, failure, () => this.catchUp())
      }
      throw failure
    }
  }

  /** Who may no longer write learns it from `commit()`. */
  writable(): Memtable {
    this.assertOpen()
    this.shard.assertWriter()
    if (!this.#hasWarned && this.transactions?.loaded?.isRunning) {
      this.#hasWarned = true
      this.report(
        `Something was put into the buffer of store "${this.options.name}" while the function of a transaction runs. It is no part of the transaction: use its \`tx\`.`,
      )
    }
    return this.changes.buffer
  }

  async commitOwn(lay: (memtable: Memtable) => void): Promise<CommitResult> {
    this.assertWritable()
    const memtable = new Memtable()
    lay(memtable)
    return this.changes.commitOwn(memtable)
  }

  transact<T>(change: (host: TableHost) => Promise<T>): Promise<T> {
    return this.transactions.use((queue) => queue.run(change, { tries: Number.MAX_SAFE_INTEGER }, 0))
  }

  assertWritable(): void {
    this.assertOpen()
    this.shard.assertWritable()
  }

  assertOpen(): void {
    if (this.#closing) throw this.#closedError()
  }

  #closedError(): TidemarkError {
    return new TidemarkError('CLOSED', `Store "${this.options.name}" is closed; open it again.`)
  }

  /** The table of this name, made once per handle. */
  spec(name: string, options: AnyTableOptions, bytes = tableBytes(name)): TableSpec {
    this.assertOpen()
    const spec = this.specs.open(name, bytes, options, this.state)
    this.observers.retry()
    if (options.indexes !== undefined && this.options.mode !== 'follower') this.#build(spec)
    return spec
  }

  /** An index that is not there yet is built beside everything else. */
  #build(spec: TableSpec): void {
    if (spec.isEmptyIn(this.state)) return
    indexing
      .use((part) => part.build(this, spec))
      .catch((cause: unknown) => {
        // Whoever opens the store next goes on with it.
        if (isTidemarkError(cause) && cause.code === 'CLOSED') return
        this.report(`An index of ${spec.title} could not be built; the next commit to the table tries again.`, cause)
      })
  }

  discard(): void {
    this.assertOpen()
    this.changes.discard()
  }

  async refresh(): Promise<void> {
    await (this.readSet?.during(() => this.catchUp()) ?? this.catchUp())
  }

  /** Reads that the program has made before still count as made. */
  async catchUp(): Promise<void> {
    this.assertOpen()
    await this.shard.refresh()
    this.specs.recheck(this.state)
  }

  async reopen(): Promise<void> {
    this.assertOpen()
    await this.#once('reopen', () => this.#reopen())
  }

  async #reopen(): Promise<void> {
    this.changes.drop('reopen()')
    this.#following?.stop()
    await this.shard.close()
    this.changes.drop('reopen()')
    this.changes.changed()
    this.#ctx.uploads.clear()
    this.#ctx.resident?.releaseAll()
    try {
      await this.#openShard(false, this.options.expectAtLeast)
    } catch (error) {
      this.#ctx.resident?.releaseAll()
      // Reads go on with the state that is there, and a follower goes on following.
      this.#follow()
      throw error
    }
    this.readSet?.clear()
    this.changes.reopened()
    this.specs.recheck(this.state)
  }

  metrics(): Metrics {
    const { counters, cache } = this.#ctx
    return collectMetrics(counters, this.state, { ...this.#requests }, cache, this.changes.latencies)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // Joins a reopening that is under way: the shard that it opens has to be let go as well.
    await this.#once('reopen', () => Promise.resolve()).catch(() => undefined)
    this.#following?.stop()
    this.observers.close()
    for (const end of this.waits) end(this.#closedError())
    for (const { reading } of this.#ctx.held) await reading?.end()
    await this.shard.foldDue()
    await this.shard.close()
    this.#channel?.close()
    this.#channel = undefined
    this.changes.drop('close()')
  }
}
