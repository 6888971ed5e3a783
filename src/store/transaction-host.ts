/** What a transaction reads and writes while its function runs. */
import { TidemarkError, isExpired, throwIfAborted } from '../errors.js'
import { Layer } from '../engine/memtable.js'
import type { View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import type { Engine } from './handle.js'
import type { Hold } from './holds.js'
import type { AnyTableOptions, TableSpec } from './table-spec.js'
import type { TablesHost } from './tables.js'

export class TransactionHost implements TablesHost {
  readonly layer = new Layer()
  readonly #engine: Engine
  readonly #signal: AbortSignal | undefined
  /** What was committed or on its way when it began. */
  #under: View
  #hold: Hold
  #usedAt: number
  /** How many of its reads wait for the storage. */
  #waiting = 0
  #isExpired = false
  #ended = false

  constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine
    this.#signal = signal
    this.#under = engine.shard.view([])
    this.#hold = engine.hold(engine.state)
    this.#usedAt = engine.monotonic()
  }

  /** Whether what it reads may still turn out not to have been committed. */
  get isEarly(): boolean {
    return this.#under.layers.length > 0
  }

  /** For how long its function has neither called anything on it nor waited for what it called. */
  get quietMs(): number {
    return this.#waiting > 0 ? 0 : this.#engine.monotonic() - this.#usedAt
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
      this.#engine.hold(state, waiting)
    }
    return { use: () => this.#use(), release: () => undefined }
  }

  #use(): boolean {
    this.#usedAt = this.#engine.monotonic()
    return this.#hold.use()
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  get room(): number {
    return this.#engine.room
  }

  monotonic(): number {
    return this.#engine.monotonic()
  }

  now(): number {
    return this.#engine.now()
  }

  /** What it reads is confirmed at its end. */
  catchUp(): Promise<void> {
    return Promise.resolve()
  }

  assertOpen(): void {
    this.#engine.assertOpen()
    if (this.#ended) {
      throw new TidemarkError('CLOSED', 'The transaction has ended: await everything inside its function.')
    }
    throwIfAborted(this.#signal)
    this.#use()
  }

  writable(): Layer {
    this.assertOpen()
    this.#engine.shard.assertWritable()
    return this.layer
  }

  view(): View {
    this.assertOpen()
    const { layer } = this
    return layer.empty ? this.#under : { ...this.#under, layers: [layer, ...this.#under.layers] }
  }

  /** Whether what it reads from was collected by others, and the handle has looked since. */
  get isOutdated(): boolean {
    return this.#isExpired && this.#engine.state !== this.#under.state
  }

  async mend(view: View, error: unknown): Promise<View> {
    const mended = await this.#engine.mend(view, error).catch((failure: unknown) => {
      this.#isExpired ||= isExpired(failure)
      throw failure
    })
    if (this.#ended || mended.state === view.state) return mended
    this.#under = { ...mended, layers: this.#under.layers }
    const before = this.#hold
    this.#hold = this.#engine.hold(mended.state!)
    before.release()
    return mended
  }

  spec(name: string, options: AnyTableOptions): TableSpec {
    this.assertOpen()
    return this.#engine.spec(name, options)
  }

  end(): void {
    this.#ended = true
    this.#hold.release()
  }
}
