/** The reads and writes of one table: of the whole store, or seen through one partition. */
import { hashMapKey, decodeKey, toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { isPromise } from '../callback.js'
import { TidemarkError, checkFields, corrupt, invalid, isExpired, isTidemarkError, show } from '../errors.js'
import type { KeyedRecord, StoredRecord } from '../segment/record.js'
import { Point, MemtableRecord } from '../engine/point.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import { AT_ONCE, lookUp, lookUpLoading, Missing, type View } from '../engine/read.js'
import {
  checkRange,
  checkRead,
  checkScan,
  isEmptyRange,
  keyBounds,
  slotRange,
  type RangeOptions,
  type ReadOptions,
  type ScanOptions,
} from './range.js'
import { Scan } from './scan.js'
import { batchWithin, deleteWithin, putWithin, sizeOfChange, tombstone } from './size.js'
import type { TableHost } from './table-host.js'
import type { BatchChange, PutOptions } from './table-options.js'
import { checkTtl, type TableSpec } from './table-spec.js'

/** The outcome of a look-up. */
type Found = Point | StoredRecord | undefined

const NO_OPTIONS: PutOptions = {}
const PUT_OPTIONS = new Set(['ttlMs'])
const CHANGE_FIELDS = new Set(['type', 'key', 'value', 'ttlMs'])

/**
 * The reads and writes of one table. What is written is buffered, read back at once, and durable when `store.commit()`
 * resolves.
 *
 * Every call throws, or rejects with, `CLOSED` once the store is closed. Reads of what is not in memory reject with
 * `CORRUPT` or `UNSUPPORTED_FORMAT` when stored bytes are damaged or newer than this release, with `STORAGE_UNAVAILABLE`
 * when the storage does not answer, and with `VERSION_EXPIRED` when others have collected what was being read.
 */
export class Table<K extends Key = Key, V = unknown> {
  readonly #host: TableHost
  readonly #spec: TableSpec
  /** One per partition that this table looks at. */
  readonly #slots: readonly Slot[]

  /** @internal */
  constructor(host: TableHost, spec: TableSpec, partition: number | undefined) {
    this.#host = host
    this.#spec = spec
    this.#slots =
      partition === undefined
        ? Array.from({ length: host.partitions }, (_, i) => makeSlot(i, spec.bytes))
        : [makeSlot(partition, spec.bytes)]
  }

  #slotOf(key: MapKey): Slot {
    const slots = this.#slots
    return slots.length === 1 ? slots[0]! : slots[hashMapKey(key) % slots.length]!
  }

  /**
   * Buffers a value, which belongs to the store from here on and must not be changed any more.
   *
   * @throws `INVALID_ARGUMENT` when the key or an option is wrong, or the value does not fit the schema
   * @throws `QUOTA` when the change goes beyond `maxUncommittedBytes`
   * @throws `READ_ONLY` in a follower or a snapshot; `FENCED` or `UNKNOWN_OUTCOME` when only `reopen()` lets it write again
   * @example
   *     store.put('o-1', { total: 12 }, { ttlMs: 60_000 })
   *     await store.commit()
   */
  put(key: K, value: V, options: PutOptions = NO_OPTIONS): void {
    const memtable = this.#host.writable()
    if (options !== NO_OPTIONS) checkFields('put', options, PUT_OPTIONS)
    const mapKey = toMapKey(key)
    const checked = this.#spec.checkValue(value)
    const { codec } = this.#spec
    putWithin(this.#host.budget, memtable, codec.id, this.#slotOf(mapKey), mapKey, checked, this.#due(options.ttlMs))
  }

  /** When a value that is put now has lived long enough, on the monotonic clock; 0: never. */
  #due(ttlMs: number | undefined): number {
    const ttl = ttlMs === undefined ? this.#spec.ttlMs : checkTtl('ttlMs', ttlMs)
    return ttl > 0 ? this.#host.monotonic() + ttl : 0
  }

  /**
   * Buffers the removal of a key; one that does not exist is fine.
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`
   */
  delete(key: K): void {
    const memtable = this.#host.writable()
    this.#spec.assertCodec()
    const mapKey = toMapKey(key)
    const change = { slot: this.#slotOf(mapKey), key: mapKey, point: tombstone(mapKey) }
    batchWithin(this.#host.budget, memtable, this.#spec.codec.id, [change])
  }

  /**
   * Buffers the removal of all keys in a range, as one record, whatever the range covers.
   * @throws as `put`: `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`; `INVALID_ARGUMENT` when a bound is wrong, or there
   *   is none
   * @example
   *     store.deleteRange({ gte: 'o-1', lt: 'o-5' })
   */
  deleteRange(range: RangeOptions<K>): void {
    checkRange(range as RangeOptions<never>)
    this.#deleteBounds(range)
  }

  /**
   * Buffers the removal of every key of this table.
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`
   */
  clear(): void {
    this.#deleteBounds({})
  }

  #deleteBounds(range: RangeOptions<K>): void {
    const memtable = this.#host.writable()
    this.#spec.assertCodec()
    const bounds = keyBounds(range as RangeOptions<Key>)
    if (isEmptyRange(bounds)) return
    const ranges = this.#slots.map((slot) => ({ slot, range: slotRange(slot, bounds) }))
    deleteWithin(this.#host.budget, memtable, this.#spec.codec.id, ranges)
  }

  /**
   * Buffers several changes: all of them, or none when one is refused.
   *
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`
   * @example
   *     store.batch([{ type: 'put', key: 'a', value: 1 }, { type: 'del', key: 'b' }])
   */
  batch(changes: readonly BatchChange<K, V>[]): void {
    const memtable = this.#host.writable()
    if (!Array.isArray(changes)) throw invalid('batch: an array of { type, key, value } is expected.')
    this.#spec.assertCodec()
    // `from` passes over no hole.
    const checked = Array.from(changes as readonly BatchChange<K, V>[], (change) => {
      checkFields('batch', change, CHANGE_FIELDS)
      if (change.type !== 'put' && change.type !== 'del') {
        throw invalid(`batch: type is "put" or "del", not ${show((change as { type: unknown }).type)}.`)
      }
      const key = toMapKey(change.key)
      if (change.type === 'del') return { slot: this.#slotOf(key), key, point: tombstone(key) }
      const value = this.#spec.checkValue(change.value)
      const point = new Point(value, sizeOfChange(key, value), this.#due(change.ttlMs))
      return { slot: this.#slotOf(key), key, point }
    })
    batchWithin(this.#host.budget, memtable, this.#spec.codec.id, checked)
  }

  /**
   * The value of a key, buffered changes included; `undefined` when there is none. It may be shared with the store: treat it
   * as immutable.
   * @throws `INVALID_ARGUMENT` when the key or an option is wrong, or the table was written with another codec
   * @throws `CORRUPT`, `UNSUPPORTED_FORMAT`, `STORAGE_UNAVAILABLE` or `VERSION_EXPIRED` when the value cannot be read
   */
  async get(key: K, options?: ReadOptions): Promise<V | undefined> {
    const mapKey = toMapKey(key)
    if (options) await this.#catchUp(options)
    const view = this.#host.view()
    const found = this.#find(view, mapKey)
    if (!isPromise(found)) return this.#valueOf(key, found)
    const answer = (record: Found): V | undefined => this.#valueOf(key, record)
    return this.#again(view, found.then(answer), (newer) => this.#answer(newer, mapKey, answer))
  }

  /**
   * The value of a key, as `get` has it, from memory alone. In a store that is opened with `resident` it always answers.
   * @throws as `get`: `INVALID_ARGUMENT`, `CORRUPT`; `NOT_RESIDENT` when a block would have to be loaded
   */
  getSync(key: K): V | undefined {
    const view = this.#host.view()
    const mapKey = toMapKey(key)
    const slot = this.#slotOf(mapKey)
    this.#host.readSet?.key(slot, mapKey)
    const found = lookUp(view, slot, mapKey, this.#spec.isShared)
    if (found instanceof Missing) {
      throw new TidemarkError('NOT_RESIDENT', `The value of key ${show(key)} is not in memory; use get().`)
    }
    return this.#valueOf(key, found)
  }

  /**
   * The values of several keys, all as of one version, in the order in which the keys are given.
   * @throws as `get`: `INVALID_ARGUMENT`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   * @example
   *     const [first, third] = await store.getMany(['o-1', 'o-3'])
   */
  async getMany(keys: readonly K[], options?: ReadOptions): Promise<(V | undefined)[]> {
    if (!Array.isArray(keys)) throw invalid('getMany: an array of keys is expected.')
    // All keys first: a read that is under way when a key is refused would fail unheard.
    const mapKeys = Array.from(keys as readonly K[], toMapKey)
    if (options) await this.#catchUp(options)
    const answers = mapKeys.map((key, i) => [key, (record: Found) => this.#valueOf(keys[i] as K, record)] as const)
    return this.#read((view) => Promise.all(answers.map(async ([key, answer]) => this.#answer(view, key, answer))))
  }

  /**
   * Whether the key is there, buffered changes included.
   * @throws `INVALID_ARGUMENT` when the key or an option is wrong
   * @throws `CORRUPT`, `UNSUPPORTED_FORMAT`, `STORAGE_UNAVAILABLE` or `VERSION_EXPIRED` when that cannot be read
   */
  async has(key: K, options?: ReadOptions): Promise<boolean> {
    const mapKey = toMapKey(key)
    if (options) await this.#catchUp(options)
    return this.#read((view) => this.#answer(view, mapKey, (record) => this.#isLive(record)))
  }

  #catchUp(options: ReadOptions): Promise<void> | false {
    return checkRead(options).fresh && this.#host.catchUp()
  }

  #read<T>(read: (view: View) => T | Promise<T>): T | Promise<T> {
    const view = this.#host.view()
    const found = read(view)
    return isPromise(found) ? this.#again(view, found as Promise<T>, read) : found
  }

  /** Reads once more when what is `reading` was collected meanwhile and the handle has caught up since. */
  #again<T>(view: View, reading: Promise<T>, read: (view: View) => T | Promise<T>): Promise<T> {
    return reading.catch((error: unknown) => {
      if (!isExpired(error) || this.#host.view().state === view.state) throw error
      return this.#read(read)
    })
  }

  /** Out of memory it is answered in this very turn: a put that follows may change a point that was found. */
  #answer<T>(view: View, key: MapKey, answer: (record: Found) => T): T | Promise<T> {
    const found = this.#find(view, key)
    return isPromise(found) ? found.then(answer) : answer(found)
  }

  #find(view: View, key: MapKey): Found | Promise<Found> {
    const slot = this.#slotOf(key)
    this.#host.readSet?.key(slot, key)
    const found = lookUp(view, slot, key, this.#spec.isShared, AT_ONCE)
    if (!(found instanceof Missing)) return found
    // No memtable knows the key now, and what is written to one later is no business of this read.
    const loading = this.#load({ ...view, memtables: [] }, slot, key)
    this.#host.hold(view.state!, loading)
    return loading
  }

  async #load(under: View, slot: Slot, key: MapKey): Promise<Found> {
    for (let view = under; ;) {
      try {
        return await lookUpLoading(view, slot, key, this.#spec.isShared)
      } catch (error) {
        view = await this.#host.repair(view, error)
      }
    }
  }

  #isLive(record: Found): record is Point | StoredRecord {
    if (record === undefined) return false
    if (!(record instanceof Point)) {
      if (record.bytes === undefined) return false
    } else {
      if (record.deleted) return false
      // No entry was built of it yet, so it has no time of expiry.
      if (record.due > 0 && record.expires === 0) return this.#host.monotonic() < record.due
    }
    return record.expires === 0 || record.expires > this.#host.now()
  }

  #valueOf(key: unknown, record: Found): V | undefined {
    return this.#isLive(record) ? this.#decode(key, record) : undefined
  }

  /** The record is live. */
  #decode(key: unknown, record: Point | StoredRecord): V {
    const { decode, isShared, name } = this.#spec
    try {
      return (record.value ? record.value(decode, isShared) : decode(record.bytes!)) as V
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'CORRUPT') throw error
      const where = name === '' ? '' : ` in table ${show(name)}`
      throw corrupt(`The value of key ${show(key)}${where} cannot be read. ${error.message}`, error)
    }
  }

  /**
   * Keys and values in key order over all partitions, as of the first `next()`: later writes do not show. Values may be shared
   * with the store: treat them as immutable.
   *
   * @throws `INVALID_ARGUMENT` when a bound or an option is wrong, or the table was written with another codec
   * @throws `ABORTED` by the signal
   * @example
   *     for await (const [key, value] of store.entries({ prefix: 'o-', limit: 10 })) console.log(key, value)
   */
  entries(options: ScanOptions<K> = {}): AsyncIterableIterator<[K, V]> {
    return this.#iterate(options, (key, record) => [key, this.#decode(key, record)])
  }

  /**
   * The keys alone, as `entries` has them. No value is decoded or copied; blocks hold keys and values, and are read whole.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  keys(options: ScanOptions<K> = {}): AsyncIterableIterator<K> {
    return this.#iterate(options, (key) => key)
  }

  /**
   * The values alone, in the order of their keys.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  values(options: ScanOptions<K> = {}): AsyncIterableIterator<V> {
    return this.#iterate(options, (key, record) => this.#decode(key, record))
  }

  #iterate<T>(options: ScanOptions<K>, map: (key: K, record: Point | StoredRecord) => T): AsyncIterableIterator<T> {
    const checked = checkScan(options as ScanOptions<never>)
    const bounds = keyBounds(options as RangeOptions<Key>)
    const prefixLength = this.#slots[0]!.prefix.length
    const toItem = (keyed: KeyedRecord): T | undefined => {
      const record = keyed instanceof MemtableRecord ? keyed.point : keyed
      return this.#isLive(record) ? map(decodeKey(keyed.key, prefixLength) as K, record) : undefined
    }
    return new Scan(this.#host, this.#slots, { ...checked, bounds, signal: options.signal }, toItem)
  }
}

/**
 * The partition of a key among `partitions`, as docs/format.md defines it.
 * @throws `INVALID_ARGUMENT` when the key is wrong
 */
export function partitionOf(key: Key, partitions: number): number {
  return hashMapKey(toMapKey(key)) % partitions
}
