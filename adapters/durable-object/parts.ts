/**
 * An object that is not small lies in parts beside its head: a row of SQLite holds 2 MB, a value by a key 128 KiB, and a range
 * then reads the parts that it touches. A head and its parts are written and removed in one transaction.
 */
import { corrupt } from '../../src/errors.js'
import type { ByteRange } from '../../src/storage/contract.js'

/** An object up to this size lies in its head, so that a commit is one row. Lists of keys read all heads with their bytes. */
const WITHIN_BYTES = 16 << 10
/** The size of a part. The last one of an object is smaller. */
const PART_BYTES = 64 << 10
/** How many heads are read at once. */
export const HEADS_AT_ONCE = 128

/** Divides the bytes of an object between its head and its parts. They are copied: a view would be stored with all beneath it. */
export function divide(bytes: Uint8Array): { readonly within: Uint8Array | null; readonly parts: Uint8Array[] } {
  if (bytes.length <= WITHIN_BYTES) return { within: new Uint8Array(bytes), parts: [] }
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PART_BYTES) parts.push(new Uint8Array(bytes.subarray(at, at + PART_BYTES)))
  return { within: null, parts }
}

/** How many parts an object has that does not lie in its head. */
export function countParts(size: number): number {
  return Math.ceil(size / PART_BYTES)
}

/** The numbers of the parts that hold a range, from the first up to and without the last. */
export function partsIn(size: number, range: ByteRange | undefined): [first: number, end: number] {
  if (range === undefined) return [0, countParts(size)]
  const first = Math.floor(range.offset / PART_BYTES)
  return [first, Math.max(first, countParts(Math.min(size, range.offset + range.length)))]
}

/** The bytes of a range of what lies in the head. */
export function fromHead(within: Uint8Array, range: ByteRange | undefined): Uint8Array {
  return range ? within.slice(range.offset, range.offset + range.length) : within
}

/** The bytes of a range, out of its parts from number `first` on; `undefined` when a part is missing. */
export function fromParts(
  parts: readonly Uint8Array[],
  first: number,
  size: number,
  { offset, length }: ByteRange = { offset: 0, length: size },
): Uint8Array | undefined {
  const end = Math.min(size, offset + length)
  if (offset >= end) return new Uint8Array(0)
  if (first * PART_BYTES + parts.reduce((sum, part) => sum + part.length, 0) < end) return undefined
  const bytes = new Uint8Array(end - offset)
  let at = first * PART_BYTES - offset
  for (const part of parts) {
    bytes.set(part.subarray(Math.max(0, -at), Math.max(0, bytes.length - at)), Math.max(0, at))
    at += part.length
  }
  return bytes
}

/** The error of a head without all of its parts. */
export function incomplete(name: string): Error {
  return corrupt(`${name}: the Durable Object lacks a part of it. Restore it from a copy.`)
}

/** The keys that begin with `prefix` and come after `after`: from `start` on, and below `end`. Space and DEL are in no name. */
export function span(prefix: string, after: string | undefined): { readonly start: string; readonly end: string } {
  const start = after === undefined || after < prefix ? prefix : `${after} `
  return { start, end: `${prefix}\x7f` }
}
