/** A storage adapter of Keyv. It has the shape that Keyv asks for, and imports nothing of it. */
import { Backed, type Backing } from '../common/backing.js'
import { checkOptions, flag, tableName } from '../common/options.js'

export type { Backing } from '../common/backing.js'

/** Options of `KeyvTidemark`. */
export interface KeyvTidemarkOptions {
  /**
   * The table of the store that holds the entries.
   * @default 'keyv'
   * @when Set it to keep several caches in one store.
   */
  readonly table?: string | undefined
  /**
   * Reads look first for what other processes have written, at the cost of a request or two. It makes a difference in shared
   * mode alone.
   * @default false: what the handle knows is read
   * @when Set it when several processes share the cache, and an old value does harm.
   */
  readonly fresh?: boolean | undefined
}

/** An entry of `setMany`. */
export interface KeyvTidemarkEntry {
  readonly key: string
  readonly value: unknown
  /**
   * How long it lives, in milliseconds.
   * @default for ever
   */
  readonly ttl?: number | undefined
}

/**
 * Keeps the entries of a Keyv in a table of a store. What a call sets or deletes is durable when it resolves, and so is a
 * whole `setMany`, `deleteMany` or `clear`, each as one commit. An entry with a time to live is forgotten by the store as well.
 *
 * Errors of reads are told to Keyv as `error` events, too, since Keyv takes a read that failed for a miss.
 * @example
 *     const keyv = new Keyv({ store: new KeyvTidemark({ storage: nodeFs('./state'), name: 'cache' }) })
 */
export class KeyvTidemark {
  /** Keyv has an iterator only for the dialects on its list; its entries look as those of SQLite do. */
  readonly opts: { url: string; dialect: string } & Record<string, unknown> = { url: 'tidemark:', dialect: 'sqlite' }
  /** Set by Keyv: the part that `clear()` is about. */
  namespace?: string | undefined
  readonly #backed: Backed<string, unknown>
  readonly #reading: { readonly fresh: true } | undefined
  readonly #listeners: (readonly [event: string, listener: (...args: unknown[]) => void])[] = []

  /**
   * @param store an open store, or the options of `openStore()`: then the store is opened at the first call, and closed by
   *   `disconnect()`
   * @throws `INVALID_ARGUMENT` when it is neither, or an option is wrong
   */
  constructor(store: Backing, options: KeyvTidemarkOptions = {}) {
    const { table = 'keyv', fresh } = checkOptions('KeyvTidemark', options, { table: tableName, fresh: flag })
    this.#reading = fresh ? { fresh } : undefined
    this.#backed = new Backed(store, table)
  }

  /** Calls `listener` at events; there are only those named `error`. */
  on(event: string, listener: (...args: unknown[]) => void): this {
    this.#listeners.push([event, listener])
    return this
  }

  async #read<T>(read: Promise<T>): Promise<T> {
    try {
      return await read
    } catch (error) {
      for (const [event, listener] of this.#listeners) if (event === 'error') listener(error)
      throw error
    }
  }

  /** The value of a key; `undefined` when there is none, or it has expired. */
  get<Value>(key: string): Promise<Value | undefined> {
    return this.#read(this.#backed.run((table) => table.get(key, this.#reading) as Promise<Value | undefined>))
  }

  /** The values of several keys, as of one moment. */
  getMany<Value>(keys: string[]): Promise<(Value | undefined)[]> {
    return this.#read(this.#backed.run((table) => table.getMany(keys, this.#reading) as Promise<(Value | undefined)[]>))
  }

  /** Whether a key is there, and has not expired. */
  has(key: string): Promise<boolean> {
    return this.#read(this.#backed.run((table) => table.has(key, this.#reading)))
  }

  /** Whether each of several keys is there. */
  hasMany(keys: string[]): Promise<boolean[]> {
    return this.#read(
      this.#backed.run(async (table) => (await table.getMany(keys, this.#reading)).map((value) => value !== undefined)),
    )
  }

  /** Sets a value; `ttl` in milliseconds. */
  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    await this.#backed.run((table) => table.set(key, value, { ttlMs: lifetime(ttl) }))
    return true
  }

  /** Sets several values in one commit; resolves to `true` for each, which Keyv hands on. */
  async setMany(entries: readonly KeyvTidemarkEntry[]): Promise<void> {
    const changes = entries.map(({ key, value, ttl }) => ({ type: 'put' as const, key, value, ttlMs: lifetime(ttl) }))
    await this.#backed.run((table) => table.write(changes))
    return entries.map(() => true) as unknown as void
  }

  /** Deletes a key, also one that others have just written; resolves to whether it was there. */
  delete(key: string): Promise<boolean> {
    return this.deleteMany([key])
  }

  /** Deletes several keys in one commit; resolves to whether any of them was there. */
  deleteMany(keys: string[]): Promise<boolean> {
    // A transaction, since others may have written a key, or deleted it, that this handle does not know of.
    return this.#backed.transact(async (table) => {
      const values = await table.getMany(keys)
      const found = keys.filter((_, i) => values[i] !== undefined)
      for (const key of found) table.delete(key)
      return found.length > 0
    })
  }

  /** Deletes the entries of the namespace, or all when there is none, in one commit. */
  clear(): Promise<void> {
    return this.#backed.clear(this.namespace ? { prefix: `${this.namespace}:` } : undefined)
  }

  /** The entries of a namespace, or all, as they are at the first step. */
  async *iterator<Value>(namespace?: string): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    const range = { ...this.#reading, ...(namespace && { prefix: `${namespace}:` }) }
    const { table } = await this.#read(this.#backed.open())
    for await (const entry of table.entries(range)) yield entry as [string, Awaited<Value>]
  }

  /** Closes a store that was opened here. An open store that was handed in stays open. */
  disconnect(): Promise<void> {
    return this.#backed.close()
  }
}

/** As Keyv has it: 0 is for ever, and what has expired by now is not there. */
function lifetime(ttl: number | undefined): number | undefined {
  if (!ttl || ttl === Infinity) return undefined
  return Math.max(ttl, 1)
}
