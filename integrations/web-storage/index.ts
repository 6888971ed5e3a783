/**
 * The asynchronous storage that state libraries ask for (zustand's `persist`, redux-persist, TanStack Query's persister), and
 * for zustand a middleware that several tabs share.
 */
import { Backed, type Backing } from '../common/backing.js'
import { checkOptions, invalid, tableName } from '../common/options.js'

export { sharedPersist, type SharedPersist, type SharedPersistOptions } from './shared-persist.js'
export type { Backing } from '../common/backing.js'

/** Where state libraries keep text. */
export interface WebStorage {
  /** The text of a name, as others may have changed it; `null` when there is none. */
  getItem(name: string): Promise<string | null>
  /** Keeps a text; it is durable when the promise resolves. What is no string is refused with `INVALID_ARGUMENT`. */
  setItem(name: string, value: string): Promise<void>
  /** Removes a name. */
  removeItem(name: string): Promise<void>
  /** Closes the store, where this opened it. */
  close(): Promise<void>
}

/** Options of `webStorage`. */
export interface WebStorageOptions {
  /**
   * The table that the items are in.
   * @default 'web-storage'
   * @when Set it to keep the items of two libraries apart.
   */
  readonly table?: string | undefined
}

/**
 * A storage for texts. In several tabs the one that comes last counts, as with `localStorage`, for the whole of a text.
 * @param backing an open store, or the options of `openStore()`, by which it opens one at the first call
 * @throws `INVALID_ARGUMENT` when it is neither, or an option is wrong; its calls reject as `get`, `set` and `remove` of a table do
 * @example
 *     create(persist(initializer, { name: 'app', storage: createJSONStorage(() => webStorage(store)) }))
 */
export function webStorage(backing: Backing, options: WebStorageOptions = {}): WebStorage {
  const { table = 'web-storage' } = checkOptions('webStorage', options, { table: tableName })
  const backed = new Backed<string, string>(backing, table)
  return {
    getItem: (name) => backed.run(async (items) => (await items.get(name, { fresh: true })) ?? null),
    async setItem(name, value) {
      if (typeof value !== 'string')
        throw invalid('setItem: a string is expected; a storage for texts keeps nothing else.')
      await backed.run((items) => items.set(name, value))
    },
    removeItem: (name) => backed.run(async (items) => void (await items.remove(name))),
    close: () => backed.close(),
  }
}
