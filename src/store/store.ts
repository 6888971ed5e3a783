/** A store as programs see it: opening one, and the calls on it. */
import type { Key } from '../bytes/keys.js'
import { aborted, invalid } from '../errors.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import type { CommitResult } from '../engine/write/requests.js'
import type { MaintainResult } from '../engine/gc/scheduler.js'
import type { CommitOptions } from './commit.js'
import type { Disposable } from './disposable.js'
import { StoreHandle } from './handle.js'
import type { StoreEvents } from './events.js'
import type { VersionInfo, VersionsOptions } from './history.js'
import type { MaintainOptions } from './maintain.js'
import type { Metrics } from './metrics.js'
import { resolveOptions, type OpenOptions } from './options.js'
import type { When } from './find.js'
import type { RestoreOptions, TagInfo, TagOptions } from './old.js'
import type { Snapshot } from './snapshot.js'
import type { TableSpec } from './table-spec.js'
import { Tables } from './tables.js'
import type { Transaction, TransactionOptions } from './transaction.js'
import type { WatchListener } from './watch.js'
import type { WatchOptions } from './watches.js'

export { Partition } from './tables.js'

export class Store<K extends Key = Key, V = unknown> extends Tables<K, V> implements Disposable {
  readonly #handle: StoreHandle
  readonly #spec: TableSpec

  /** @internal */
  constructor(handle: StoreHandle, spec: TableSpec) {
    super(handle, spec)
    this.#handle = handle
    this.#spec = spec
    engines.set(this, handle)
  }

  /** The newest known version: a commit or a reset; 0 in a new store. */
  get version(): number {
    return this.#handle.state.carried.version
  }

  /** Those of the newest commit, merged over sources and partitions, in the shape in which they were given. */
  get offsets(): Offsets {
    this.#handle.readSet?.offsets()
    return offsetsToObject(this.#handle.state.carried.offsets)
  }

  /** As it was opened. */
  get name(): string {
    return this.#handle.options.name
  }

  /** Makes what is buffered durable, all or nothing, as the next version; without changes it still makes one. */
  commit(options: CommitOptions = {}): Promise<CommitResult> {
    return this.#handle.commit(options)
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
   */
  transaction<T>(body: (tx: Transaction<K, V>) => Promise<T> | T, options: TransactionOptions = {}): Promise<T> {
    return this.#handle.transactions.run(this.#spec, body, options)
  }

  /** A stable view of what is committed now, as far as this handle knows. What nobody reads for `graceMs` may expire. */
  snapshot(): Promise<Snapshot<K, V>> {
    return this.#handle.past.snapshot<K, V>(this.#spec)
  }

  /**
   * Calls `listener` after each new version with what it changed in the range, or of one key, in order and one call at a
   * time: a promise that it returns is waited for. Returns a function that stops it. Of a table with other types:
   * `watch<number, User>({ table: 'users', key: 7 }, …)`.
   *
   * That something expires is not told, and so a key that has expired and is then written has no `before`, and one that is
   * then deleted is not told at all. Partitions are not named: the same key in two of them is told twice. A table that was
   * written with another codec than the default one has to be opened with it; until then there are warnings, and afterwards
   * the watch goes on from where it was.
   */
  watch<K2 extends Key = Key, V2 = unknown>(
    options: WatchOptions<NoInfer<K2>> & { readonly table: string },
    listener: WatchListener<K2, V2>,
  ): () => void
  watch<K2 extends Key = K, V2 = V>(options: WatchOptions<NoInfer<K2>>, listener: WatchListener<K2, V2>): () => void
  watch(options: WatchOptions<never>, listener: WatchListener<never, never>): () => void {
    this.#handle.assertOpen()
    return this.#handle.watches.add(options as WatchOptions, listener as unknown as WatchListener)
  }

  /** Drops what is buffered. */
  discard(): void {
    this.#handle.discard()
  }

  /** Folds the log's tail into segments now; otherwise it happens by itself. */
  checkpoint(): Promise<void> {
    return this.#handle.checkpoint()
  }

  /**
   * A stable view of a version that is kept: by its number, by a tag, or as it was at a moment. A number between two commits
   * stands for the one before it. `VERSION_EXPIRED` below what is kept, `NOT_FOUND` beyond the newest or before the first.
   */
  at(when: When): Promise<Snapshot<K, V>> {
    return this.#handle.past.at<K, V>(this.#spec, when)
  }

  /**
   * Puts a version back, as a new version: nothing of the history is lost, and restoring `undo` undoes it. Offsets go back,
   * too, so that a job reads its sources again from there. With `partitions` only those go back; a source with one position
   * for all of them then needs `offsets`.
   */
  restore(when: When, options: RestoreOptions = {}): Promise<{ version: number; undo: number }> {
    return this.#handle.past.restore(when, options)
  }

  /** Keeps a version, whatever `retain` says, until `untag` or the end of its `ttlMs`; by default the newest one. */
  tag(name: string, options: TagOptions = {}): Promise<TagInfo> {
    return this.#handle.past.tag(name, options)
  }

  /** Removes a tag: its version is kept no longer than `retain` says. */
  untag(name: string): Promise<void> {
    return this.#handle.past.untag(name)
  }

  /** The tags that have not ended, oldest first. */
  tags(): Promise<TagInfo[]> {
    return this.#handle.past.tags()
  }

  /**
   * Makes a store of its own from a version, by default the newest one; nothing is copied. Segments that both have stay for
   * as long as the fork needs them.
   */
  fork(name: string, options: { readonly at?: When | undefined } = {}): Promise<void> {
    return this.#handle.past.fork(name, options)
  }

  /**
   * Folds, compacts and collects now: for cron jobs and idle moments. What nothing kept needs any more is condemned by one
   * call and deleted by one that comes `graceMs` later.
   */
  maintain(options: MaintainOptions = {}): Promise<MaintainResult> {
    return this.#handle.maintain(options)
  }

  /** Commits and resets that are kept, with what is known of them, oldest first. */
  versions(options: VersionsOptions = {}): AsyncIterableIterator<VersionInfo> {
    return this.#handle.versions(options)
  }

  /** Catches up with what other writers have committed; `{ fresh: true }` does it for one read. */
  refresh(): Promise<void> {
    return this.#handle.refresh()
  }

  /** Opens the store again in place: after `FENCED` and unknown outcomes. What is uncommitted is dropped with a warning. */
  reopen(): Promise<void> {
    return this.#handle.reopen()
  }

  /**
   * Calls `listener` after every such event; returns a function that stops it. It is not waited for, and what it throws or
   * rejects with is told to the logger.
   */
  on<E extends keyof StoreEvents>(event: E, listener: (detail: StoreEvents[E]) => unknown): () => void {
    return this.#handle.events.on(event, listener)
  }

  /** What this handle has done since it was opened: commits, requests, folds and the like. */
  metrics(): Metrics {
    return this.#handle.metrics()
  }

  /** Waits for commits under way and lets go; what is uncommitted is dropped with a warning. Idempotent. */
  close(): Promise<void> {
    return this.#handle.close()
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}

const engines = new WeakMap<object, StoreHandle>()

/** The handle of a store, for the parts of Tidemark that work on it from outside. */
export function handleOf(store: unknown): StoreHandle {
  const handle = engines.get(store as object)
  if (handle === undefined) throw invalid('A store is expected, as openStore() returns it.')
  return handle
}

/**
 * Opens a store, or creates it.
 *
 *     const store = await openStore({ storage: nodeFs('./state'), name: 'orders' })
 *
 * Errors: `INVALID_ARGUMENT` (an option, another job or partition count), `NOT_FOUND`, `CONFLICT` (the mode),
 * `ROLLED_BACK`, `CORRUPT`, `UNSUPPORTED_FORMAT`, `STORAGE_UNSAFE`, `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME`, `ABORTED`.
 */
export async function openStore<K extends Key = Key, V = unknown>(given: OpenOptions<V>): Promise<Store<K, V>> {
  const options = resolveOptions(given)
  const opening = StoreHandle.open(options)
  const handle = given.signal ? await unlessAborted(opening, given.signal) : await opening
  return new Store<K, V>(handle, handle.spec('', options.table))
}

async function unlessAborted(opening: Promise<StoreHandle>, signal: AbortSignal): Promise<StoreHandle> {
  let stop = (): void => undefined
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([opening, abort])
  } catch (error) {
    // What was opened after all is let go again.
    if (signal.aborted) opening.then((handle) => handle.close()).catch(() => undefined)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
