/** The handle behind a store handle: the buffer of what is uncommitted, the shard that makes it durable, and their life. */
import { tell } from '../callback.js'
import { TidemarkError, isExpired } from '../errors.js'
import { shardPath } from '../manifest/names.js'
import { Part } from '../part.js'
import type { SegmentCache } from '../segment/cache.js'
import type { CommitResult } from '../engine/write/requests.js'
import { currentTime } from '../engine/context.js'
import type { Memtable } from '../engine/memtable.js'
import { viewOf, type View } from '../engine/read.js'
import type { MaintainResult } from '../engine/gc/scheduler.js'
import { following, Shard, type ShardRequest } from '../engine/shard.js'
import { tableBytes } from '../engine/slot.js'
import type { ShardState } from '../engine/state.js'
import { deadlines } from '../storage/deadlines.js'
import { Changes } from './changes.js'
import { parseCommit, type CommitOptions } from './commit.js'
import { loadExtras, shardContext, type Extras } from './context.js'
import { Events } from './events.js'
import type { VersionInfo, VersionsOptions } from './history.js'
import { holdIn, type Hold } from './holds.js'
import { checkIdentity } from './identity.js'
import { collectMetrics, type Metrics } from './metrics.js'
import type { ResolvedOptions } from './options.js'
import type { MaintainOptions } from './maintain.js'
import { Past } from './past.js'
import type { ReadSet } from './read-set.js'
import { Specs } from './specs.js'
import type { AnyTableOptions, TableSpec } from './table-spec.js'
import type { StoreHost } from './store-host.js'
import { Telling } from './telling.js'
import { Transactions } from './transactions.js'
import { Watches } from './watches.js'

const maintaining = new Part('maintenance', () => import('./maintain.js'))

export class StoreHandle implements StoreHost {
  readonly options: ResolvedOptions
  readonly events: Events
  readonly #ctx: ReturnType<typeof shardContext>
  readonly #requests = { put: 0, get: 0, list: 0, delete: 0 }
  readonly specs: Specs
  readonly changes: Changes
  /** Of a handle that writes together with others. */
  readonly readSet: ReadSet | undefined
  readonly watches: Watches
  readonly transactions: Transactions
  readonly past: Past
  #shard: Shard | undefined
  #closing: Promise<void> | undefined
  #reopening: Promise<void> | undefined
  readonly #following: Telling

  static async open(options: ResolvedOptions): Promise<StoreHandle> {
    const handle = new StoreHandle(options, await loadExtras(options))
    await handle.#openShard(options.create, options.expectAtLeast)
    return handle
  }

  private constructor(options: ResolvedOptions, extras: Extras) {
    this.options = options
    const { clock } = options
    this.specs = new Specs(extras.deepFreeze)
    this.events = new Events((message, cause) => this.#log(message, cause))
    const { timeoutMs } = options
    const storage = deadlines(options.storage, { timeoutMs, clock, requests: this.#requests })
    this.changes = new Changes(this)
    this.readSet = extras.ReadSet && new extras.ReadSet(() => this.changes.buffer)
    this.watches = new Watches(this)
    this.transactions = new Transactions(this)
    this.past = new Past(this)
    this.#ctx = shardContext(
      options,
      storage,
      {
        warn: (message, cause) => this.report(message, cause),
        moved: () => this.#moved(),
        committed: () => this.#following.tell(),
        emit: (event, detail) => {
          // Opening may repair before anybody listens.
          if (event === 'repaired') this.#log(detail['message'] as string, detail['cause'])
          this.events.emit(event, detail as never)
        },
      },
      extras,
    )
    this.#following = new (extras.Following ?? Telling)({
      clock,
      followMs: options.followMs,
      // A follower that was not told to follow stays where it is until refresh().
      listens: options.mode === 'shared' || options.followMs > 0,
      path: shardPath(options.name),
      peers: storage.peers,
      look: () => this.catchUp(),
      failed: (cause) => this.report(`Following store "${options.name}" failed; it goes on.`, cause),
    })
  }

  async #openShard(create: boolean | undefined, expectAtLeast: number | undefined): Promise<void> {
    const shard = await Shard.open(this.#ctx, this.#request(create, expectAtLeast))
    try {
      await shard.repairs.prepare()
    } catch (error) {
      await shard.close()
      throw error
    }
    this.#shard = shard
    this.#moved()
    this.#following.start()
  }

  /** The state is another one. */
  #moved(): void {
    // Opening folds and carries before there is a store to speak of.
    if (this.#shard === undefined) return
    this.#ctx.resident?.use(this.state)
    this.watches.applied()
  }

  /** Tells of something that failed no call. */
  report(message: string, cause?: unknown): void {
    this.#log(message, cause)
    this.events.emit('warning', { message, cause })
  }

  #log(message: string, cause: unknown): void {
    // When it fails there is nobody left to tell.
    tell(() => this.options.logger?.warn?.(message, cause))
  }

  #request(create: boolean | undefined, expectAtLeast: number | undefined): ShardRequest {
    const { options } = this
    return {
      mode: options.mode,
      signal: options.signal,
      create,
      config: () => ({
        partitions: options.partitions ?? 1,
        job: options.job,
        created: Math.floor(options.clock.now()),
      }),
      check: (state) => checkIdentity(options, state, expectAtLeast),
      rollback: (memtables, withOffsets) => this.changes.rollback(memtables, withOffsets),
      met: (before, changes) => this.changes.met(before, changes),
    }
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
    return holdIn(this.#ctx, this.shard, this.options.mode, state, waiting, trim)
  }

  get budget(): number {
    return this.options.maxUncommittedBytes - this.shard.waitingBytes
  }

  get partitions(): number {
    return this.state.manifest.config.partitions
  }

  monotonic(): number {
    return this.options.clock.monotonic()
  }

  now(): number {
    return Math.max(this.state.carried.time, currentTime(this.#ctx, this.shard.log))
  }

  view(): View {
    this.assertOpen()
    return this.shard.view([this.changes.buffer])
  }

  async mend(view: View, error: unknown): Promise<View> {
    if (view.state === undefined) throw error
    try {
      const state = await this.shard.repairs.mend(view.state, error)
      return viewOf(state, view.memtables, view.cache)
    } catch (failure) {
      // What others have collected meanwhile was the newest that this handle knows.
      if (isExpired(failure) && view.state === this.state) {
        await following.loaded?.outdated(this.options, failure, () => this.catchUp())
      }
      throw failure
    }
  }

  mendStates(states: readonly ShardState[], error: unknown): Promise<ShardState[]> {
    return this.shard.repairs.about(error, (repairer) => repairer.mendAll(states, error))
  }

  writable(): Memtable {
    this.assertWritable()
    return this.changes.buffer
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
  spec(name: string, options: AnyTableOptions): TableSpec {
    return this.specFor(name, tableBytes(name), options)
  }

  specFor(name: string, bytes: Uint8Array, options: AnyTableOptions): TableSpec {
    this.assertOpen()
    const spec = this.specs.open(name, bytes, options, this.state)
    this.watches.opened()
    return spec
  }

  look(name: string, bytes: Uint8Array, state: ShardState): TableSpec {
    return this.specs.look(name, bytes, state)
  }

  async commit(options: CommitOptions): Promise<CommitResult> {
    this.assertWritable()
    return this.changes.commitBuffer(parseCommit(options))
  }

  discard(): void {
    this.assertOpen()
    this.changes.discard()
  }

  async checkpoint(): Promise<void> {
    this.assertOpen()
    await this.shard.checkpoint()
  }

  async maintain(options: MaintainOptions): Promise<MaintainResult> {
    this.assertOpen()
    return maintaining.use((part) => this.shard.maintain(part.checkMaintain(options, this.options.clock)))
  }

  async refresh(): Promise<void> {
    const look = (): Promise<void> => this.catchUp()
    await (this.readSet ? this.readSet.during(look) : look())
  }

  /** What the program has read before still counts as read. */
  async catchUp(): Promise<void> {
    this.assertOpen()
    await this.shard.refresh()
    this.specs.recheck(this.state)
  }

  reopen(): Promise<void> {
    if (this.#closing) return Promise.reject(this.#closedError())
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async #reopen(): Promise<void> {
    this.changes.drop('reopen()')
    this.#following.stop()
    await this.shard.close()
    this.changes.drop('reopen()')
    this.changes.changed()
    this.#ctx.uploads.clear()
    this.#ctx.resident?.releaseAll()
    try {
      await this.#openShard(false, this.options.expectAtLeast)
    } catch (error) {
      this.#ctx.resident?.releaseAll()
      // What is there goes on being read, and a follower goes on looking.
      this.#following.start()
      throw error
    }
    this.readSet?.clear()
    this.changes.reopened()
    this.specs.recheck(this.state)
  }

  versions(options: VersionsOptions): AsyncIterableIterator<VersionInfo> {
    this.assertOpen()
    return this.past.versions(options)
  }

  metrics(): Metrics {
    return collectMetrics(
      this.#ctx.counters,
      this.state,
      { ...this.#requests },
      this.#ctx.cache,
      this.changes.latencies,
    )
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // What is being opened at this moment has to be let go as well.
    await this.#reopening?.catch(() => undefined)
    this.#following.stop()
    this.watches.stop()
    this.transactions.stop(this.#closedError())
    for (const { reading } of this.#ctx.held) await reading?.end()
    await this.shard.close()
    this.#following.close()
    this.changes.drop('close()')
  }
}
