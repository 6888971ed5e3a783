/** The points of memtables: the newest thing that one says about a key. */
import type { KeyedRecord } from '../segment/record.js'

const UNDECODED = Symbol('undecoded')

/** The newest thing that a memtable says about a key. */
export class Point {
  deleted: boolean
  expires: number
  /** When the value has lived long enough, on the monotonic clock, until an entry is first built of it; 0: never. */
  due: number
  /** About how much memory it takes with its key while it is uncommitted; 0 in what was read. */
  size: number
  /** Undefined in a tombstone, and in a put that no entry was built of yet. */
  bytes: Uint8Array | undefined
  #value: unknown

  protected constructor(deleted: boolean, value: unknown, bytes: Uint8Array | undefined, expires: number) {
    this.deleted = deleted
    this.expires = expires
    this.due = 0
    this.size = 0
    this.bytes = bytes
    this.#value = value
  }

  static put(value: unknown, size = 0, due = 0): Point {
    const point = new Point(false, value, undefined, 0)
    point.size = size
    point.due = due
    return point
  }

  static stored(bytes: Uint8Array, expires: number): Point {
    return new Point(false, UNDECODED, bytes, expires)
  }

  static tombstone(size = 0): Point {
    const point = new Point(true, undefined, undefined, 0)
    point.size = size
    return point
  }

  /** Becomes the put of another value, as if made by `put`. */
  overwrite(value: unknown, size: number, due: number): void {
    this.deleted = false
    this.expires = 0
    this.due = due
    this.size = size
    this.bytes = undefined
    this.#value = value
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
    if (isShared) this.#value = value
    return value
  }
}

/** A row that was read, for readers who share values: its bytes are let go once it is decoded. */
export class Row extends Point {
  /** Somebody has read it since it was last asked whether it may go. */
  isUsed = true

  constructor(bytes: Uint8Array, expires: number, size: number) {
    super(false, UNDECODED, bytes, expires)
    this.size = size
  }

  override value(decode: (bytes: Uint8Array) => unknown, isShared = false): unknown {
    const value = super.value(decode, isShared)
    if (isShared) this.bytes = undefined
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
