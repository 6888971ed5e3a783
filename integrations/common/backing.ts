/** The table that a driver keeps its entries in, and the store that it is a part of. */
import {
  isTidemarkError,
  openStore,
  type Key,
  type OpenOptions,
  type RangeOptions,
  type Store,
  type Table,
  type TableOptions,
} from '../../src/index.js'
import { invalid } from './options.js'

/**
 * A store that is open already, and stays open when the driver is closed, or the options of `openStore()`, by which the driver
 * opens a store of its own at the first call, and closes it.
 */
export type Backing = OpenStore | OpenOptions

/** A store, whatever its default table holds. */
export type OpenStore = Pick<Store, 'table' | 'transaction' | 'snapshot' | 'watch'>

interface Opened<K extends Key, V> {
  readonly store: Store
  readonly table: Table<K, V>
}

export class Backed<K extends Key, V> {
  readonly #given: Backing
  readonly #name: string
  readonly #options: TableOptions<V>
  #opening: Promise<Opened<K, V>> | undefined
  #reopening: Promise<void> | undefined

  constructor(given: Backing, table: string, options: TableOptions<V> = {}) {
    const { storage, table: open } = Object(given) as { readonly storage?: unknown; readonly table?: unknown }
    if ((typeof storage !== 'object' || storage === null) && typeof open !== 'function') {
      throw invalid('An open store, or the options of openStore(), is expected first.')
    }
    this.#given = given
    this.#name = table
    this.#options = options
  }

  /** The options of a store of its own. */
  get own(): OpenOptions | undefined {
    return 'storage' in this.#given ? this.#given : undefined
  }

  /** Opens the store, unless it is open; `more` counts for one of its own. An opening that failed is tried again. */
  open(more: Partial<OpenOptions> = {}): Promise<Opened<K, V>> {
    this.#opening ??= this.#open(more).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  async #open(more: Partial<OpenOptions>): Promise<Opened<K, V>> {
    const store = this.own ? await openStore({ ...this.own, ...more }) : (this.#given as unknown as Store)
    return { store, table: store.table<K, V>(this.#name, this.#options) }
  }

  /**
   * Runs a call. A store of its own is opened again after an unknown outcome, which nobody else could do; the call that met
   * it fails all the same.
   */
  async run<T>(call: (table: Table<K, V>, store: Store) => T | Promise<T>): Promise<T> {
    await this.#reopening
    const { store, table } = await this.open()
    try {
      return await call(table, store)
    } catch (error) {
      if (this.own && isTidemarkError(error) && error.code === 'UNKNOWN_OUTCOME') this.#reopen(store)
      throw error
    }
  }

  #reopen(store: Store): void {
    const settled = (): void => {
      this.#reopening = undefined
    }
    // One that failed is tried again after the next call that fails so.
    this.#reopening ??= store.reopen().then(settled, settled)
  }

  /** Changes the table as a transaction does: one commit that takes nothing else along. */
  transact<T>(change: (table: Table<K, V>) => T | Promise<T>): Promise<T> {
    return this.run((_, store) => store.transaction((tx) => change(tx.table<K, V>(this.#name))))
  }

  /** Removes the entries of a range in one commit; all, when it has no bound. */
  clear(range: RangeOptions<K> = {}): Promise<void> {
    const isBounded = Object.values(range).some((bound) => bound !== undefined)
    return this.transact((table) => (isBounded ? table.deleteRange(range) : table.clear()))
  }

  /** Closes a store of its own; a later call opens it again. */
  async close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    // One that could not be opened needs no closing.
    const opened = await opening?.catch(() => undefined)
    if (this.own) await opened?.store.close()
  }
}
