/**
 * State in the storage of a Cloudflare Durable Object: in its SQLite database, or in its keys where it has none.
 *
 * - Each call is one transaction, as create-once, swap and the trim guard need it. A commit goes nowhere beyond the object.
 * - Cloudflare runs an object once in the world, and refuses writes of an instance that was replaced. The log does not stand on
 *   that: of two handles that append the same number one wins, in one object as anywhere.
 * - Blobs may lie somewhere else, as in a bucket: log and anchors alone decide what they mean.
 */
import { checkFields, invalid, reasonOf } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { overObjects } from '../../src/storage/objects.js'
import { LONG_TAIL } from '../../src/storage/tails.js'
import { keyPrefix } from '../s3-common/prefix.js'
import type { DurableObjectStorageLike } from './binding.js'
import { failed } from './calls.js'
import { keyValueObjects } from './key-value.js'
import { sqlObjects } from './sql.js'

export type { DurableObjectStorageLike, KeyValueLike, SqlCursorLike, SqlLike } from './binding.js'

/** Options of `durableObject`. */
export interface DurableObjectOptions {
  /**
   * Begins all names in the object.
   * @default '': they begin with the name of a store
   * @when Set it when a part of the program has stores of its own in the object.
   */
  readonly prefix?: string | undefined
  /**
   * Another storage, such as `r2(env.BUCKET, { prefix: ctx.id.toString() })`, for the blobs: segments, and what else is written
   * once. Each object has to have a prefix of its own there.
   * @default they lie in the object
   * @when Set it for more than some hundred MB, or where storage in a bucket costs less.
   */
  readonly blobs?: Storage | undefined
}

const FIELDS = new Set(['prefix', 'blobs'])
/** Many entries are one call; but whoever wakes the object waits until it has decoded them, and an isolate has 128 MiB. */
const TAIL = { entries: LONG_TAIL.entries, bytes: 1 << 20, large: 4 << 20 }

/**
 * A storage in a Durable Object. Several stores may share it, and other tables and keys of the object stay as they are. Which
 * of the two kinds the object is shows by itself.
 *
 * Open the store once for each instance of the object, and keep it: all requests to the object may use one handle. No call of
 * it belongs into `ctx.storage.transaction()`, which might roll back what the call has acknowledged.
 *
 * @throws `INVALID_ARGUMENT` when that is no storage of a Durable Object, or an option is wrong
 * @example
 *     export class Counter extends DurableObject {
 *       store = openStore<string, number>({ storage: durableObject(this.ctx.storage), name: 'counter' })
 *       async fetch() {
 *         return new Response(`Visit ${await (await this.store).update('all', (n = 0) => n + 1)}`)
 *       }
 *     }
 */
export function durableObject(storage: DurableObjectStorageLike, options: DurableObjectOptions = {}): Storage {
  checkFields('durableObject', options, FIELDS)
  const prefix = keyPrefix('durableObject', options.prefix)
  const { get, transaction, sync } = (storage ?? {}) as Partial<DurableObjectStorageLike>
  if (typeof get !== 'function' || typeof transaction !== 'function' || typeof sync !== 'function') {
    throw invalid('durableObject: the storage of a Durable Object is expected, ctx.storage.')
  }
  const { blobs, capabilities } = checkBlobs(options.blobs)
  const made = hasDatabase(storage) ? inDatabase(storage, prefix) : inKeys(storage, prefix)
  if (blobs === undefined) return made
  return { ...made, blobs, capabilities: { ...made.capabilities, turns: capabilities?.turns } }
}

const CAPABILITIES = { name: 'durable-object', trim: 'create', tail: TAIL } as const

function inDatabase(storage: DurableObjectStorageLike, prefix: string): Storage {
  const objects = sqlObjects(storage, prefix)
  const made = overObjects(objects, CAPABILITIES)
  return { ...made, blobs: { ...made.blobs, getNow: objects.getNow } }
}

function inKeys(storage: DurableObjectStorageLike, prefix: string): Storage {
  return overObjects(keyValueObjects(storage, prefix), CAPABILITIES)
}

/** Whether the object has a database. An object that has none has a `sql` that refuses every call, and says why. */
function hasDatabase(storage: DurableObjectStorageLike): boolean {
  try {
    return storage.sql !== undefined && storage.sql.exec('SELECT 1').toArray().length === 1
  } catch (error) {
    // With any other error its keys are no way out: they would be another, empty storage.
    if (/not (enabled|backed|available)/.test(reasonOf(error))) return false
    throw failed('open its database', error)
  }
}

function checkBlobs(given: Storage | undefined): Partial<Storage> {
  if (given === undefined) return {}
  if (typeof given?.blobs?.put !== 'function') {
    throw invalid('durableObject: blobs is another storage, such as r2(env.BUCKET).')
  }
  return given
}
