/** A store as programs see it: opening one, and the calls on it. */
import type { Key } from '../bytes/keys.js'
import { aborted, invalid } from '../errors.js'
import { offsetsToObject, type Offsets } from '../log/offsets.js'
import type { CommitResult } from '../shard/committer.js'
import { Engine, type CommitOptions } from './engine.js'
import type { StoreEvents } from './events.js'
import type { VersionInfo, VersionsOptions } from './history.js'
import type { Metrics } from './metrics.js'
import { required, resolveOptions, type OpenOptions } from './options.js'
import { Table, type TableHost } from './table.js'
import type { TableOptions, TableSpec } from './table-spec.js'

/** The reads and writes of a store through one partition that the caller names. */
export class Partition<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #open: <K2 extends Key, V2>(name: string, options: TableOptions<V2>) => Table<K2, V2>

  /** @internal */
  constructor(
    host: TableHost,
    spec: TableSpec,
    readonly number: number,
    open: <K2 extends Key, V2>(name: string, options: TableOptions<V2>) => Table<K2, V2>,
  ) {
    super(host, spec, number)
    this.#open = open
  }

  /** A table of the store, seen through this partition. */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    return this.#open(name, options)
  }
}

export class Store<K extends Key = Key, V = unknown> extends Table<K, V> {
  readonly #engine: Engine
  readonly #spec: TableSpec

  /** @internal */
  constructor(engine: Engine, spec: TableSpec) {
    super(engine, spec, undefined)
    this.#engine = engine
    this.#spec = spec
    engines.set(this, engine)
  }

  /** The newest known version: a commit or a reset; 0 in a new store. */
  get version(): number {
    return this.#engine.state.carried.version
  }

  /** Those of the newest commit, merged over sources and partitions, in the shape in which they were given. */
  get offsets(): Offsets {
    return offsetsToObject(this.#engine.state.carried.offsets)
  }

  get name(): string {
    return this.#engine.options.name
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  /** A table of its own: the same calls, another space of keys. Opened twice, it must have the same codec. */
  table<K2 extends Key = Key, V2 = unknown>(name: string, options: TableOptions<V2> = {}): Table<K2, V2> {
    return new Table<K2, V2>(this.#engine, this.#engine.spec(name, options), undefined)
  }

  /** The same reads and writes on one partition, whatever partition the keys would go to by themselves. */
  partition(number: number): Partition<K, V> {
    const engine = this.#engine
    const checked = required('partition', number, 0, engine.partitions - 1)
    return new Partition<K, V>(engine, this.#spec, checked, (name, options) => {
      return new Table(engine, engine.spec(name, options), checked)
    })
  }

  /** Makes what is buffered durable, all or nothing, as the next version; without changes it still makes one. */
  commit(options: CommitOptions = {}): Promise<CommitResult> {
    return this.#engine.commit(options)
  }

  /** Drops what is buffered. */
  discard(): void {
    this.#engine.discard()
  }

  /** Folds the log's tail into segments now; otherwise it happens by itself. */
  checkpoint(): Promise<void> {
    return this.#engine.checkpoint()
  }

  /** Commits and resets with what is known of them, oldest first. */
  versions(options: VersionsOptions = {}): AsyncIterableIterator<VersionInfo> {
    return this.#engine.versions(options)
  }

  /** Catches up with what other writers have committed. */
  refresh(): Promise<void> {
    return this.#engine.refresh()
  }

  /** Opens the store again in place: after `FENCED` and unknown outcomes. What is uncommitted is dropped with a warning. */
  reopen(): Promise<void> {
    return this.#engine.reopen()
  }

  /** Calls `listener` on every such event; returns a function that stops it. */
  on<E extends keyof StoreEvents>(event: E, listener: (detail: StoreEvents[E]) => void): () => void {
    return this.#engine.events.on(event, listener)
  }

  metrics(): Metrics {
    return this.#engine.metrics()
  }

  /** Waits for commits under way and lets go; what is uncommitted is dropped with a warning. Idempotent. */
  close(): Promise<void> {
    return this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#engine.close()
  }
}

const engines = new WeakMap<object, Engine>()

/** The engine of a store, for the parts of Tidemark that work on it from outside. */
export function engineOf(store: unknown): Engine {
  const engine = engines.get(store as object)
  if (engine === undefined) throw invalid('A store is expected, as openStore() returns it.')
  return engine
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
  const opening = Engine.open(options)
  const engine = given.signal ? await unlessAborted(opening, given.signal) : await opening
  return new Store<K, V>(engine, engine.spec('', options.table))
}

async function unlessAborted(opening: Promise<Engine>, signal: AbortSignal): Promise<Engine> {
  let stop = (): void => undefined
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([opening, abort])
  } catch (error) {
    // What was opened after all is let go again.
    if (signal.aborted) opening.then((engine) => engine.close()).catch(() => undefined)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
