/** The points of memtables: the newest thing that one says about a key, and the order in which cursors walk them. */
import { compareBytes } from '../bytes/compare.js'
import { isEncoded, writeMapKey, type MapKey } from '../bytes/keys.js'
import { bytesOf, sliceOf, type Slice } from '../bytes/slice.js'
import { ByteWriter } from '../bytes/writer.js'
import type { KeyedRecord } from '../segment/record.js'

const UNDECODED = Symbol('undecoded')
/** Stands for the bytes of a tombstone, and of a put that no entry was built of yet. */
const NONE = sliceOf(new Uint8Array(0))

/** The newest thing that a memtable says about a key, and the slice of its value's bytes: a slice of its own would be half as much again. */
export class Point implements Slice {
  deleted = false
  expires = 0
  /** When the value has lived long enough, on the monotonic clock, until an entry is first built of it; 0: never. */
  due: number
  /** About how much memory it takes with its key while it is uncommitted; 0 in what was read. */
  size: number
  buffer = NONE.buffer
  from = 0
  to = 0
  #value: unknown

  /** A put. */
  constructor(value: unknown, size = 0, due = 0) {
    this.#value = value
    this.size = size
    this.due = due
  }

  static stored(bytes: Uint8Array, expires = 0, due = 0): Point {
    return new Point(UNDECODED, 0, due).load(bytes, expires)
  }

  static tombstone(size = 0): Point {
    const point = new Point(undefined, size)
    point.deleted = true
    return point
  }

  /** Takes what was stored, undecoded. */
  protected load(bytes: Uint8Array, expires: number): this {
    this.expires = expires
    this.seal(sliceOf(bytes), true)
    return this
  }

  /** Becomes the put of another value, as if made anew. */
  overwrite(value: unknown, size: number, due: number): void {
    this.deleted = false
    this.expires = 0
    this.due = due
    this.size = size
    this.seal(NONE, true)
    this.#value = value
  }

  get isSealed(): boolean {
    return this.buffer !== NONE.buffer
  }

  get bytes(): Uint8Array | undefined {
    return this.isSealed ? bytesOf(this) : undefined
  }

  /**
   * Takes the bytes of its value. What is read from here on is what they stand for, as after a fold and in any other handle,
   * and not the object that was put; unless that is the very same.
   */
  seal({ buffer, from, to }: Slice, comesBack: boolean): void {
    this.buffer = buffer
    this.from = from
    this.to = to
    if (!comesBack) this.#value = UNDECODED
  }

  /** `isShared`: all readers may have the same one, which was decoded when the first of them came. */
  value(decode: (bytes: Uint8Array) => unknown, isShared = false): unknown {
    if (this.#value !== UNDECODED && (isShared || !this.isSealed)) return this.#value
    const value = decode(bytesOf(this))
    if (isShared) this.#value = value
    return value
  }
}

/** A row that was read, for readers who share values: its bytes are let go once it is decoded. */
export class Row extends Point {
  /** Somebody has read it since it was last asked whether it may go. */
  isUsed = true

  constructor(bytes: Uint8Array, expires: number, size: number) {
    super(UNDECODED, size)
    this.load(bytes, expires)
  }

  override value(decode: (bytes: Uint8Array) => unknown, isShared = false): unknown {
    const value = super.value(decode, isShared)
    if (isShared) this.seal(NONE, true)
    return value
  }
}

/** A record of a memtable, as cursors hand it on. It looks into its point each time: a commit gives points their bytes. */
export class MemtableRecord implements KeyedRecord {
  constructor(
    readonly key: Uint8Array,
    readonly point: Point,
  ) {}

  get bytes(): Uint8Array | undefined {
    return this.point.bytes
  }

  get expires(): number {
    return this.point.expires
  }
}

/** Characters that UTF-16 and UTF-8 may put into another order. */
const HIGH = /[\ud800-\uffff]/

/** Whether the platform's own order of these, all numbers or all text, is that of their bytes. */
export function hasByteOrder(keys: readonly MapKey[]): boolean {
  if (keys.every((key) => typeof key === 'number')) return true
  return keys.every((key) => typeof key === 'string' && !HIGH.test(key)) || keys.every(isEncoded)
}

export interface SortedKeys {
  readonly keys: readonly MapKey[]
  /** Key by key, with the prefix of the slot. */
  readonly bytes: readonly Uint8Array[]
}

/** The platform sorts text and numbers by themselves many times faster than bytes are compared here. */
export function sortNaturally(keys: readonly MapKey[]): MapKey[] {
  if (typeof keys[0] === 'number') return [...(keys as readonly number[])].sort((a, b) => a - b)
  return [...(keys as readonly string[])].sort()
}

/** Sorts keys by their bytes. */
export function sortInBytes(prefix: Uint8Array, unsorted: readonly MapKey[]): SortedKeys {
  const isNatural = hasByteOrder(unsorted)
  const keys = isNatural ? sortNaturally(unsorted) : unsorted
  // All in one buffer: one for each would take longer to get than to fill.
  const w = new ByteWriter(keys.length * (prefix.length + 20))
  const ends = keys.map((key) => {
    w.raw(prefix)
    writeMapKey(w, key)
    return w.length
  })
  const all = w.finish()
  const bytes = ends.map((end, i) => all.subarray(i === 0 ? 0 : ends[i - 1], end))
  if (isNatural) return { keys, bytes }
  const order = [...keys.keys()].sort((a, b) => compareBytes(bytes[a]!, bytes[b]!))
  return { keys: order.map((i) => keys[i]!), bytes: order.map((i) => bytes[i]!) }
}

export function sortedRecords(prefix: Uint8Array, points: ReadonlyMap<MapKey, Point>): MemtableRecord[] {
  const { keys, bytes } = sortInBytes(prefix, [...points.keys()])
  return keys.map((key, i) => new MemtableRecord(bytes[i]!, points.get(key)!))
}
