/** The points of memtables: the newest thing that one says about a key, and the order in which cursors walk them. */
import { compareBytes } from '../bytes/compare.js'
import { writeMapKey, type MapKey } from '../bytes/keys.js'
import { ByteWriter } from '../bytes/writer.js'
import type { KeyedRecord } from '../segment/record.js'

const UNDECODED = Symbol('undecoded')

/** The newest thing that a memtable says about a key. */
export class Point {
  deleted: boolean
  expires: number
  /**
   * How long the value lives, in ms, counted from `putAt` on the monotonic clock; turned into `expires` when an entry is
   * first built of it. 0: for ever.
   */
  ttl = 0
  /** About how much memory it takes with its key while it is uncommitted; 0 in what was read. */
  size = 0
  putAt = 0
  /** Undefined in a tombstone, and in a put that no entry was built of yet. */
  bytes: Uint8Array | undefined
  #value: unknown
  #isRow = false

  private constructor(deleted: boolean, value: unknown, bytes: Uint8Array | undefined, expires: number) {
    this.deleted = deleted
    this.#value = value
    this.bytes = bytes
    this.expires = expires
  }

  static put(value: unknown): Point {
    return new Point(false, value, undefined, 0)
  }

  static stored(bytes: Uint8Array, expires: number): Point {
    return new Point(false, UNDECODED, bytes, expires)
  }

  /** A row that was read, for readers who share values: its bytes are let go once it is decoded. */
  static row(bytes: Uint8Array, expires: number): Point {
    const point = Point.stored(bytes, expires)
    point.#isRow = true
    return point
  }

  static tombstone(): Point {
    return new Point(true, undefined, undefined, 0)
  }

  /**
   * Takes the bytes of its value. What is read from here on is what they stand for, as after a fold and in any other handle,
   * and not the object that was put; unless that is the very same.
   */
  seal(bytes: Uint8Array, comesBack: boolean): void {
    this.bytes = bytes
    if (!comesBack) this.#value = UNDECODED
  }

  /** `isShared`: all readers may have the same one, which was decoded when the first of them came. */
  value(decode: (bytes: Uint8Array) => unknown, isShared = false): unknown {
    if (this.#value !== UNDECODED && (isShared || this.bytes === undefined)) return this.#value
    const value = decode(this.bytes!)
    if (isShared) {
      this.#value = value
      if (this.#isRow) this.bytes = undefined
    }
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

/**
 * The platform sorts text and numbers by themselves many times faster than bytes are compared here. Text comes nearly always
 * in the order of its bytes so; where it does not, which only rare characters bring about, it is sorted once more.
 */
export function sortedRecords(prefix: Uint8Array, points: ReadonlyMap<MapKey, Point>): MemtableRecord[] {
  const keys = [...points.keys()]
  if (keys.every((key) => typeof key === 'string')) keys.sort()
  else if (keys.every((key) => typeof key === 'number')) keys.sort((a, b) => a - b)
  // All in one buffer: one for each would take longer to get than to fill.
  const w = new ByteWriter(keys.length * (prefix.length + 16))
  const ends = keys.map((key) => {
    w.raw(prefix)
    writeMapKey(w, key)
    return w.length
  })
  const bytes = w.finish()
  let isSorted = true
  let before: Uint8Array | undefined
  const records = keys.map((key, i) => {
    const own = bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i])
    isSorted &&= before === undefined || compareBytes(before, own) < 0
    before = own
    return new MemtableRecord(own, points.get(key)!)
  })
  return isSorted ? records : records.sort((a, b) => compareBytes(a.key, b.key))
}
