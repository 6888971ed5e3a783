/**
 * State in a PostgreSQL database: three tables, for entries, anchors and blobs, which are made when they are first needed.
 *
 * - Each call is one statement, which is a transaction by itself, in one round trip. So is a commit.
 * - An entry is created by `insert … on conflict do nothing`, and the number up to which the log is trimmed is read by the same
 *   statement, under a lock.
 * - The server tells the time in every answer.
 * - Other handles are told by NOTIFY, and wait for it by LISTEN.
 */
import { checkFields, invalid, show } from '../../src/errors.js'
import type { Answer, CallOptions, Capabilities, Storage } from '../../src/storage/contract.js'
import { LONG_TAIL } from '../../src/storage/tails.js'
import { Turns } from '../../src/storage/turns.js'
import { checkClient, isPool, lineOf, type PostgresClient } from './client.js'
import { notDurable, readOnly } from './errors.js'
import { listenerOf } from './listener.js'
import { peersOn } from './peers.js'
import { is, Runner, timeOf } from './runner.js'
import { checkName, statementsOn } from './statements.js'
import { anchorIn, blobsIn, logIn, logsIn } from './storage.js'

export type { PostgresClient } from './client.js'

/** Options of `postgres`. */
export interface PostgresOptions {
  /**
   * The schema of the tables, which is made with them.
   * @default the first schema of the connection's search_path
   * @when Set it to keep the tables apart from the program's own.
   */
  readonly schema?: string | undefined
  /**
   * Begins the names of the tables.
   * @default 'tidemark_'
   * @when Set it when several sets of stores lie in one schema.
   */
  readonly prefix?: string | undefined
  /**
   * Tells other programs of each commit by NOTIFY, and waits for theirs by LISTEN, on a connection that the Pool lends. Without it
   * they find new versions every `followMs`, by `refresh()`, and when they commit.
   * @default true
   * @when Set it to false behind a pooler in transaction mode, which has no LISTEN, and where very many stores commit at once:
   * PostgreSQL lets transactions that notify commit one after another.
   */
  readonly notify?: boolean | undefined
}

const FIELDS = new Set(['schema', 'prefix', 'notify'])
/** What a Pool of `pg` has unless it is told. */
const CONNECTIONS = 10
/** One is left to commits, and one listens. */
const KEPT_FREE = 2
/** They are served one after the other. */
const QUEUED = 16
/** The server sends bytes as text, twice as long, and a string has 512 MiB at most. */
const LARGEST = 128 << 20

/**
 * A storage in the database of a Pool or a Client of `pg`, or of PGlite. Several stores may share it. `pg` has to be installed.
 *
 * A Pool is the rule: calls run beside each other, and a connection that is lost is replaced. A Client serves one call at a time. It
 * must be connected, and have no transaction of the program on it.
 *
 * @throws `INVALID_ARGUMENT` for a wrong client or option, and by calls when another program made tables of these names
 * @throws `STORAGE_UNSAFE` by commits while synchronous_commit is off, and when a store is created on a standby
 * @example
 *     const storage = postgres(new Pool({ connectionString: process.env.DATABASE_URL }))
 *     const store = await openStore({ storage, name: 'orders' })
 */
export function postgres(client: PostgresClient, options: PostgresOptions = {}): Storage {
  checkClient(client)
  checkFields('postgres', options, FIELDS)
  const { schema, prefix = 'tidemark_', notify = true } = options
  if (schema !== undefined) checkName('schema', schema)
  checkName('prefix', prefix)
  if (typeof notify !== 'boolean') throw invalid(`postgres: notify is true or false, not ${show(notify)}.`)

  const place = { schema, prefix }
  const sql = statementsOn(place)
  const runner = new Runner(lineOf(client), sql)
  const tell = (channel: string, message: string): Promise<unknown> =>
    runner.run('notify others', sql.notify, [channel, message], undefined)
  const { peers, remote } = notify ? peersOn(listenerOf(client), place, tell) : { peers: undefined, remote: undefined }
  return {
    capabilities: capabilitiesOn(client),
    peers,
    blobs: blobsIn(runner, sql),
    log: (path) => logIn(runner, sql, remote, path),
    anchor: (path) => anchorIn(runner, sql, path),
    logs: logsIn(runner, sql),
    probe: (_path, o) => probe(runner, sql.settings, o),
  }
}

function capabilitiesOn(client: PostgresClient): Capabilities {
  const turns = new Turns(isPool(client) ? Math.max(1, (client.options?.max ?? CONNECTIONS) - KEPT_FREE) : QUEUED)
  return {
    name: 'postgres',
    trim: 'create',
    maxObjectBytes: LARGEST,
    turns: () => turns,
    tail: LONG_TAIL,
    blockBytes: 64 << 10,
    isRemote: true,
  }
}

/** A database enforces what it promises; what can be wrong are its settings. */
async function probe(runner: Runner, settings: string, options: CallOptions | undefined): Promise<Answer> {
  const [row] = await runner.read('ask for the settings', settings, [], options)
  if (is(row!['standby']) || is(row!['readonly'])) throw readOnly()
  if (!is(row!['durable'])) throw notDurable()
  return { time: timeOf(row!) }
}
