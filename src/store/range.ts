/** Ranges of keys as callers give them, and as bounds of bytes. */
import { compareBytes } from '../bytes/compare.js'
import { encodeKey, encodePrefix, type Key } from '../bytes/keys.js'
import { checkFields, invalid } from '../errors.js'
import { prefixed } from '../engine/slot.js'
import type { KeyBounds } from './bounds.js'
import { any, boolean, checker, number, signal, type Check } from './options.js'

/** A range of keys: those that meet every bound that is given. */
export interface RangeOptions<K> {
  /**
   * Only keys above this one.
   * @default no bound
   * @when Set it to go on behind the last key of a page.
   */
  readonly gt?: K | undefined
  /**
   * Only this key and those above it.
   * @default no bound
   * @when Set it to begin at a key.
   */
  readonly gte?: K | undefined
  /**
   * Only keys below this one.
   * @default no bound
   * @when Set it to end before a key.
   */
  readonly lt?: K | undefined
  /**
   * Only this key and those below it.
   * @default no bound
   * @when Set it to end at a key.
   */
  readonly lte?: K | undefined
  /**
   * Only strings or bytes that begin so, or arrays whose first elements are these.
   * @default no bound
   * @when Set it to read all keys of one group, such as `['customer', 7]`.
   */
  readonly prefix?: Key | undefined
}

/** Options of `entries`, `keys` and `values`. */
export interface ScanOptions<K> extends RangeOptions<K>, ReadOptions {
  /**
   * From the last key to the first.
   * @default false
   * @when Set it to read the newest of ordered keys first.
   */
  readonly reverse?: boolean | undefined
  /**
   * The most entries that are read.
   * @default Infinity
   * @unit entries
   * @when Set it to read one page.
   */
  readonly limit?: number | undefined
  /**
   * Ends the iteration with `ABORTED`.
   * @default none
   * @when Set it when whoever reads may go away.
   */
  readonly signal?: AbortSignal | undefined
}

/** Options of `live`. */
export interface LiveOptions<K> extends RangeOptions<K> {
  /**
   * From the last key to the first.
   * @default false
   * @when Set it to show the last keys first.
   */
  readonly reverse?: boolean | undefined
  /**
   * The most entries that it shows: the first ones, in its order.
   * @default Infinity
   * @unit entries
   * @when Set it to show the beginning of a long range.
   */
  readonly limit?: number | undefined
  /**
   * The name of another table of the store.
   * @default this one
   * @when Set it for a table that is at hand by its name only.
   */
  readonly table?: string | undefined
}

/** Options of `get`, `getMany` and `has`. */
export interface ReadOptions {
  /**
   * Looks first for what others have committed, at the cost of a request or two. A handle that owns its store knows it
   * anyway. In a snapshot and in a transaction it changes nothing.
   * @default false: what the handle knows is shown
   * @when Set it where showing what others did a moment ago is worth a request.
   */
  readonly fresh?: boolean | undefined
}

const NOTHING = new Uint8Array(0)

export function keyBounds(options: RangeOptions<Key>): KeyBounds {
  let lower: Uint8Array = NOTHING
  let upper: Uint8Array | undefined
  const raise = (bound: Uint8Array): void => {
    if (compareBytes(bound, lower) > 0) lower = bound
  }
  const cut = (bound: Uint8Array | undefined): void => {
    if (bound && (upper === undefined || compareBytes(bound, upper) < 0)) upper = bound
  }
  if (options.gte !== undefined) raise(encodeKey(options.gte))
  if (options.gt !== undefined) raise(justAfter(encodeKey(options.gt)))
  if (options.lt !== undefined) cut(encodeKey(options.lt))
  if (options.lte !== undefined) cut(justAfter(encodeKey(options.lte)))
  if (options.prefix !== undefined) {
    const prefix = encodePrefix(options.prefix)
    raise(prefix.lower)
    cut(prefix.upper)
  }
  return { lower, upper }
}

/** The smallest byte string above `key`. */
function justAfter(key: Uint8Array): Uint8Array {
  return prefixed(key, Uint8Array.of(0))
}

/** Keys are checked where they are encoded. */
const RANGE = { gt: any<Key>(), gte: any<Key>(), lt: any<Key>(), lte: any<Key>(), prefix: any<Key>() }
const READ = { fresh: boolean(false) }

const limit: Check<number> = (name, given) => {
  return number(Number.MAX_SAFE_INTEGER, 0)(name, given === Infinity ? undefined : given)
}

const SHOWN = { ...RANGE, reverse: boolean(false), limit }

export const checkRead: (options: ReadOptions) => { fresh: boolean } = checker('read', READ)
export const checkScan: (options: ScanOptions<never>) => { reverse: boolean; limit: number; fresh: boolean } = checker(
  'read',
  { ...READ, ...SHOWN, signal },
)
export const checkLive = checker('live', { ...SHOWN, table: any<string | undefined>() })
const WATCH_KEY = new Set(['key', 'table'])
const WATCH_RANGE = new Set([...Object.keys(RANGE), ...WATCH_KEY])
const checkDeleteRange = checker('deleteRange', RANGE)

export function checkRange(options: RangeOptions<never>): void {
  const bounds = Object.values(checkDeleteRange(options)).filter((bound) => bound !== undefined)
  if (bounds.length === 0) throw invalid('deleteRange needs at least one bound; clear() deletes everything.')
}

/** The table and the range that a watch looks at. Beside `key` no bound may be given. */
export function checkWatch(
  options: RangeOptions<Key> & { readonly key?: Key | undefined; readonly table?: string | undefined },
): {
  readonly table: string | undefined
  readonly bounds: KeyBounds
} {
  checkFields('watch', options, options?.key === undefined ? WATCH_RANGE : WATCH_KEY)
  const { table, key } = options
  return { table, bounds: keyBounds(key === undefined ? options : { gte: key, lte: key }) }
}
