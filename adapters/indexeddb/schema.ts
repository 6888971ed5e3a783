/// <reference lib="dom" />
/**
 * The database holds the head of each object under its name, with its bytes in the head or in parts beside it, and an id.
 *
 * - An entry of the log is a small object. One value holds all of it, so that a commit is one write of the browser.
 * - A larger object lies in parts. Lists read heads alone, and a range reads the parts that it touches.
 * - A head and all of its parts are written and removed in one transaction, so that there is never one without the other.
 * - The id is drawn when the database is created. A database that was deleted and made again has another one, by which a
 *   handle notices that its writes are gone.
 */
import type { DBSchema, IDBPDatabase } from 'idb'
import type { ByteRange } from '../../src/storage/contract.js'

export const VERSION = 1

/** The size of a part. From 64 KiB on Chromium keeps a value in a file of its own, which costs far more. */
const PART_BYTES = 60 << 10

/** An object up to this size lies in its head, which lists have to read as well. */
const WITHIN_BYTES = 16 << 10

export interface Head {
  readonly name: string
  readonly size: number
  /** The token of a swap, drawn anew by each write. */
  readonly token: string
  /** The trim number of an anchor; 0 for all other objects. */
  readonly trim: number
  /** All bytes of a small object. A larger one has parts. */
  readonly within?: Uint8Array
}

export interface Schema extends DBSchema {
  objects: { key: string; value: Head }
  parts: { key: [name: string, part: number]; value: Uint8Array }
  about: { key: 'id' | 'synced'; value: string }
}

export const STORES = ['objects', 'parts', 'about'] as const

export function createStores(db: IDBPDatabase<Schema>): void {
  db.createObjectStore('objects', { keyPath: 'name' })
  db.createObjectStore('parts')
  db.createObjectStore('about')
}

/** Whether this library made the database. */
export function hasStores(db: IDBPDatabase<Schema>): boolean {
  return STORES.every((store) => db.objectStoreNames.contains(store))
}

/**
 * Divides the bytes of an object between its head and its parts. They are copied, because the browser would store the whole
 * buffer beneath a view, and because the bytes may be shared memory.
 */
export function divide(bytes: Uint8Array): { readonly within?: Uint8Array; readonly parts: readonly Uint8Array[] } {
  if (bytes.length <= WITHIN_BYTES) return { within: new Uint8Array(bytes), parts: [] }
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PART_BYTES) parts.push(new Uint8Array(bytes.subarray(at, at + PART_BYTES)))
  return { parts }
}

/** The keys of an object's parts, from `first` to `last`. */
export function partsOf(name: string, first = 0, last = Infinity): IDBKeyRange {
  return IDBKeyRange.bound([name, first], [name, last])
}

/** The numbers of the parts that hold a range. The last is never before the first. */
export function partsIn({ offset, length }: ByteRange): [first: number, last: number] {
  const first = Math.floor(offset / PART_BYTES)
  return [first, Math.max(first, Math.ceil((offset + length) / PART_BYTES) - 1)]
}

/** The bytes of a range, out of its `parts` from number `first` on; `undefined` when a part is missing. */
export function fromParts(
  parts: readonly Uint8Array[],
  first: number,
  size: number,
  range: ByteRange = { offset: 0, length: size },
): Uint8Array | undefined {
  const end = Math.min(size, range.offset + range.length)
  if (range.offset >= end) return new Uint8Array(0)
  if (first * PART_BYTES + parts.reduce((sum, { length }) => sum + length, 0) < end) return undefined
  if (parts.length === 1 && parts[0]!.length === end - range.offset) return parts[0]
  const bytes = new Uint8Array(end - range.offset)
  let at = first * PART_BYTES - range.offset
  for (const part of parts) {
    // What follows was read ahead.
    if (at >= bytes.length) break
    const wanted = part.subarray(Math.max(0, -at), Math.max(0, bytes.length - at))
    bytes.set(wanted, Math.max(0, at))
    at += part.length
  }
  return bytes
}

/** The keys that begin with `prefix` and come after `after`; `undefined` when there can be none. Names are ASCII. */
export function keysAfter(prefix: string, after: string | undefined): IDBKeyRange | undefined {
  const end = `${prefix}\uffff`
  if (after === undefined || after < prefix) return IDBKeyRange.bound(prefix, end)
  return after < end ? IDBKeyRange.bound(after, end, true) : undefined
}
