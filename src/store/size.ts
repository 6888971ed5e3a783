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
/** How many characters of a text are looked at. */
const SAMPLES = 16
/** Objects of a value that are visited before it is checked that none is visited twice. */
const UNCHECKED = 1000

export function sizeOfChange(key: MapKey, value?: unknown): number {
  return CHANGE + sizeOf(key) + (value === undefined ? 0 : sizeOf(value))
}

export function tombstone(key: MapKey): Point {
  const point = Point.tombstone()
  point.size = sizeOfChange(key)
  return point
}

export interface PointChange {
  readonly slot: Slot
  readonly key: MapKey
  readonly point: Point
}

export function putWithin(budget: number, memtable: Memtable, codec: string, { slot, key, point }: PointChange): void {
  if (memtable.size + point.size > budget) checkGrowth(memtable, memtable.growth(slot, key, point), budget)
  memtable.set(slot, codec, key, point)
}

/** All of the changes, or none. */
export function batchWithin(budget: number, memtable: Memtable, codec: string, changes: readonly PointChange[]): void {
  if (changes.reduce((sum, { point }) => sum + point.size, memtable.size) > budget) {
    // The last change of a key counts.
    const last = new Map(changes.map((change) => [change.key, change]))
    let growth = 0
    for (const { slot, key, point } of last.values()) growth += memtable.growth(slot, key, point)
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

function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return sizeOfLeaf(value)
  let size = Number.NaN
  try {
    size = sizeOfSmall(value, 0)
  } catch {
    // Below a getter that throws is met, too.
  }
  return Number.isNaN(size) ? sizeOfObject(value) : size
}

/** Up to this depth and so many elements an object is walked without remembering what was visited. */
const SMALL_DEPTH = 3
const SMALL_LENGTH = 32
/** Up to this length a text counts as ASCII. */
const SMALL_TEXT = 32

/** Of a plain object that is small, as nearly all are; NaN of any other. */
function sizeOfSmall(value: object, depth: number): number {
  const isList = Array.isArray(value)
  if (!isList && Object.getPrototypeOf(value) !== Object.prototype) return Number.NaN
  if (depth === SMALL_DEPTH || (isList && value.length > SMALL_LENGTH)) return Number.NaN
  let size = OBJECT
  let fields = 0
  for (const name in value) {
    if (++fields > SMALL_LENGTH) return Number.NaN
    const field = (value as Record<string, unknown>)[name]
    if (typeof field === 'string' && field.length <= SMALL_TEXT) size += field.length
    else if (typeof field === 'object' && field !== null) size += sizeOfSmall(field, depth + 1)
    else size += sizeOfLeaf(field)
    if (!isList) size += name.length
  }
  return size
}

function sizeOfLeaf(value: unknown): number {
  if (typeof value === 'string') return sizeOfText(value)
  return typeof value === 'bigint' ? sizeOfBigint(value) : LEAF
}

/** Bytes as UTF-8, by a sample of the characters. */
function sizeOfText(text: string): number {
  const step = Math.max(1, Math.floor(text.length / SAMPLES))
  let extra = 0
  let seen = 0
  for (let i = 0; i < text.length; i += step) {
    const unit = text.charCodeAt(i)
    seen++
    if (unit > 0x7f) extra += unit > 0x7ff ? 2 : 1
  }
  return extra === 0 ? text.length : Math.ceil(text.length * (1 + extra / seen))
}

function sizeOfBigint(value: bigint): number {
  return BigInt.asIntN(64, value) === value ? LEAF : value.toString(16).length / 2
}

function sizeOfObject(root: object): number {
  const pending: object[] = [root]
  let size = 0
  const add = (value: unknown): void => {
    if (typeof value === 'object' && value !== null) pending.push(value)
    else size += sizeOfLeaf(value)
  }
  let visited = 0
  let known: Set<object> | undefined
  try {
    for (let object = pending.pop(); object !== undefined; object = pending.pop()) {
      if (++visited > UNCHECKED) {
        known ??= new Set()
        if (known.has(object)) continue
        known.add(object)
      }
      size += OBJECT
      const { byteLength } = object as { readonly byteLength?: unknown }
      if (typeof byteLength === 'number') size += byteLength
      else if (/^(Array|Map|Set)$/.test(kindOf(object))) {
        for (const element of object as Iterable<unknown>) add(element)
      } else {
        for (const name of Object.keys(object)) {
          size += name.length
          add((object as Record<string, unknown>)[name])
        }
      }
    }
  } catch {
    // A getter that throws throws again when the value is encoded, and there it is told.
  }
  return size
}
