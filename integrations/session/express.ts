/** A store of express-session. Its base class is handed in, so that nothing is imported. */
import { systemClock, TidemarkError } from '../../src/index.js'
import type { Backing } from '../common/backing.js'
import { FRESH, Sessions, type SessionOptions } from './sessions.js'

/** A session, as express-session hands it to stores. */
export interface ExpressSession {
  readonly cookie?: object | undefined
}

type Callback<T = void> = ((error?: unknown, result?: T) => void) | undefined

/** The calls that `expressStore` adds to the base class of stores. */
export interface ExpressStore {
  get(id: string, callback: (error: unknown, session?: never) => void): void
  /** Saves a session: durable when the callback is called. It lives as long as its cookie, else for `ttlMs`. */
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
 * @throws `INVALID_ARGUMENT` when an argument is something else
 * @example
 *     app.use(session({ store: expressStore(session, { storage: nodeFs('./state'), name: 'web' }), secret, resave: false, saveUninitialized: false }))
 */
export function expressStore<Base extends object>(
  session: { readonly Store: abstract new () => Base },
  store: Backing,
  options: SessionOptions = {},
): Base & ExpressStore {
  if (typeof session?.Store !== 'function') {
    throw new TidemarkError(
      'INVALID_ARGUMENT',
      'expressStore: what the package express-session exports is expected first.',
    )
  }
  const sessions = new Sessions<ExpressSession>(store, options)
  const lifetime = (of: ExpressSession): number => {
    const { expires, maxAge } = Object(of.cookie) as { expires?: Date | string | null; maxAge?: number }
    if (expires) return new Date(expires).getTime() - systemClock.now()
    return typeof maxAge === 'number' ? maxAge : sessions.ttlMs
  }
  const calls: ExpressStore = {
    get(id, callback) {
      void answer(sessions.read(id), callback as Callback<ExpressSession | undefined>)
    },
    set(id, given, callback) {
      const ttlMs = lifetime(given)
      const plain = JSON.parse(JSON.stringify(given)) as ExpressSession
      void answer(ttlMs > 0 ? sessions.save(id, plain, ttlMs) : sessions.remove(id), callback)
    },
    destroy(id, callback) {
      void answer(sessions.remove(id), callback)
    },
    touch(id, given, callback) {
      const ttlMs = lifetime(given)
      void answer<unknown>(
        ttlMs > 0 ? sessions.touch(id, ttlMs) : sessions.remove(id),
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
