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
import { Connection, JOURNAL } from './connection.js'
import { peers } from './peers.js'
import { idbObjects } from './objects.js'
import type { Bond, TransactOptions } from './transact.js'
import { LONG_TAIL } from '../../src/storage/tails.js'

/** Options of `indexedDb`. */
export interface IndexedDbOptions {
  /**
   * Asks the browser, once, not to delete the data of this origin when space runs short. The storage works on whatever the
   * answer is. Some browsers ask the user.
   * @default false: the browser may delete all of it
   */
  readonly persist?: boolean | undefined
  /**
   * Time-outs, random tokens and pauses.
   * @default the platform's
   */
  readonly clock?: Clock | undefined
}

const OPTIONS = new Set(['persist', 'clock'])
const CAPABILITIES = { name: 'indexeddb', trim: 'create', tail: LONG_TAIL } as const

/**
 * A storage in the IndexedDB database `name`, which is made when it is first needed. Several stores may share it. `idb` has to
 * be installed.
 *
 * @throws `INVALID_ARGUMENT` for a wrong name or option, and by calls when another program made the database
 * @throws `UNSUPPORTED_FORMAT` by calls when a newer release made the database
 * @example
 *     const store = await openStore({ storage: indexedDb('my-app'), name: 'notes', mode: 'shared' })
 */
export function indexedDb(name: string, options: IndexedDbOptions = {}): Storage {
  if (typeof name !== 'string' || name === '') throw invalid(`indexedDb(name): a name is expected, not ${show(name)}.`)
  if (name.endsWith(JOURNAL)) throw invalid(`indexedDb(name): names that end in "${JOURNAL}" are kept for helpers.`)
  checkFields('indexedDb(name, options)', options, OPTIONS)
  const { persist = false } = options
  const clock = checkClock(options.clock)
  if (typeof persist !== 'boolean') throw invalid(`indexedDb: persist is true or false, not ${show(persist)}.`)
  const connection = new Connection(name, { persist, clock })
  const bound = (bond?: Bond, durability: TransactOptions['durability'] = 'strict'): Storage =>
    overObjects(idbObjects(connection, { durability, bond }), CAPABILITIES)
  /**
   * Bonds to a database, by the path of a log. Work that was begun in one database does not go on in another that came in its
   * place: a log shares the bond of the anchor that led to it, and so do blobs under its path. Each opening has an anchor of
   * its own. Bonds stay after `close()`, for calls that are still under way. They are small, and a path never recurs.
   */
  const bonds = new Map<string, Bond>()
  const bondOf = (path: string): Bond | undefined => bonds.get(path) ?? bonds.get(parentOf(path))
  const storage = bound()
  return {
    ...storage,
    peers: peers(name),
    blobs: {
      ...storage.blobs,
      put: (blob, bytes, o) => bound(bondOf(logOf(blob))).blobs.put(blob, bytes, o),
    },
    anchor(path) {
      const bond = {}
      bonds.set(parentOf(path), bond)
      return bound(bond).anchor(path)
    },
    log(path, { durability = 'strict' } = {}) {
      const bond = bondOf(path) ?? {}
      bonds.set(path, bond)
      const log = bound(bond, durability).log(path)
      if (durability === 'strict') return log
      const { sync } = idbObjects(connection, { durability: 'strict', bond })
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
