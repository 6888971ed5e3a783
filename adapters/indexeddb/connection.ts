/**
 * One connection to a database. It is opened when it is first needed, and again when it is gone.
 *
 * - Another tab that wants to delete or upgrade the database gets it: the connection closes as soon as the transactions that
 *   run have ended. The next call opens it again.
 * - An opening that takes too long is given up and reported. When it succeeds later it is closed, so that it holds up nobody.
 */
import { deleteDB, openDB, unwrap, type IDBPDatabase } from 'idb'
import { toHex } from '../../src/bytes/hex.js'
import { sleep, within, type Clock } from '../../src/clock.js'
import { Part } from '../../src/part.js'
import { idbError, nameOf } from './errors.js'
import { createStores, hasStores, VERSION, type Schema } from './schema.js'

const refusing = new Part(() => import('./refusals.js'))

/** An open database, and the id that it got when it was made. */
export interface Session {
  /** As the browser has it: what wraps each request would cost a commit of one key a tenth. */
  readonly db: IDBDatabase
  readonly id: string
}

/** The end of the name of the helper database that makes Chromium begin a new journal. */
export const JOURNAL = ' (journal)'

const OPEN_MS = 10_000
const JOURNAL_MS = 2_000
const REOPENINGS = 3
const PAUSE_MS = 20

export class Connection {
  readonly database: string
  readonly clock: Clock
  #persist: boolean
  #session: Promise<Session> | undefined
  #renewed: Promise<unknown> | undefined

  constructor(database: string, options: { readonly persist: boolean; readonly clock: Clock }) {
    this.database = database
    this.clock = options.clock
    this.#persist = options.persist
  }

  /** The open connection. Calls that come while it opens share that opening. */
  session(): Promise<Session> {
    if (this.#session !== undefined) return this.#session
    const opening = this.#open(() => this.drop(opening))
    this.#session = opening
    opening.catch(() => this.drop(opening))
    return opening
  }

  /** Gives up a dead connection. The next call opens another. */
  drop(session: Promise<Session>): void {
    if (this.#session === session) this.#session = undefined
    session.then(
      ({ db }) => db.close(),
      () => {},
    )
  }

  /** Runs `use` on the connection. When it fails because the connection is `dead` it runs on a new one, at most three times. */
  async use<T>(
    dead: (error: unknown) => boolean,
    signal: AbortSignal | undefined,
    use: (session: Session) => Promise<T>,
  ): Promise<T> {
    for (let reopened = 0; ; reopened++) {
      const session = this.session()
      try {
        return await use(await session)
      } catch (error) {
        if (!dead(error)) throw error
        this.drop(session)
        if (reopened === REOPENINGS) throw error
        await sleep(this.clock, PAUSE_MS * 4 ** reopened, signal)
      }
    }
  }

  async #open(gone: () => void): Promise<Session> {
    let blocked = false
    this.#askToPersist()
    const opening = this.#request(() => (blocked = true), gone)
    const session = await within(this.clock, OPEN_MS, opening)
    if (session !== undefined) return session
    this.drop(opening)
    throw await refusing.use((part) => part.tooLong(this.database, OPEN_MS, blocked))
  }

  async #request(blocked: () => void, gone: () => void): Promise<Session> {
    const name = this.database
    let refused: unknown
    let db: IDBPDatabase<Schema>
    try {
      if (!globalThis.indexedDB) throw await refusing.use((part) => part.missing())
      db = await openDB<Schema>(name, VERSION, {
        upgrade: (created, _old, _new, tx) => {
          // The opening fails with an AbortError, so the true error of the transaction that creates the stores is kept here.
          tx.done.catch((error: unknown) => (refused = tx.error ?? error))
          createStores(created)
          void tx
            .objectStore('about')
            .put(toHex(this.clock.random(16)), 'id')
            .catch(() => {})
        },
        blocked,
        blocking: (_old, _new, event) => {
          ;(event.target as IDBDatabase).close()
          gone()
        },
        terminated: gone,
      })
    } catch (error) {
      throw opened(refused !== undefined && nameOf(error) === 'AbortError' ? refused : error, name)
    }
    try {
      const id = hasStores(db) ? await db.get('about', 'id') : undefined
      if (id === undefined) throw await refusing.use((part) => part.foreign(name))
      // There is a limit to the wait: a tab that stalls can keep the helper from everybody.
      await (this.#renewed ??= within(this.clock, JOURNAL_MS, renewJournal(name)))
      return { db: unwrap(db), id }
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** Asks for persistence, once, and without waiting: some browsers ask the user, who may never answer. */
  #askToPersist(): void {
    if (!this.#persist) return
    this.#persist = false
    try {
      globalThis.navigator?.storage?.persist?.().catch(() => {})
    } catch {
      // A page that may not ask goes on without persistence.
    }
  }
}

/**
 * Makes Chromium begin a new journal. After a sudden end (kill, crash, an Android that wants memory) the journal may end in
 * half a record. Chromium appends after it, takes all databases of the origin for damaged at the next opening, and deletes
 * them (https://github.com/google/leveldb/issues/1287). Deleting a database compacts it, and that ends the journal. It takes a
 * few milliseconds. Nothing is acknowledged before, unless it takes seconds.
 */
async function renewJournal(name: string): Promise<void> {
  if (globalThis.navigator?.userAgent?.includes('Chrome/') !== true) return
  const helper = `${name}${JOURNAL}`
  try {
    const db = await openDB(helper, 1, { blocking: (_old, _new, event) => (event.target as IDBDatabase).close() })
    const isOurs = db.objectStoreNames.length === 0
    db.close()
    if (!isOurs) return
    // A tab that holds the helper is doing the same, so that it is not waited for.
    await new Promise<void>((resolve, reject) => {
      deleteDB(helper, { blocked: () => resolve() }).then(resolve, reject)
    })
  } catch {
    // The helper may fail. A fault of the storage shows where the storage is used.
  }
}

/** An error of opening. One that may pass is `dead` and tried again; any other is final, and says so in a sentence. */
function opened(error: unknown, name: string): unknown {
  const passing = ['AbortError', 'UnknownError', 'TimeoutError'].includes(nameOf(error) ?? '')
  return passing ? error : idbError(error, 'open', name, true)
}
