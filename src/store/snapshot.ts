/**
 * Stable views, held for as long as somebody reads them. States are immutable, and so a view is nothing but a state that
 * somebody keeps: a snapshot shows one, and a transaction reads one under what it has changed itself.
 */
import type { Key } from '../bytes/keys.js'
import { TidemarkError, invalid, isExpired, throwIfAborted } from '../errors.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import { lowestOffsets } from '../log/spans.js'
import { Memtable } from '../engine/memtable.js'
import { viewOf, type View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { CommitResult } from '../engine/write/requests.js'
import type { StoreHandle } from './handle.js'
import type { Hold, TableHost } from './table-host.js'
import type { AnyTableOptions } from './table-options.js'
import type { TableSpec } from './table-spec.js'
import { Tables, type Disposable, type TablesHost } from './tables.js'

abstract class HeldView implements TablesHost {
  protected readonly handle: StoreHandle
  /** Reads come from it: what is committed, or on its way. */
  protected under: View
  #hold: Hold
  #isClosed = false

  constructor(handle: StoreHandle, state: ShardState, under: View) {
    this.handle = handle
    this.under = under
    this.#hold = handle.hold(state)
  }

  get partitions(): number {
    return this.handle.partitions
  }

  get own(): TableHost['own'] {
    return this.under.state?.carried.own
  }

  get budget(): number {
    return this.handle.budget
  }

  monotonic(): number {
    return this.handle.monotonic()
  }

  get observers(): never {
    throw invalid('watch and live are for the tables of a store: a snapshot or a transaction is not told of changes.')
  }

  abstract now(): number
  abstract writable(): Memtable
  abstract view(): View

  // It joins what is committed in the end.
  async commitOwn(lay: (memtable: Memtable) => void): Promise<CommitResult> {
    lay(this.writable())
    return { version: this.under.state!.carried.version, bytes: 0, requests: 0 }
  }

  async transact<T>(change: (host: TableHost) => Promise<T>): Promise<T> {
    this.writable()
    return change(this)
  }

  protected abstract closed(): TidemarkError

  /** It goes on showing what it shows. */
  catchUp(): Promise<void> {
    return Promise.resolve()
  }

  assertOpen(): void {
    this.handle.assertOpen()
    if (this.#isClosed) throw this.closed()
    this.use()
  }

  protected use(): boolean {
    return this.#hold.use()
  }

  /** It holds its state itself. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    if (waiting) this.handle.hold(state, waiting)
    return { use: () => this.use(), release: () => undefined }
  }

  async repair(view: View, error: unknown): Promise<View> {
    const repaired = await this.handle.repair(view, error)
    if (this.#isClosed || repaired.state === view.state) return repaired
    this.under = { ...repaired, memtables: this.under.memtables }
    const before = this.#hold
    this.#hold = this.handle.hold(repaired.state!)
    before.release()
    return repaired
  }

  spec(name: string, options: AnyTableOptions): TableSpec {
    this.assertOpen()
    return this.handle.spec(name, options)
  }

  end(): void {
    this.#isClosed = true
    this.#hold.release()
  }
}

/** @internal The host of tables that show one state. */
class SnapshotHost extends HeldView {
  readonly #time: number

  constructor(handle: StoreHandle, state: ShardState) {
    super(handle, state, viewOf(state, [], handle.cache))
    this.#time = state.carried.versionTime
  }

  now(): number {
    return this.#time
  }

  view(): View {
    this.assertOpen()
    return this.under
  }

  writable(): never {
    this.assertOpen()
    throw new TidemarkError('READ_ONLY', 'A snapshot only reads; write to the store itself.')
  }

  protected closed(): TidemarkError {
    return new TidemarkError('CLOSED', 'The snapshot is closed; take another one.')
  }
}

/**
 * The committed state of one version: the same reads as those of a store. What is committed later does not show, and
 * writes throw `READ_ONLY`. A snapshot that nobody reads for `graceMs` may expire; its reads then reject with
 * `VERSION_EXPIRED`.
 */
export class Snapshot<K extends Key = Key, V = unknown> extends Tables<K, V> implements Disposable {
  readonly #host: SnapshotHost
  readonly #state: ShardState['carried']

  /** @internal */
  constructor(handle: StoreHandle, spec: TableSpec, state: ShardState = handle.state) {
    handle.assertOpen()
    const host = new SnapshotHost(handle, state)
    super(host, spec)
    this.#host = host
    this.#state = state.carried
  }

  /** The version that it shows. */
  get version(): number {
    return this.#state.version
  }

  /** When the version was made, in milliseconds since the epoch; what had expired by then is not shown. */
  get time(): number {
    return this.#state.versionTime
  }

  /** The offsets of its version, merged over sources and partitions, in the shape in which they were given. */
  get offsets(): Offsets {
    return offsetsToObject(lowestOffsets(this.#state))
  }

  /** Lets go of the state; reads then throw `CLOSED`. It may be called more than once. */
  close(): Promise<void> {
    this.#host.end()
    return Promise.resolve()
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** The reads and writes of a transaction while its function runs. */
export class TransactionHost extends HeldView {
  readonly memtable = new Memtable()
  readonly #signal: AbortSignal | undefined
  #usedAt: number
  /** How many of its reads wait for the storage. */
  #waiting = 0
  #isExpired = false

  constructor(
    handle: StoreHandle,
    signal: AbortSignal | undefined,
    readonly calls?: <T>(act: () => T) => T,
  ) {
    super(handle, handle.state, handle.shard.view([]))
    this.#signal = signal
    this.#usedAt = handle.monotonic()
  }

  /** Whether what it reads may still turn out not to have been committed. */
  get isEarly(): boolean {
    return this.under.memtables.length > 0
  }

  /** For how long its function has neither called anything on it nor waited for what it called. */
  get quietMs(): number {
    return this.#waiting > 0 ? 0 : this.monotonic() - this.#usedAt
  }

  /** Whether what it reads from was collected by others, and the handle has caught up since. */
  get isOutdated(): boolean {
    return this.#isExpired && this.handle.state !== this.under.state
  }

  now(): number {
    return this.handle.now()
  }

  override assertOpen(): void {
    super.assertOpen()
    throwIfAborted(this.#signal)
  }

  writable(): Memtable {
    this.assertOpen()
    this.handle.assertWritable()
    return this.memtable
  }

  view(): View {
    this.assertOpen()
    const { memtable, under } = this
    return memtable.empty ? under : { ...under, memtables: [memtable, ...under.memtables] }
  }

  protected override use(): boolean {
    this.#usedAt = this.monotonic()
    return super.use()
  }

  override hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    if (waiting) {
      this.#waiting++
      const ended = (): void => {
        this.#waiting--
        this.use()
      }
      waiting.then(ended, ended)
    }
    return super.hold(state, waiting)
  }

  override async repair(view: View, error: unknown): Promise<View> {
    try {
      return await super.repair(view, error)
    } catch (failure) {
      this.#isExpired ||= isExpired(failure)
      throw failure
    }
  }

  protected closed(): TidemarkError {
    return new TidemarkError('CLOSED', 'The transaction has ended: await everything inside its function.')
  }
}
