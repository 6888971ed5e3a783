/** A driver of unstorage. It has the shape that unstorage asks for, and imports nothing of it. */
import type { Store } from '../../src/index.js'
import { Backed, type Backing } from '../common/backing.js'
import { checkOptions, flag, tableName } from '../common/options.js'

export type { Backing } from '../common/backing.js'

/** Options of `tidemarkDriver`. */
export interface TidemarkDriverOptions {
  /**
   * The table of the store that holds the items.
   * @default 'unstorage'
   * @when Set it to keep several storages in one store.
   */
  readonly table?: string | undefined
  /**
   * Reads look first for what other processes have written, at the cost of a request or two. It makes a difference in shared
   * mode alone.
   * @default false: what the handle knows is read
   * @when Set it when several processes share the storage, and an old value does harm.
   */
  readonly fresh?: boolean | undefined
}

/** Options of an item, as unstorage hands them on. */
export interface ItemOptions {
  /**
   * How long the item lives, in seconds.
   * @default for ever
   */
  readonly ttl?: number | undefined
}

/** What `tidemarkDriver` makes; unstorage calls it. */
export interface TidemarkDriver {
  readonly name: 'tidemark'
  readonly flags: { readonly ttl: true }
  readonly options: TidemarkDriverOptions
  /** The store, opened. */
  getInstance(): Promise<Store>
  hasItem(key: string): Promise<boolean>
  getItem(key: string): Promise<string | null>
  /** The values of several items, as of one moment. */
  getItems(items: { key: string }[]): Promise<{ key: string; value: string | null }[]>
  getItemRaw(key: string): Promise<unknown>
  setItem(key: string, value: string, options?: ItemOptions): Promise<void>
  /** Sets several items in one commit. */
  setItems(items: { key: string; value: string; options?: ItemOptions }[]): Promise<void>
  setItemRaw(key: string, value: unknown, options?: ItemOptions): Promise<void>
  removeItem(key: string): Promise<void>
  /** What is left of an item's time to live, in seconds. */
  getMeta(key: string): Promise<{ ttl?: number } | null>
  getKeys(base?: string): Promise<string[]>
  /** Removes what lies under a base in one commit. */
  clear(base?: string): Promise<void>
  /** Tells of changes, also of those by other handles; that an item expires is not told. */
  watch(callback: (event: 'update' | 'remove', key: string) => unknown): Promise<() => void>
  /** Ends watches, and closes a store that was opened here. */
  dispose(): Promise<void>
}

/**
 * Keeps the items of unstorage in a table of a store. What a call sets, removes or clears is durable when it resolves. Raw
 * items come back as they were: bytes as bytes, Dates, Maps and Sets too.
 *
 * @param store an open store, or the options of `openStore()`: then the store is opened at the first call, and closed by
 *   `dispose()`
 * @throws `INVALID_ARGUMENT` when it is neither, or an option is wrong
 * @example
 *     const storage = createStorage({ driver: tidemarkDriver({ storage: nodeFs('./state'), name: 'app' }) })
 */
export function tidemarkDriver(store: Backing, options: TidemarkDriverOptions = {}): TidemarkDriver {
  const rules = { table: tableName, fresh: flag }
  const { table: name = 'unstorage', fresh } = checkOptions('tidemarkDriver', options, rules)
  const reading = fresh ? { fresh } : undefined
  const backed = new Backed<string, unknown>(store, name)
  const watches = new Set<() => void>()
  const set = async (key: string, value: unknown, { ttl }: ItemOptions = {}): Promise<void> => {
    await backed.run((table) => table.set(key, value, { ttlMs: lifetime(ttl) }))
  }

  return {
    name: 'tidemark',
    flags: { ttl: true },
    options,
    getInstance: async () => (await backed.open()).store,
    hasItem: (key) => backed.run((table) => table.has(key, reading)),
    getItem: async (key) => toText(await backed.run((table) => table.get(key, reading))),
    async getItems(items) {
      const values = await backed.run((table) =>
        table.getMany(
          items.map(({ key }) => key),
          reading,
        ),
      )
      return items.map(({ key }, i) => ({ key, value: toText(values[i]) }))
    },
    // What the store hands out may be shared by its readers.
    getItemRaw: async (key) => structuredClone(await backed.run((table) => table.get(key, reading))) ?? null,
    setItem: set,
    setItemRaw: set,
    async setItems(items) {
      const changes = items.map(({ key, value, options: given }) => {
        return { type: 'put' as const, key, value, ttlMs: lifetime(given?.ttl) }
      })
      await backed.run((table) => table.write(changes))
    },
    async removeItem(key) {
      await backed.run((table) => table.remove(key))
    },
    async getMeta(key) {
      const ttl = await backed.run((table) => table.ttl(key, reading))
      return ttl === undefined ? null : { ttl: ttl / 1000 }
    },
    getKeys: (base) =>
      backed.run(async (table) => {
        const keys: string[] = []
        for await (const key of table.keys({ ...reading, ...(base && { prefix: base }) })) keys.push(key)
        return keys
      }),
    clear: (base) => backed.clear(base ? { prefix: base } : {}),
    async watch(callback) {
      const opened = await backed.open()
      const stop = opened.store.watch({ table: name }, async (changes) => {
        for (const { key, after } of changes) await callback(after === undefined ? 'remove' : 'update', key as string)
      })
      watches.add(stop)
      return () => {
        watches.delete(stop)
        stop()
      }
    },
    async dispose() {
      for (const stop of watches) stop()
      watches.clear()
      await backed.close()
    },
  }
}

/** As the drivers of unstorage have it: 0 is for ever. */
function lifetime(seconds: number | undefined): number | undefined {
  return seconds ? seconds * 1000 : undefined
}

/** The text of an item, whichever way it was set. */
function toText(value: unknown): string | null {
  if (value === undefined || typeof value === 'string') return value ?? null
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : JSON.stringify(value)
}
