/** A snapshot is a state that somebody keeps: states are immutable, and so nothing else is needed for a stable view. */
import type { Key } from '../bytes/keys.js'
import { TidemarkError } from '../errors.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import type { Memtable } from '../engine/memtable.js'
import { viewOf, type View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { Disposable } from './disposable.js'
import type { StoreHost } from './store-host.js'
import type { Hold } from './holds.js'
import type { AnyTableOptions, TableSpec } from './table-spec.js'
import { Tables, type TablesHost } from './tables.js'

/** @internal The host of tables that show one state. */
class SnapshotHost implements TablesHost {
  readonly budget = 0
  readonly partitions: number
  readonly #handle: StoreHost
  readonly #time: number
  #hold: Hold
  #view: View | undefined

  constructor(handle: StoreHost, state: ShardState) {
    this.#handle = handle
    this.partitions = state.manifest.config.partitions
    this.#time = state.carried.versionTime
    this.#view = viewOf(state, [], handle.cache)
    this.#hold = handle.hold(state)
  }

  monotonic(): number {
    return this.#handle.monotonic()
  }

  now(): number {
    return this.#time
  }

  writable(): Memtable {
    this.view()
    throw new TidemarkError('READ_ONLY', 'A snapshot only reads; write to the store itself.')
  }

  catchUp(): Promise<void> {
    return Promise.resolve()
  }

  assertOpen(): void {
    this.view()
  }

  /** It holds its state itself. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    if (waiting) this.#handle.hold(state, waiting)
    return { use: () => this.#hold.use(), release: () => undefined }
  }

  view(): View {
    this.#handle.assertOpen()
    if (this.#view === undefined) throw new TidemarkError('CLOSED', 'The snapshot is closed; take another one.')
    this.#hold.use()
    return this.#view
  }

  async mend(view: View, error: unknown): Promise<View> {
    const mended = await this.#handle.mend(view, error)
    if (this.#view === undefined || mended.state === view.state) return mended
    this.#view = { ...mended, memtables: [] }
    const before = this.#hold
    this.#hold = this.#handle.hold(mended.state!)
    before.release()
    return mended
  }

  spec(name: string, options: AnyTableOptions): TableSpec {
    this.view()
    return this.#handle.spec(name, options)
  }

  close(): void {
    if (this.#view !== undefined) this.#hold.release()
    this.#view = undefined
  }
}

/** The committed state of one version; what is committed later does not show, and nothing can be written. */
export class Snapshot<K extends Key = Key, V = unknown> extends Tables<K, V> implements Disposable {
  readonly #host: SnapshotHost
  readonly #state: ShardState['carried']

  /** @internal */
  constructor(handle: StoreHost, spec: TableSpec, state: ShardState = handle.state) {
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

  /** Those of its version. */
  get offsets(): Offsets {
    return offsetsToObject(this.#state.offsets)
  }

  /** Lets go of the state. Idempotent. */
  close(): Promise<void> {
    this.#host.close()
    return Promise.resolve()
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
