/**
 * How much memory buffered changes take, and that they stay within `maxUncommittedBytes`. Sizes are about right: text and
 * bytes count by their length, everything else by a constant, so that what is large is met within a factor of two, and small
 * values cost next to nothing to look at.
 */
import type { MapKey } from '../bytes/keys.js'
import { kindOf } from '../bytes/kinds.js'
import { TidemarkError } from '../errors.js'
import type { KeyRange } from '../segment/record.js'
import { sizeOfRange, type Memtable } from '../engine/memtable.js'
import { Point } from '../engine/point.js'
import type { Slot } from '../engine/slot.js'

/** A change takes so much beside its key and value: places in Maps, the point. */
const CHANGE = 64
const LEAF = 8
const OBJECT = 32
/** Up to this length a text counts as ASCII. */
const SHORT_TEXT = 32
/** How many characters of a longer text are looked at. */
const SAMPLES = 16
/** Objects of a value that are visited before it is checked that none is visited twice. */
const UNCHECKED = 1000

export function sizeOfChange(key: MapKey, value?: unknown): number {
  return CHANGE + sizeOf(key) + (value === undefined ? 0 : sizeOf(value))
}

export function tombstone(key: MapKey): Point {
  return Point.tombstone(sizeOfChange(key))
}

export interface PointChange {
  readonly slot: Slot
  readonly key: MapKey
  readonly point: Point
}

/** `due`: when the value has lived long enough, as a point has it. */
export function putWithin(
  budget: number,
  memtable: Memtable,
  codec: string,
  slot: Slot,
  key: MapKey,
  value: unknown,
  due: number,
): void {
  const size = sizeOfChange(key, value)
  if (memtable.size + size > budget) checkGrowth(memtable, size - memtable.sizeAt(slot, key), budget)
  memtable.put(slot, codec, key, value, size, due)
}

/** All of the changes, or none. */
export function batchWithin(budget: number, memtable: Memtable, codec: string, changes: readonly PointChange[]): void {
  if (changes.reduce((sum, { point }) => sum + point.size, memtable.size) > budget) {
    // The last change of a key counts.
    const last = new Map(changes.map((change) => [change.key, change]))
    let growth = 0
    for (const { slot, key, point } of last.values()) growth += point.size - memtable.sizeAt(slot, key)
    checkGrowth(memtable, growth, budget)
  }
  for (const { slot, key, point } of changes) memtable.set(slot, codec, key, point)
}

export function deleteWithin(
  budget: number,
  memtable: Memtable,
  codec: string,
  ranges: readonly { readonly slot: Slot; readonly range: KeyRange }[],
): void {
  const deleteFrom = (from: Memtable): void => {
    for (const { slot, range } of ranges) from.deleteRange(slot, codec, range)
  }
  if (ranges.reduce((sum, { range }) => sum + sizeOfRange(range), memtable.size) > budget) {
    // More may go than comes; so near the bound that is tried on a copy.
    const copy = memtable.copy()
    deleteFrom(copy)
    checkGrowth(memtable, copy.size - memtable.size, budget)
  }
  deleteFrom(memtable)
}

/** A change that makes the memtable no larger always goes through. */
function checkGrowth(memtable: Memtable, growth: number, budget: number): void {
  if (growth <= 0 || memtable.size + growth <= budget) return
  throw new TidemarkError(
    'QUOTA',
    `The change takes about ${growth} bytes, and maxUncommittedBytes leaves ${Math.max(0, budget - memtable.size)}. Nothing is lost: await commit() and go on.`,
  )
}

/** How many objects were visited of the value that is looked at, and which of them, once they are many. */
let visited = 0
let known: Set<object> | undefined

function sizeOf(value: unknown): number {
  visited = 0
  try {
    return sizeOfPart(value)
  } catch {
    // A getter that throws, or no end of nesting, is told when the value is encoded.
    return OBJECT
  } finally {
    known = undefined
  }
}

function sizeOfPart(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return value.length <= SHORT_TEXT ? value.length : sizeOfText(value)
    case 'bigint':
      return sizeOfBigint(value)
    case 'object':
      return value === null ? LEAF : sizeOfObject(value)
    default:
      return LEAF
  }
}

/** Bytes as UTF-8, by a sample of the characters. */
function sizeOfText(text: string): number {
  const step = Math.floor(text.length / SAMPLES)
  let extra = 0
  let seen = 0
  for (let i = 0; i < text.length; i += step) {
    const unit = text.charCodeAt(i)
    seen++
    if (unit > 0x7f) extra += unit > 0x7ff ? 2 : 1
  }
  return Math.ceil(text.length * (1 + extra / seen))
}

function sizeOfBigint(value: bigint): number {
  return BigInt.asIntN(64, value) === value ? LEAF : value.toString(16).length / 2
}

function sizeOfObject(object: object): number {
  if (++visited > UNCHECKED) {
    known ??= new Set()
    if (known.has(object)) return 0
    known.add(object)
  }
  let size = OBJECT
  if (Array.isArray(object)) {
    for (let i = 0; i < object.length; i++) size += sizeOfPart(object[i])
    return size
  }
  if (Object.getPrototypeOf(object) !== Object.prototype) {
    const { byteLength } = object as { readonly byteLength?: unknown }
    if (typeof byteLength === 'number') return size + byteLength
    const kind = kindOf(object)
    if (kind === 'Map' || kind === 'Set') {
      // The pairs of a Map are lists.
      for (const member of object as Iterable<unknown>) size += sizeOfPart(member)
      return size
    }
  }
  for (const name of Object.keys(object)) size += name.length + sizeOfPart((object as Record<string, unknown>)[name])
  return size
}
