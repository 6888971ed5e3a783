/**
 * The connections on which statements are sent: those of a Pool or of a Client of `pg`, or PGlite.
 *
 * - A connection is had before a statement is sent. So whoever gets none, or has no patience, has surely changed nothing.
 * - A Client serves one statement at a time, and others wait here: `pg` frowns on those who queue in the client.
 * - What goes wrong on an idle connection is told by the next call. It must not end the process, as an event that nobody hears would.
 */
import { aborted, invalid, throwIfAborted, TidemarkError } from '../../src/errors.js'
import { redactedError } from './redact.js'

/**
 * What Pool and Client of `pg` and PGlite have in common. A Pool is told by its `totalCount`, PGlite by its `listen`, and a Client
 * by its `connect`; anything else is taken as it is, and reaches no other handles.
 */
export interface PostgresClient {
  /** Runs one statement; `$1` in its text stands for the first of the values. */
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

/** What of `pg` is used beyond `query`. */
export interface PgConnection extends PostgresClient {
  on(event: string, heard: (given: { readonly channel?: string; readonly payload?: string }) => void): unknown
  removeListener(event: string, heard: unknown): unknown
  readonly processID?: number | null
  getTransactionStatus?(): string | null
  unref?(): void
}

export interface PooledConnection extends PgConnection {
  release(destroy?: boolean): void
}

export interface PgPool extends PostgresClient {
  connect(): Promise<PooledConnection>
  on(event: string, heard: () => void): unknown
  readonly totalCount: number
  readonly options?: { readonly max?: number }
}

export interface EmbeddedDatabase extends PostgresClient {
  listen(channel: string, heard: (payload: string) => void): Promise<() => Promise<void>>
}

/** A connection that one statement has for itself. */
export interface Session extends PostgresClient {
  /** Whether somebody has begun a transaction on it: what is written then is not committed when it is answered. */
  isInTransaction(): boolean
  /** Gives it back. A broken one is closed, where others can be opened. */
  release(isBroken: boolean): void
}

/** Gets a connection. */
export type Line = (signal: AbortSignal | undefined) => Promise<Session>

export function isPool(client: PostgresClient): client is PgPool {
  return typeof (client as PgPool).totalCount === 'number' && typeof (client as PgPool).connect === 'function'
}

export function isEmbedded(client: PostgresClient): client is EmbeddedDatabase {
  return typeof (client as EmbeddedDatabase).listen === 'function'
}

export function isConnection(client: PostgresClient): client is PgConnection {
  const { connect, on } = client as { connect?: unknown; on?: unknown }
  return typeof connect === 'function' && typeof on === 'function'
}

/** All storages on one client share its line. */
const lines = new WeakMap<PostgresClient, Line>()

export function lineOf(client: PostgresClient): Line {
  let line = lines.get(client)
  if (line === undefined) {
    line = isPool(client)
      ? poolLine(client)
      : isEmbedded(client) || !isConnection(client)
        ? direct(client)
        : queue(client)
    lines.set(client, line)
  }
  return line
}

/** Events of errors that calls tell as well. */
export const unheard = (): void => {}

function poolLine(pool: PgPool): Line {
  pool.on('error', unheard)
  return async (signal) => {
    throwIfAborted(signal)
    const connecting = pool.connect()
    let connection: PooledConnection
    try {
      connection = await untilAborted(connecting, signal)
    } catch (error) {
      // One that comes too late goes back.
      connecting.then((late) => late.release(), unheard)
      throw error
    }
    connection.on('error', unheard)
    return {
      query: (text, values) => connection.query(text, values),
      isInTransaction: () => isInTransaction(connection),
      release(isBroken) {
        connection.removeListener('error', unheard)
        connection.release(isBroken)
      },
    }
  }
}

function direct(client: PostgresClient): Line {
  return (signal) => {
    throwIfAborted(signal)
    const query: Session['query'] = (text, values) => client.query(text, values)
    return Promise.resolve({ query, isInTransaction: () => false, release() {} })
  }
}

function queue(client: PgConnection): Line {
  let hasEnded = false
  client.on('error', unheard)
  client.on('end', () => (hasEnded = true))
  let last: Promise<unknown> = Promise.resolve()
  return async (signal) => {
    throwIfAborted(signal)
    let leave!: () => void
    const before = last
    const turn = new Promise<void>((resolve) => (leave = resolve))
    last = before.then(() => turn)
    let running: Promise<unknown> = Promise.resolve()
    try {
      await untilAborted(before, signal)
      if (hasEnded) throw ended()
      if (client.processID === null) throw unconnected()
    } catch (error) {
      leave()
      throw error
    }
    return {
      query: (text, values) => {
        const answer = client.query(text, values)
        running = answer
        return answer
      },
      isInTransaction: () => isInTransaction(client),
      // One who has no patience any more leaves the statement running.
      release: () => void running.then(leave, leave),
    }
  }
}

function isInTransaction(connection: PgConnection): boolean {
  const status = connection.getTransactionStatus?.()
  return status === 'T' || status === 'E'
}

function ended(): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    'postgres: the connection of this Client has ended. Make a new Client and a new storage, or use a Pool, which connects again.',
    { retryable: false },
  )
}

function unconnected(): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    'postgres: this Client is not connected. Wait for its connect() first, or use a Pool, which connects by itself.',
  )
}

export function checkClient(client: unknown): asserts client is PostgresClient {
  if (typeof (client as Partial<PostgresClient> | null | undefined)?.query !== 'function') {
    throw invalid('postgres: a Pool or a Client of pg is expected, or PGlite: something with query(text, values).')
  }
}

/** A statement that failed: whether it had been sent by then, and why, without any secret. */
export class Failure extends Error {
  readonly wasSent: boolean

  constructor(cause: unknown, wasSent: boolean) {
    super('A statement failed.', { cause: redactedError(cause) })
    this.wasSent = wasSent
  }
}

/** Sends a statement, once, in one round trip. Throws a `Failure`. */
export async function send(
  line: Line,
  text: string,
  values: unknown[],
  signal: AbortSignal | undefined,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  let session: Session
  try {
    session = await line(signal)
  } catch (error) {
    throw new Failure(error, false)
  }
  let isBroken = true
  let wasSent = false
  try {
    throwIfAborted(signal)
    if (session.isInTransaction()) throw inTransaction()
    wasSent = true
    const { rows } = await untilAborted(session.query(text, values), signal)
    if (session.isInTransaction()) throw inTransaction()
    isBroken = false
    return rows as readonly Readonly<Record<string, unknown>>[]
  } catch (error) {
    const failure = new Failure(error, wasSent)
    isBroken &&= !isRefusal(failure.cause)
    throw failure
  } finally {
    session.release(isBroken)
  }
}

/**
 * Whether the server has refused a statement, which then has surely changed nothing. Not so when it shuts down, lost the connection
 * or met an error of its own: it may have committed before. The severity would tell less, as it comes in the server's language.
 */
export function isRefusal(cause: unknown): boolean {
  const state = stateOf(cause)
  return state !== undefined && !/^(?:08|57P|58|XX|25P0[34]|40003)/.test(state)
}

/** The SQLSTATE of the server's answer. */
export function stateOf(cause: unknown): string | undefined {
  const { code } = Object(cause) as { readonly code?: unknown }
  // Errors of Node have codes as well: ECONNRESET, and EPIPE, which is as long as an SQLSTATE.
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && code !== 'EPIPE' ? code : undefined
}

function inTransaction(): TidemarkError {
  return new TidemarkError(
    'STORAGE_UNAVAILABLE',
    'postgres: the connection is in a transaction that the program has begun, so that nothing would be committed. Give postgres() a Pool or a Client of its own.',
  )
}

/** Stops waiting when the signal aborts. The statement goes on. */
function untilAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    answer.finally(() => signal.removeEventListener('abort', abort)).then(resolve, reject)
  })
}
