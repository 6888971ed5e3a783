/**
 * State in the browser: a database of IndexedDB that all tabs and workers of an origin share.
 *
 * - Each call is one transaction, as create-once, swap and the trim guard need it. In strict durability a call is answered
 *   when it is flushed to the disk, in all browsers that let a page ask for that.
 * - Nothing is opened and no global is touched before the first call.
 */
import { checkClock, type Clock } from '../../src/clock.js'
import { checkFields, invalid, show } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { overObjects } from '../../src/storage/objects.js'
import { LONG_TAIL } from '../../src/storage/tails.js'
import { Connection, JOURNAL } from './connection.js'
import { peers } from './peers.js'
import { idbObjects } from './objects.js'
import type { DatabaseId, TransactOptions } from './transact.js'

/** Options of `indexedDb`. */
export interface IndexedDbOptions {
  /**
   * Asks the browser, once, not to delete the data of this origin when space runs short. The storage works on whatever the
   * answer is. Some browsers ask the user.
   * @default false: the browser may delete all of it
   * @when Set it when users would miss the data, at a moment at which a question does not surprise them.
   */
  readonly persist?: boolean | undefined
  /**
   * Time-outs, random tokens and pauses.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
}

const OPTIONS = new Set(['persist', 'clock'])
/** Many entries are one request; but whoever opens a page waits until it has decoded them. */
const TAIL = { entries: LONG_TAIL.entries, bytes: 1 << 20 }
/** Each call costs more than what it brings, and so does each stream that unpacks. */
const CAPABILITIES = { name: 'indexeddb', trim: 'create', tail: TAIL, blockBytes: 64 << 10, mode: 'shared' } as const

/**
 * A storage in the IndexedDB database `name`, which is made when it is first needed. Several stores may share it. `idb` has to
 * be installed.
 *
 * @throws `INVALID_ARGUMENT` for a wrong name or option, and by calls when another program made the database
 * @throws `UNSUPPORTED_FORMAT` by calls when a newer release made the database
 * @example
 *     const store = await openStore({ storage: indexedDb('my-app'), name: 'notes' })
 */
export function indexedDb(name: string, options: IndexedDbOptions = {}): Storage {
  if (typeof name !== 'string' || name === '') throw invalid(`indexedDb(name): a name is expected, not ${show(name)}.`)
  if (name.endsWith(JOURNAL)) throw invalid(`indexedDb(name): names that end in "${JOURNAL}" are kept for helpers.`)
  checkFields('indexedDb(name, options)', options, OPTIONS)
  const { persist = false } = options
  const clock = checkClock(options.clock)
  if (typeof persist !== 'boolean') throw invalid(`indexedDb: persist is true or false, not ${show(persist)}.`)
  const connection = new Connection(name, { persist, clock })
  const storageIn = (databaseId?: DatabaseId, durability: TransactOptions['durability'] = 'strict'): Storage =>
    overObjects(idbObjects(connection, { durability, databaseId }), CAPABILITIES)
  /**
   * The id of the database that work was begun in, by the path of a log. Such work does not go on in another database that came
   * in its place: a log shares the id of the anchor that led to it, and so do blobs under its path. Each opening has an anchor of
   * its own. Ids stay after `close()`, for calls that are still under way. They are small, and a path never recurs.
   */
  const databaseIds = new Map<string, DatabaseId>()
  const databaseIdOf = (path: string): DatabaseId | undefined =>
    databaseIds.get(path) ?? databaseIds.get(parentOf(path))
  const storage = storageIn()
  return {
    ...storage,
    peers: peers(name),
    blobs: {
      ...storage.blobs,
      put: (blob, bytes, o) => storageIn(databaseIdOf(logOf(blob))).blobs.put(blob, bytes, o),
    },
    anchor(path) {
      const databaseId = {}
      databaseIds.set(parentOf(path), databaseId)
      return storageIn(databaseId).anchor(path)
    },
    log(path, { durability = 'strict' } = {}) {
      const databaseId = databaseIdOf(path) ?? {}
      databaseIds.set(path, databaseId)
      const log = storageIn(databaseId, durability).log(path)
      if (durability === 'strict') return log
      const { sync } = idbObjects(connection, { durability: 'strict', databaseId })
      return { ...log, sync }
    },
  }
}

/** The path of the log that a blob belongs to: `<store>/<shard>/<log id>`. */
function logOf(blob: string): string {
  return blob.split('/', 3).join('/')
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
