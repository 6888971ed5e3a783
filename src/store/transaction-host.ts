/** What a transaction reads and writes while its function runs. */
import { TidemarkError, isExpired, throwIfAborted } from '../errors.js'
import { Memtable } from '../engine/memtable.js'
import type { View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { StoreHost } from './store-host.js'
import type { Hold } from './holds.js'
import type { AnyTableOptions, TableSpec } from './table-spec.js'
import type { TablesHost } from './tables.js'

export class TransactionHost implements TablesHost {
  readonly memtable = new Memtable()
  readonly #handle: StoreHost
  readonly #signal: AbortSignal | undefined
  /** What was committed or on its way when it began. */
  #under: View
  #hold: Hold
  #usedAt: number
  /** How many of its reads wait for the storage. */
  #waiting = 0
  #isExpired = false
  #ended = false

  constructor(handle: StoreHost, signal: AbortSignal | undefined) {
    this.#handle = handle
    this.#signal = signal
    this.#under = handle.shard.view([])
    this.#hold = handle.hold(handle.state)
    this.#usedAt = handle.monotonic()
  }

  /** Whether what it reads may still turn out not to have been committed. */
  get isEarly(): boolean {
    return this.#under.memtables.length > 0
  }

  /** For how long its function has neither called anything on it nor waited for what it called. */
  get quietMs(): number {
    return this.#waiting > 0 ? 0 : this.#handle.monotonic() - this.#usedAt
  }

  /** It holds its state itself. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    if (waiting) {
      this.#waiting++
      const ended = (): void => {
        this.#waiting--
        this.#use()
      }
      waiting.then(ended, ended)
      this.#handle.hold(state, waiting)
    }
    return { use: () => this.#use(), release: () => undefined }
  }

  #use(): boolean {
    this.#usedAt = this.#handle.monotonic()
    return this.#hold.use()
  }

  get partitions(): number {
    return this.#handle.partitions
  }

  get budget(): number {
    return this.#handle.budget
  }

  monotonic(): number {
    return this.#handle.monotonic()
  }

  now(): number {
    return this.#handle.now()
  }

  /** What it reads is confirmed at its end. */
  catchUp(): Promise<void> {
    return Promise.resolve()
  }

  assertOpen(): void {
    this.#handle.assertOpen()
    if (this.#ended) {
      throw new TidemarkError('CLOSED', 'The transaction has ended: await everything inside its function.')
    }
    throwIfAborted(this.#signal)
    this.#use()
  }

  writable(): Memtable {
    this.assertOpen()
    this.#handle.shard.assertWritable()
    return this.memtable
  }

  view(): View {
    this.assertOpen()
    const { memtable } = this
    return memtable.empty ? this.#under : { ...this.#under, memtables: [memtable, ...this.#under.memtables] }
  }

  /** Whether what it reads from was collected by others, and the handle has looked since. */
  get isOutdated(): boolean {
    return this.#isExpired && this.#handle.state !== this.#under.state
  }

  async mend(view: View, error: unknown): Promise<View> {
    const mended = await this.#handle.mend(view, error).catch((failure: unknown) => {
      this.#isExpired ||= isExpired(failure)
      throw failure
    })
    if (this.#ended || mended.state === view.state) return mended
    this.#under = { ...mended, memtables: this.#under.memtables }
    const before = this.#hold
    this.#hold = this.#handle.hold(mended.state!)
    before.release()
    return mended
  }

  spec(name: string, options: AnyTableOptions): TableSpec {
    this.assertOpen()
    return this.#handle.spec(name, options)
  }

  end(): void {
    this.#ended = true
    this.#hold.release()
  }
}
