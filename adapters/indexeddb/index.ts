/**
 * State in the browser: a database of IndexedDB, shared by all tabs and workers of an origin.
 *
 * - Each call is one transaction, which makes it what create-once, swap and the trim guard need. What it answers as done
 *   is flushed to the disk (strict durability), in all browsers that let a page ask for it.
 * - Nothing is opened and no global is touched before the first call.
 */
import { systemClock, type Clock } from '../../src/clock.js'
import { checkFields, invalid, show } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { overObjects } from '../../src/storage/objects.js'
import { Connection, JOURNAL } from './connection.js'
import { neighbours } from './neighbours.js'
import { idbObjects } from './objects.js'

export interface IndexedDbOptions {
  /**
   * Asks the browser, once, not to delete the data of this origin when space runs short. It goes on whatever the answer
   * is; some browsers ask the user. Default: false, and the browser may delete all of it.
   */
  readonly persist?: boolean | undefined
  /** For time-outs, random tokens and pauses. Default: the platform's. */
  readonly clock?: Clock | undefined
}

const OPTIONS = new Set(['persist', 'clock'])
const CAPABILITIES = { name: 'indexeddb', trim: 'create' } as const

/** A storage in the IndexedDB database `name`, which is made when it is first needed; several stores may share it. */
export function indexedDb(name: string, options: IndexedDbOptions = {}): Storage {
  if (typeof name !== 'string' || name === '') throw invalid(`indexedDb(name): a name is expected, not ${show(name)}.`)
  if (name.endsWith(JOURNAL)) throw invalid(`indexedDb(name): names that end in "${JOURNAL}" are kept for helpers.`)
  checkFields('indexedDb(name, options)', options, OPTIONS)
  const { persist = false, clock = systemClock } = options
  if (typeof persist !== 'boolean') throw invalid(`indexedDb: persist is true or false, not ${show(persist)}.`)
  const connection = new Connection(name, { persist, clock })
  return {
    ...overObjects(idbObjects(connection, { durability: 'strict' }), CAPABILITIES),
    neighbours: neighbours(name),
    log(path, { durability = 'strict' } = {}) {
      const bond = {}
      const log = overObjects(idbObjects(connection, { durability, bond }), CAPABILITIES).log(path)
      if (durability === 'strict') return log
      const { sync } = idbObjects(connection, { durability: 'strict', bond })
      return { ...log, sync }
    },
  }
}
