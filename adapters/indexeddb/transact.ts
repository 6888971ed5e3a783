/**
 * Makes one transaction per call, and judges its end.
 *
 * - The browser commits a transaction only when all of its requests are answered, so one whose request failed surely changed
 *   nothing. One whose requests succeeded and that then did not complete is uncertain, unless there was no space: the
 *   browser finds that before it writes anything.
 * - A read, and a write that may be repeated, runs again on a new connection. An uncertain conditional write never does.
 */
import { throwIfAborted, TidemarkError } from '../../src/errors.js'
import type { CallOptions } from '../../src/storage/contract.js'
import type { Connection, Session } from './connection.js'
import { idbError, isDead, isFull, Uncertain } from './errors.js'
import { completion } from './requests.js'
import { STORES } from './schema.js'

export interface TransactOptions {
  readonly durability: 'strict' | 'relaxed'
  /** Keeps calls to the database that the first of them met. When that is gone, each later one fails. */
  readonly databaseId?: DatabaseId | undefined
}

/** The id of a database, once a call has met it. */
export interface DatabaseId {
  id?: string
}

type Transact = <T>(options: CallOptions | undefined, act: (tx: IDBTransaction) => Promise<T>) => Promise<T>

export interface Transactions {
  /** Reads in one transaction. */
  readonly read: Transact
  /** Writes in one transaction, and again when it is not certain that it was written. */
  readonly repeat: Transact
  /** Writes under a condition, once. Throws `Uncertain` when it may have been written. */
  readonly once: Transact
}

export function transactions(connection: Connection, { durability, databaseId }: TransactOptions): Transactions {
  const { database } = connection

  async function transact<T>(
    doing: string,
    options: CallOptions | undefined,
    dead: (error: unknown) => boolean,
    attempt: (session: Session) => Promise<T>,
  ): Promise<T> {
    const signal = options?.signal
    throwIfAborted(signal)
    try {
      return await connection.use(dead, signal, (session) => {
        // The signal may have aborted while the database was opened.
        throwIfAborted(signal)
        keepTo(databaseId, session, database)
        return attempt(session)
      })
    } catch (error) {
      if (error instanceof Uncertain && !dead(error)) throw error
      throw idbError(error, doing, database)
    }
  }

  async function write<T>(session: Session, act: (tx: IDBTransaction) => Promise<T>): Promise<T> {
    return completed(session.db.transaction(STORES, 'readwrite', { durability }), act)
  }

  const uncertainToo = (error: unknown): boolean => error instanceof Uncertain || isDead(error)

  return {
    read: (options, act) => transact('read', options, isDead, ({ db }) => act(db.transaction(STORES, 'readonly'))),
    repeat: (options, act) => transact('write to', options, uncertainToo, (session) => write(session, act)),
    once: (options, act) => transact('write to', options, isDead, (session) => write(session, act)),
  }
}

/** Runs `act`, which waits for each of its requests, and resolves when the transaction is durable. */
async function completed<T>(tx: IDBTransaction, act: (tx: IDBTransaction) => Promise<T>): Promise<T> {
  const done = completion(tx)
  let result: T
  try {
    result = await act(tx)
  } catch (error) {
    // The error of an ended transaction tells why. Those of its requests only tell that it was ended.
    const cause = tx.error ?? error
    abort(tx)
    throw cause
  }
  try {
    await done
  } catch (error) {
    const cause = tx.error ?? error
    throw isFull(cause) ? cause : new Uncertain(cause)
  }
  return result
}

function abort(tx: IDBTransaction): void {
  try {
    tx.abort()
  } catch {
    // The failed request has ended the transaction already.
  }
}

/**
 * Refuses another database than the one with this id. A database that was deleted comes back empty, and a log that went on in
 * it would acknowledge entries after a hole. Whoever opens the store again finds out what is there.
 */
function keepTo(databaseId: DatabaseId | undefined, { id }: Session, database: string): void {
  if (databaseId === undefined) return
  databaseId.id ??= id
  if (databaseId.id === id) return
  throw new TidemarkError(
    'ROLLED_BACK',
    `The IndexedDB database "${database}" was deleted while it was in use, and all that it held is gone. ` +
      'Nothing was written; open the store again to begin anew.',
  )
}
