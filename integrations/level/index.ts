/** A database of the abstract-level family. */
import { AbstractLevel, type AbstractDatabaseOptions, type AbstractOpenOptions } from 'abstract-level'
import type { Store } from '../../src/index.js'
import { Backed, type Backing } from '../common/backing.js'
import { checkOptions, tableName } from '../common/options.js'
import { failing, levelError, toLevel } from './errors.js'
import {
  rangeOf,
  rawBytes,
  scanOf,
  TidemarkIterator,
  TidemarkSnapshot,
  View,
  type Bytes,
  type IteratorOptions,
} from './views.js'

export type { Backing } from '../common/backing.js'

/** Options of `TidemarkLevel`, beside those of every abstract-level database. */
export interface TidemarkLevelOptions<K, V> extends AbstractDatabaseOptions<K, V> {
  /**
   * The table of the store that holds the entries: bytes under bytes, in the order of the bytes.
   * @default 'level'
   * @when Set it to keep several databases in one store.
   */
  readonly table?: string | undefined
}

type ReadOptions = Pick<IteratorOptions, 'snapshot'>

type Change =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

/**
 * A sorted database in a table of a store, with everything that abstract-level 3 has: encodings, sublevels, batches,
 * iterators that seek, implicit and explicit snapshots, hooks and events.
 *
 * A `put`, `del`, `batch` or `clear` is durable when it resolves, each as one commit; many at once share a write. Errors have
 * codes of abstract-level, and the `TidemarkError` as their `cause`: `LEVEL_LOCKED` when another process writes the store,
 * `LEVEL_CORRUPTION`, `LEVEL_IO_ERROR`.
 * @example
 *     const db = new TidemarkLevel({ storage: nodeFs('./state'), name: 'app' }, { valueEncoding: 'json' })
 *     await db.put('a', { n: 1 })
 */
export class TidemarkLevel<K = string, V = string> extends AbstractLevel<Uint8Array, K, V> {
  readonly #backed: Backed<Uint8Array, Uint8Array>
  readonly #name: string
  #store: Pick<Store, 'snapshot'> | undefined
  #table: Bytes | undefined

  /**
   * @param store an open store, or the options of `openStore()`: then the store is opened and closed with the database. Only
   *   then there are `createIfMissing` and `errorIfExists`, and with `resident: true` there is `getSync`
   * @throws `INVALID_ARGUMENT` when it is neither, or the options are no object, or the name of the table is wrong
   */
  constructor(store: Backing, options: TidemarkLevelOptions<K, V> = {}) {
    const { table = 'level', ...more } = checkOptions('TidemarkLevel', options, { table: tableName }, true)
    const backed = new Backed<Uint8Array, Uint8Array>(store, table, { codec: rawBytes })
    const { own } = backed
    const manifest = {
      encodings: { view: true },
      implicitSnapshots: true,
      explicitSnapshots: true,
      has: true,
      seek: true,
      signals: { iterators: true },
      createIfMissing: own !== undefined,
      errorIfExists: own !== undefined,
      getSync: own?.resident === true,
      permanence: own?.storage.capabilities.name !== 'memory',
    }
    super(manifest, more)
    this.#backed = backed
    this.#name = table
  }

  /** @internal */
  async _open({ createIfMissing, errorIfExists }: AbstractOpenOptions): Promise<void> {
    const create = errorIfExists ? { create: true } : createIfMissing === false ? { create: false } : {}
    const { store, table } = await failing(this.#backed.open(create))
    this.#store = store
    this.#table = table
  }

  /** @internal */
  _close(): Promise<void> {
    return failing(this.#backed.close())
  }

  #view(): View {
    return new View(this.#store!.snapshot(), this.#name)
  }

  #read<T>({ snapshot }: ReadOptions, read: (table: Bytes) => Promise<T>): Promise<T> {
    return failing(snapshot ? snapshot.view.table.then(read) : read(this.#table!))
  }

  /** @internal */
  _get(key: Uint8Array, options: ReadOptions): Promise<Uint8Array | undefined> {
    return this.#read(options, (table) => table.get(key))
  }

  /** @internal */
  _getSync(key: Uint8Array, { snapshot }: ReadOptions): Uint8Array | undefined {
    const table = snapshot ? snapshot.view.now : this.#table
    if (!table)
      throw levelError('LEVEL_NOT_SUPPORTED', 'The snapshot is still being opened: read from it by get() first.')
    try {
      return table.getSync(key)
    } catch (error) {
      throw toLevel(error)
    }
  }

  /** @internal */
  _getMany(keys: Uint8Array[], options: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#read(options, (table) => table.getMany(keys))
  }

  /** @internal */
  _has(key: Uint8Array, options: ReadOptions): Promise<boolean> {
    return this.#read(options, (table) => table.has(key))
  }

  /** @internal */
  async _hasMany(keys: Uint8Array[], options: ReadOptions): Promise<boolean[]> {
    return (await this._getMany(keys, options)).map((value) => value !== undefined)
  }

  /** @internal */
  _put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this._batch([{ type: 'put', key, value }])
  }

  /** @internal */
  _del(key: Uint8Array): Promise<void> {
    return this._batch([{ type: 'del', key }])
  }

  /** @internal */
  async _batch(operations: readonly Change[]): Promise<void> {
    // They carry the options of abstract-level, too.
    const changes = operations.map((op): Change => {
      const { type, key } = op
      return type === 'put' ? { type, key, value: op.value } : { type, key }
    })
    await failing(this.#backed.run((table) => table.write(changes)))
  }

  /** @internal */
  async _clear(options: IteratorOptions): Promise<void> {
    const { limit, snapshot } = options
    if (snapshot) {
      const keys: Uint8Array[] = []
      for await (const key of (await snapshot.view.table).keys(scanOf(options))) keys.push(key)
      if (keys.length > 0) await this._batch(keys.map((key) => ({ type: 'del', key })))
    } else if (limit < 0) {
      await failing(this.#backed.clear(rangeOf(options)))
    } else {
      const clearing = this.#backed.transact(async (table) => {
        for await (const key of table.keys(scanOf(options))) table.delete(key)
      })
      await failing(clearing)
    }
  }

  /** @internal */
  _iterator(options: IteratorOptions): TidemarkIterator<this, K, V> {
    return new TidemarkIterator(this, options, options.snapshot?.view ?? this.#view())
  }

  /** @internal */
  _snapshot(options: object): TidemarkSnapshot {
    return new TidemarkSnapshot(options, this.#view())
  }
}
