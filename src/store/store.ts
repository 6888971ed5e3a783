/** A store as programs see it: opening one, and the calls on it. */
import type { Key } from '../bytes/keys.js'
import type { WriteMode } from '../log/entry.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import { lowestOffsets } from '../log/spans.js'
import { Part, type Lazy } from '../part.js'
import type { MaintainResult } from '../engine/gc/scheduler.js'
import { statesOf } from '../engine/state.js'
import type { CommitResult } from '../engine/write/requests.js'
import { parseCommit, type CommitOptions } from './changes.js'
import type { StoreEvents } from './events.js'
import type { When } from './find.js'
import type { StoreHandle } from './handle.js'
import { handles } from './handles.js'
import type { ForkOptions, RestoreOptions, TagInfo, TagOptions } from './old-versions.js'
import type { MaintainOptions } from './maintain.js'
import type { Metrics } from './metrics.js'
import { modeOf, type Mode } from './open-options.js'
import type { Snapshot } from './snapshot.js'
import type { TableSpec } from './table-spec.js'
import { Tables, type Disposable } from './tables.js'
import type { Transaction, TransactionOptions, TransactionQueue } from './transaction.js'
import type { VersionInfo, VersionsOptions } from './history.js'

/** A shard, as `store.shards` lists it. */
export interface ShardInfo {
  /** Its first partition. */
  readonly first: number
  /** Its last partition. */
  readonly last: number
  /** Its newest known version. */
  readonly version: number
}

const old = new Part(() => import('./old-versions.js'))
const maintaining = new Part(() => import('./maintain.js'))
const transacting = new Part(() => import('./transaction.js'))

/**
 * An open store: the reads and writes of its default table, and what concerns all of its tables. Once it is closed every
 * call fails with `CLOSED`.
 */
export class Store<K extends Key = Key, V = unknown> extends Tables<K, V> implements Disposable {
  readonly #handle: StoreHandle
  readonly #spec: TableSpec
  readonly #transactions: Lazy<TransactionQueue>

  /** @internal */
  constructor(handle: StoreHandle, spec: TableSpec) {
    super(handle, spec)
    this.#handle = handle
    this.#spec = spec
    this.#transactions = transacting.lazy((part) => new part.TransactionQueue(handle))
    handle.transactions = this.#transactions
    handles.set(this, handle)
  }

  /**
   * The newest known version: the number of the last commit or reset in the log; 0 in a new store. Versions grow, and not always
   * by one, as all entries of the log are numbered: making a store is entry 1, so that its first commit is version 2, and each
   * opening that takes it over is one.
   */
  get version(): number {
    return this.#handle.state.carried.version
  }

  /**
   * The offsets of the newest known version, merged over sources and partitions, in the shape in which they were given; `{}`
   * in a new store.
   */
  get offsets(): Offsets {
    this.#handle.readSet?.offsets()
    return offsetsToObject(lowestOffsets(this.#handle.state.carried))
  }

  /** The shards that this handle has: the run of partitions of each, and its newest known version. */
  get shards(): readonly ShardInfo[] {
    const { state, partitions } = this.#handle
    return statesOf(state).map(({ carried: { own, version } }) => {
      const { first, last } = own ?? { first: 0, last: partitions - 1 }
      return { first, last, version }
    })
  }

  /** How this handle uses the store: what `mode` says, or the default. */
  get mode(): Mode {
    return this.#handle.options.mode
  }

  /** The mode of stores in this storage that are opened without one: `shared` on `indexedDb()`, `exclusive` elsewhere. */
  get modeDefault(): WriteMode {
    return modeOf(this.#handle.options.storage)
  }

  /** The name that the store was opened by. */
  get name(): string {
    return this.#handle.options.name
  }

  /**
   * Makes what is buffered durable, all or nothing, as the next version; without changes it still makes one. Commits that
   * are called while another one is on its way may share an entry of the log.
   *
   * Changes that surely were not committed are buffered again after an error.
   * @returns the version, the bytes that were written for it, and the storage requests that this took
   * @throws `INVALID_ARGUMENT` when an option is wrong, offsets go back without `force`, or a value cannot be encoded
   * @throws `CONFLICT` when others have changed keys that are changed here and that this handle had read (shared mode only);
   *   it names them
   * @throws `FENCED` when another writer took the store over; `READ_ONLY` in a follower
   * @throws `UNKNOWN_OUTCOME` when the commit may or may not have happened; after `reopen()` the store shows it
   * @throws `QUOTA` or `STORAGE_UNAVAILABLE` when the storage is full, or does not answer
   * @example
   *     const { version } = await store.commit({ offsets: { clicks: 1042 }, label: 'hourly' })
   */
  async commit(options: CommitOptions = {}): Promise<CommitResult> {
    this.#handle.assertWritable()
    return this.#handle.changes.commitBuffer(parseCommit(options))
  }

  /**
   * Runs `body` on a buffer of its own and commits it when `body` resolves; what the store has buffered is neither read nor
   * committed. When `body` throws, nothing of it happened. Transactions of one handle run one after another, each on top of
   * the one before; when something else is committed meanwhile, or what it saw on its way fails, `body` is run again.
   *
   * In shared mode one that has written nothing, or whose `body` has thrown, makes sure that it read the newest version:
   * that takes one request. If others have committed something it is run again, on top of that.
   *
   * One must not be awaited inside another. One that is called before the first `await` of a body is refused with
   * `INVALID_ARGUMENT`, awaited or not; later in a body it may be started, and runs after this one. When `body` has neither
   * called anything on `tx` nor waited for a read of it for `timeoutMs`, it may be waiting for one in the queue behind it:
   * these then fail with `CONFLICT`. So fetch what takes longer before the transaction.
   * @returns what `body` resolves to
   * @throws what `body` throws; as `commit`: `FENCED`, `READ_ONLY`, `QUOTA`, `UNKNOWN_OUTCOME`; `ABORTED` by the signal
   * @throws `CONFLICT` after `tries` runs, or when other offsets were committed meanwhile
   * @example
   *     await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1))
   */
  transaction<T>(body: (tx: Transaction<K, V>) => Promise<T> | T, options: TransactionOptions = {}): Promise<T> {
    const { fallenOffsets } = this.#handle.changes
    return this.#transactions.use((queue) => queue.transaction(this.#spec, body, options, fallenOffsets))
  }

  /**
   * A stable view of what is committed now, as far as this handle knows. A snapshot that nobody reads for `graceMs` may
   * expire. Close it when it is no longer needed.
   * @throws `STORAGE_UNAVAILABLE` when a part of Tidemark cannot be loaded
   * @example
   *     await using snapshot = await store.snapshot()
   */
  async snapshot(): Promise<Snapshot<K, V>> {
    const handle = this.#handle
    handle.assertOpen()
    const { state } = handle
    const hold = handle.hold(state)
    try {
      return await old.use((part) => new part.Snapshot<K, V>(handle, this.#spec, state))
    } finally {
      hold.release()
    }
  }

  /** Drops what is buffered. */
  discard(): void {
    this.#handle.discard()
  }

  /**
   * Folds the log's tail into segments now; otherwise it happens by itself.
   * @throws as `commit`: `FENCED`, `READ_ONLY`, `QUOTA`, `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME`
   */
  async checkpoint(): Promise<void> {
    this.#handle.assertOpen()
    await this.#handle.shard.checkpoint()
  }

  /**
   * A stable view of a version that is kept: by its number, by a tag, or as it was at a moment. A number between two commits
   * stands for the one before it. Versions from before a store was split, or merged, are shown for the partitions of this handle.
   * @throws `VERSION_EXPIRED` when the version is no longer kept
   * @throws `NOT_FOUND` when there is no such tag, or the version is beyond the newest or before the first
   * @throws `INVALID_ARGUMENT` when it is the number of a version of several shards, which is no moment: take a date or a tag
   * @example
   *     await using past = await store.at(new Date('2026-01-01'))
   */
  at(when: When): Promise<Snapshot<K, V>> {
    return old.use((part) => part.openVersion<K, V>(this.#handle, this.#spec, when))
  }

  /**
   * Puts a version back, as a new version: nothing of the history is lost, and restoring `undo` undoes it. Offsets go back,
   * too, so that a job reads its sources again from there. With `partitions` only those go back; a source with one position
   * for all of them then needs `offsets`.
   * @returns the new version, and the number of the one before it
   * @throws as `at` and `commit`: `NOT_FOUND`, `VERSION_EXPIRED`, `FENCED`, `READ_ONLY`, `UNKNOWN_OUTCOME`
   * @throws `INVALID_ARGUMENT` when an option is wrong, or there are uncommitted changes
   * @example
   *     const { undo } = await store.restore('before-migration')
   */
  async restore(when: When, options: RestoreOptions = {}): Promise<{ version: number; undo: number }> {
    const handle = this.#handle
    handle.assertWritable()
    handle.changes.assertNone('restore')
    const cleanUp: (() => unknown)[] = []
    // Its place is before what is committed from here on, however long it takes to find the version.
    const prepared = old.use((part) => part.prepareRestore(handle, when, options, cleanUp))
    // It is heard at its turn.
    prepared.catch(() => undefined)
    let undo = 0
    const restoring = handle.shard.writer.append(async (state, signal) => {
      const make = await prepared
      undo = state.carried.version
      return make(state, signal)
    })
    handle.changes.restores(restoring)
    try {
      const { version } = await restoring
      return { version, undo }
    } finally {
      for (const act of cleanUp) await act()
    }
  }

  /**
   * Keeps a version, whatever `retain` says, until `untag` or the end of its `ttlMs`.
   * @param name as a store's name, with at least one letter
   * @throws as `at`: `NOT_FOUND`, `VERSION_EXPIRED`; `INVALID_ARGUMENT` when an argument is wrong, or there is such a tag
   * @throws `READ_ONLY` in a follower; `FENCED`; `CONFLICT` when the version was collected meanwhile
   * @example
   *     const { version } = await store.tag('before-migration', { ttlMs: 30 * 86_400_000 })
   */
  tag(name: string, options: TagOptions = {}): Promise<TagInfo> {
    const { version } = this
    return old.use((part) => part.tag(this.#handle, name, options, version))
  }

  /**
   * Removes a tag: its version is kept no longer than `retain` says.
   * @throws `NOT_FOUND` when there is no such tag; `READ_ONLY` in a follower; `FENCED`
   * @example
   *     await store.untag('before-migration')
   */
  untag(name: string): Promise<void> {
    return old.use((part) => part.untag(this.#handle, name))
  }

  /**
   * The tags that have not ended, oldest first.
   * @throws `STORAGE_UNAVAILABLE` when the storage does not answer
   * @example
   *     for (const { name, version } of await store.tags()) console.log(name, version)
   */
  tags(): Promise<TagInfo[]> {
    return old.use((part) => part.tags(this.#handle))
  }

  /**
   * Makes a store of its own from a version, in the same storage; nothing is copied. Segments that both have stay for as
   * long as the fork needs them.
   * @throws as `at`: `NOT_FOUND`, `VERSION_EXPIRED`; `INVALID_ARGUMENT` when the name is wrong, or there is such a store
   * @throws `READ_ONLY` in a follower; `FENCED`
   * @example
   *     await store.fork('what-if', { at: 'before-migration' })
   *     const fork = await openStore({ storage, name: 'what-if' })
   */
  fork(name: string, options: ForkOptions = {}): Promise<void> {
    const { version } = this
    return old.use((part) => part.fork(this.#handle, name, options, version))
  }

  /**
   * Folds, compacts and collects now: for cron jobs and idle moments. What nothing kept needs any more is condemned by one
   * call and deleted by one that comes `graceMs` later.
   * @throws as `commit`: `FENCED`, `READ_ONLY`, `STORAGE_UNAVAILABLE`; `INVALID_ARGUMENT` when an option is wrong
   * @example
   *     const { deleted } = await store.maintain({ budgetMs: 10_000, maxDeletes: 1_000 })
   */
  async maintain(options: MaintainOptions = {}): Promise<MaintainResult> {
    const { shard, options: own } = this.#handle
    this.#handle.assertOpen()
    return maintaining.use((part) => shard.maintain(part.checkMaintain(options, own.clock)))
  }

  /**
   * Commits and resets that are kept, with what is known of them, oldest first.
   * @throws `INVALID_ARGUMENT` when an option is wrong
   * @example
   *     for await (const { version, time, label } of store.versions({ reverse: true, limit: 10 })) …
   */
  versions(options: VersionsOptions = {}): AsyncIterableIterator<VersionInfo> {
    this.#handle.assertOpen()
    return readVersions(this.#handle, options)
  }

  /**
   * Catches up with what other writers have committed; `{ fresh: true }` does it for one read.
   * @throws `STORAGE_UNAVAILABLE` when the storage does not answer; `CORRUPT` when what others wrote is damaged
   * @throws `FENCED` when the store was taken over, or its mode was changed
   * @example
   *     await follower.refresh()
   */
  refresh(): Promise<void> {
    return this.#handle.refresh()
  }

  /**
   * Opens the store again in place: after `FENCED` and unknown outcomes. What is uncommitted is dropped with a warning. When
   * it fails the handle still reads what it knows, and may be opened again.
   * @throws as `openStore`: `NOT_FOUND`, `CONFLICT`, `ROLLED_BACK`, `CORRUPT`, `STORAGE_UNAVAILABLE`; `CLOSED` after `close()`
   * @example
   *     if (isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME') await store.reopen()
   */
  reopen(): Promise<void> {
    return this.#handle.reopen()
  }

  /**
   * Calls `listener` after every such event. It is not waited for, and what it throws or rejects with is told to the logger.
   * @returns a function that stops it
   * @throws `INVALID_ARGUMENT` when there is no such event, or the listener is no function
   * @example
   *     const stop = store.on('warning', ({ message, cause }) => console.warn(message, cause))
   */
  on<E extends keyof StoreEvents>(event: E, listener: (detail: StoreEvents[E]) => unknown): () => void {
    return this.#handle.events.on(event, listener)
  }

  /** Totals since the handle was opened: commits, requests, folds and the like. */
  metrics(): Metrics {
    return this.#handle.metrics()
  }

  /**
   * Waits for commits under way and lets go; what is uncommitted is dropped with a warning. It may be called again. A log
   * that cannot be closed is told as a warning, too.
   */
  close(): Promise<void> {
    return this.#handle.close()
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}

async function* readVersions(handle: StoreHandle, options: VersionsOptions): AsyncGenerator<VersionInfo, void> {
  const part = await old.load()
  yield* part.readVersions(handle, options)
}
