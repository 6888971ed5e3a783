/** Sessions by their ids, each with a time to live: what the stores of Express and the middleware of Hono have in common. */
import { Backed, type Backing } from '../common/backing.js'
import { tableName, type Rules } from '../common/options.js'

/** Options of `expressStore` and `honoSession`. */
export interface SessionOptions {
  /**
   * The table of the store that holds the sessions.
   * @default 'sessions'
   * @when Set it to keep the sessions of several apps in one store.
   */
  readonly table?: string | undefined
  /**
   * How long a session lives after it was last used, in milliseconds. With Express it counts where the cookie does not say.
   * @default 86_400_000, a day
   * @unit milliseconds
   * @when Lower it where others may use the same browser.
   */
  readonly ttlMs?: number | undefined
}

/** Other processes that write the store in shared mode may have saved a session, or ended it, this very moment. */
export const FRESH = { fresh: true }

const DAY_MS = 86_400_000

/** A store knows no time to live that is longer. */
export const LONGEST_MS = 2 ** 50

export const rules: Rules<SessionOptions> = {
  table: tableName,
  ttlMs: [
    'a positive number of milliseconds',
    (given) => typeof given === 'number' && given > 0 && given <= LONGEST_MS,
  ],
}

export class Sessions<S extends object> extends Backed<string, S> {
  readonly ttlMs: number

  /** The options have been checked. */
  constructor(store: Backing, { table = 'sessions', ttlMs = DAY_MS }: SessionOptions) {
    super(store, table)
    this.ttlMs = ttlMs
  }

  /** A copy of its reader's own. */
  async read(id: string): Promise<S | undefined> {
    return structuredClone(await this.run((table) => table.get(id, FRESH)))
  }

  /** Without a time to live it is kept for ever. */
  async save(id: string, session: S, ttlMs: number | undefined): Promise<void> {
    await this.run((table) => table.set(id, session, { ttlMs }))
  }

  async remove(id: string): Promise<void> {
    await this.run((table) => table.remove(id))
  }

  touch(id: string, ttlMs: number | undefined): Promise<boolean> {
    return this.run((table) => table.touch(id, { ttlMs }))
  }
}
