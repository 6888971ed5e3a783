/** A store of express-session. Its base class is handed in, so that nothing is imported. */
import { systemClock } from '../../src/index.js'
import type { Backing } from '../common/backing.js'
import { checkOptions, invalid } from '../common/options.js'
import { FRESH, LONGEST_MS, rules, Sessions, type SessionOptions } from './sessions.js'

/** A session, as express-session hands it to stores. */
export interface ExpressSession {
  readonly cookie?: object | undefined
}

type Callback<T = void> = ((error?: unknown, result?: T) => void) | undefined

/** The calls that `expressStore` adds to the base class of stores. */
export interface ExpressStore {
  get(id: string, callback: (error: unknown, session?: never) => void): void
  /**
   * Saves a session: durable when the callback is called. It lives as long as its cookie, for ever with a `maxAge` of Infinity,
   * else for `ttlMs`. The callback gets `INVALID_ARGUMENT` for one that is not JSON.
   */
  set(id: string, session: ExpressSession, callback?: (error?: unknown) => void): void
  destroy(id: string, callback?: (error?: unknown) => void): void
  /** Lets a session live on without writing it anew: what others have saved meanwhile stays. */
  touch(id: string, session: ExpressSession, callback?: (error?: unknown) => void): void
  /** All sessions, each with its `id`. */
  all(callback: (error: unknown, sessions?: never[]) => void): void
  length(callback: (error: unknown, length?: number) => void): void
  clear(callback?: (error?: unknown) => void): void
  /** Closes a store that was opened here. */
  close(): Promise<void>
}

/**
 * A store for express-session in a table of a store of Tidemark. A session is JSON, as with other stores of express-session.
 *
 * @param session express-session itself
 * @param store an open store, or the options of `openStore()`: then the store is opened at the first call
 * @throws `INVALID_ARGUMENT` when an argument is something else, or an option is wrong
 * @example
 *     app.use(session({ store: expressStore(session, { storage: nodeFs('./state'), name: 'web' }), secret, resave: false, saveUninitialized: false }))
 */
export function expressStore<Base extends object>(
  session: { readonly Store: abstract new () => Base },
  store: Backing,
  options: SessionOptions = {},
): Base & ExpressStore {
  if (typeof session?.Store !== 'function') {
    throw invalid('expressStore: what the package express-session exports is expected first.')
  }
  const sessions = new Sessions<ExpressSession>(store, checkOptions('expressStore', options, rules))
  const lifetime = (of: ExpressSession): number => {
    const { expires, maxAge } = Object(of.cookie) as { expires?: Date | string | null; maxAge?: number }
    const until = expires ? new Date(expires).getTime() : Number.NaN
    // An invalid date says nothing.
    if (!Number.isNaN(until)) return until - systemClock.now()
    return typeof maxAge === 'number' && !Number.isNaN(maxAge) ? maxAge : sessions.ttlMs
  }
  /** Removes a session whose time is over, and has any other kept for its time. */
  const keep = async <T>(
    id: string,
    given: ExpressSession,
    act: (ttlMs: number | undefined) => Promise<T>,
  ): Promise<T | void> => {
    const ttlMs = lifetime(given)
    if (ttlMs <= 0) return sessions.remove(id)
    return act(ttlMs > LONGEST_MS ? undefined : ttlMs)
  }
  const calls: ExpressStore = {
    get(id, callback) {
      void answer(sessions.read(id), callback as Callback<ExpressSession | undefined>)
    },
    set(id, given, callback) {
      void answer(
        keep(id, given, (ttlMs) => sessions.save(id, plain(given), ttlMs)),
        callback,
      )
    },
    destroy(id, callback) {
      void answer(sessions.remove(id), callback)
    },
    touch(id, given, callback) {
      void answer<unknown>(
        keep(id, given, (ttlMs) => sessions.touch(id, ttlMs)),
        callback && ((error) => callback(error)),
      )
    },
    all(callback) {
      const found = sessions.run(async (table) => {
        return (await table.toArray(FRESH)).map(([id, value]) => ({ ...structuredClone(value), id }))
      })
      void answer(found, callback as Callback<object[]>)
    },
    length(callback) {
      void answer(
        sessions.run((table) => table.count(FRESH)),
        callback,
      )
    },
    clear(callback) {
      void answer(sessions.clear(), callback)
    },
    close: () => sessions.close(),
  }
  const Store = session.Store as unknown as new () => Base
  return Object.assign(new Store(), calls)
}

function plain(session: ExpressSession): ExpressSession {
  try {
    return JSON.parse(JSON.stringify(session)) as ExpressSession
  } catch (cause) {
    throw invalid('expressStore: a session that can be written as JSON is expected.', cause)
  }
}

async function answer<T>(work: Promise<T>, callback: Callback<T>): Promise<void> {
  let result: T
  try {
    result = await work
  } catch (error) {
    callback?.(error)
    return
  }
  callback?.(null, result)
}
