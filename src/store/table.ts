/** The reads and writes of one table: of the whole store, or seen through one partition. */
import { hashMapKey, decodeKey, mapKeyToKey, toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { isPromise } from '../callback.js'
import { TidemarkError, checkFields, corrupt, invalid, isExpired, isTidemarkError, show } from '../errors.js'
import type { KeyedRecord, StoredRecord } from '../segment/record.js'
import { Point, MemtableRecord, sizeOfRange, type Memtable } from '../engine/memtable.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import { lookUp, lookUpLoading, Missing, type View } from '../engine/read.js'
import { Iteration } from './iteration.js'
import {
  checkRange,
  checkScan,
  isEmptyRange,
  isFresh,
  keyBounds,
  slotRange,
  type RangeOptions,
  type ReadOptions,
  type ScanOptions,
} from './range.js'
import { Scans } from './scan.js'
import { sizeOfChange } from './size.js'
import type { TableHost } from './table-host.js'
import { checkTtl, type TableSpec } from './table-spec.js'

export interface PutOptions {
  /** How long the value lives from now on, in milliseconds. */
  readonly ttlMs?: number | undefined
}

export type BatchChange<K, V> =
  | { readonly type: 'put'; readonly key: K; readonly value: V; readonly ttlMs?: number | undefined }
  | { readonly type: 'del'; readonly key: K }

const NO_OPTIONS: PutOptions = {}
const PUT_OPTIONS = new Set(['ttlMs'])
const CHANGE_FIELDS = new Set(['type', 'key', 'value', 'ttlMs'])

/** Reads and writes; what is written is buffered until `commit`, and read back at once. */
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

  /** Buffers a value; it belongs to the store from here on and must not be changed any more. */
  put(key: K, value: V, options: PutOptions = NO_OPTIONS): void {
    const memtable = this.#host.writable()
    if (options !== NO_OPTIONS) checkFields('put', options, PUT_OPTIONS)
    const mapKey = toMapKey(key)
    this.#set(memtable, mapKey, this.#point(mapKey, value, options.ttlMs))
  }

  #point(key: MapKey, value: V, ttlMs: number | undefined): Point {
    const checked = this.#spec.checkValue(value)
    const point = Point.put(checked)
    point.size = sizeOfChange(key, checked)
    const ttl = ttlMs === undefined ? this.#spec.ttlMs : checkTtl(ttlMs)
    if (ttl > 0) {
      point.ttl = ttl
      point.putAt = this.#host.monotonic()
    }
    return point
  }

  /** Buffers the removal of a key; one that does not exist is fine. */
  delete(key: K): void {
    const memtable = this.#host.writable()
    this.#spec.assertCodec()
    const mapKey = toMapKey(key)
    this.#set(memtable, mapKey, tombstone(mapKey))
  }

  #set(memtable: Memtable, key: MapKey, point: Point): void {
    const slot = this.#slotOf(key)
    const { budget } = this.#host
    if (memtable.size + point.size > budget) checkGrowth(memtable, memtable.growth(slot, key, point), budget)
    memtable.set(slot, this.#spec.codec.id, key, point)
  }

  /** Buffers the removal of all keys in a range; at least one bound is needed. One record, whatever it covers. */
  deleteRange(range: RangeOptions<K>): void {
    checkRange(range as RangeOptions<never>)
    this.#deleteBounds(range)
  }

  /** Buffers the removal of every key of this table. */
  clear(): void {
    this.#deleteBounds({})
  }

  #deleteBounds(range: RangeOptions<K>): void {
    const memtable = this.#host.writable()
    this.#spec.assertCodec()
    const bounds = keyBounds(range as RangeOptions<Key>)
    if (isEmptyRange(bounds)) return
    const ranges = this.#slots.map((slot) => slotRange(slot, bounds))
    const deleteFrom = (from: Memtable): void =>
      this.#slots.forEach((slot, i) => from.deleteRange(slot, this.#spec.codec.id, ranges[i]!))
    const { budget } = this.#host
    if (ranges.reduce((sum, range) => sum + sizeOfRange(range), memtable.size) > budget) {
      // What goes may be more than what comes; so near the bound that is tried on a copy.
      const copy = memtable.copy()
      deleteFrom(copy)
      checkGrowth(memtable, copy.size - memtable.size, budget)
    }
    deleteFrom(memtable)
  }

  /** Buffers several changes, all or none of them. */
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
      return { key, point: change.type === 'put' ? this.#point(key, change.value, change.ttlMs) : tombstone(key) }
    })
    const { budget } = this.#host
    if (checked.reduce((sum, { point }) => sum + point.size, memtable.size) > budget) {
      // Of changes of one key the last one counts.
      const last = new Map(checked.map(({ key, point }) => [key, point]))
      let growth = 0
      for (const [key, point] of last) growth += memtable.growth(this.#slotOf(key), key, point)
      checkGrowth(memtable, growth, budget)
    }
    for (const { key, point } of checked) memtable.set(this.#slotOf(key), this.#spec.codec.id, key, point)
  }

  /** The value, or `undefined`. It may be shared with the store: treat it as immutable. */
  async get(key: K, options?: ReadOptions): Promise<V | undefined> {
    const mapKey = toMapKey(key)
    if (options) await this.#look(options)
    return this.#valueOf(key, await this.#read((view) => this.#find(view, mapKey)))
  }

  /** The value from memory; throws `NOT_RESIDENT` when a block would have to be loaded. */
  getSync(key: K): V | undefined {
    const view = this.#host.view()
    const mapKey = toMapKey(key)
    const slot = this.#slotOf(mapKey)
    this.#host.readSet?.key(slot, mapKey)
    const found = lookUp(view, slot, mapKey)
    if (found instanceof Missing) {
      throw new TidemarkError('NOT_RESIDENT', `The value of key ${show(key)} is not in memory; use get().`)
    }
    return this.#valueOf(key, found)
  }

  /** The values of one version, in the order of the keys. */
  async getMany(keys: readonly K[], options?: ReadOptions): Promise<(V | undefined)[]> {
    if (!Array.isArray(keys)) throw invalid('getMany: an array of keys is expected.')
    // All keys first: a read that is under way when a key is refused would fail unheard.
    const mapKeys = Array.from(keys as readonly K[], toMapKey)
    if (options) await this.#look(options)
    const records = await this.#read((view) => Promise.all(mapKeys.map(async (key) => this.#find(view, key))))
    return records.map((record, i) => this.#valueOf(keys[i] as K, record))
  }

  /** Whether the key is there. */
  async has(key: K, options?: ReadOptions): Promise<boolean> {
    const mapKey = toMapKey(key)
    if (options) await this.#look(options)
    return this.#isLive(await this.#read((view) => this.#find(view, mapKey)))
  }

  #look(options: ReadOptions): Promise<void> | false {
    return isFresh(options) && this.#host.catchUp()
  }

  /** Reads what is there now; once more when that was collected meanwhile and the handle has looked since. */
  #read<T>(read: (view: View) => T | Promise<T>): T | Promise<T> {
    const view = this.#host.view()
    const found = read(view)
    if (!isPromise(found)) return found
    return (found as Promise<T>).catch((error: unknown) => {
      if (!isExpired(error) || this.#host.view().state === view.state) throw error
      return this.#read(read)
    })
  }

  #find(view: View, key: MapKey): Point | StoredRecord | undefined | Promise<Point | StoredRecord | undefined> {
    const slot = this.#slotOf(key)
    this.#host.readSet?.key(slot, key)
    const found = lookUp(view, slot, key)
    if (!(found instanceof Missing)) return found
    // No memtable knows the key now, and what is written to one later is no business of this read.
    const loading = this.#load({ ...view, memtables: [] }, slot, key)
    this.#host.hold(view.state!, loading)
    return loading
  }

  async #load(under: View, slot: Slot, key: MapKey): Promise<Point | StoredRecord | undefined> {
    for (let view = under; ;) {
      try {
        return await lookUpLoading(view, slot, key)
      } catch (error) {
        view = await this.#host.mend(view, error)
      }
    }
  }

  #isLive(record: Point | StoredRecord | undefined): record is Point | StoredRecord {
    if (record === undefined) return false
    if (!(record instanceof Point)) {
      if (record.bytes === undefined) return false
    } else {
      if (record.deleted) return false
      // No entry was built of it yet, so it has no time of expiry.
      if (record.ttl > 0 && record.expires === 0) return this.#host.monotonic() - record.putAt < record.ttl
    }
    return record.expires === 0 || record.expires > this.#host.now()
  }

  #valueOf(key: unknown, record: Point | StoredRecord | undefined): V | undefined {
    return this.#isLive(record) ? this.#decode(key, record) : undefined
  }

  /** Of a record that is live. */
  #decode(key: unknown, record: Point | StoredRecord): V {
    const { decode, name } = this.#spec
    try {
      return (record instanceof Point ? record.value(decode) : decode(record.bytes!)) as V
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'CORRUPT') throw error
      const where = name === '' ? '' : ` in table ${show(name)}`
      throw corrupt(`The value of key ${show(key)}${where} cannot be read. ${error.message}`, error)
    }
  }

  /** Keys and values in key order, as of the first `next()`: later writes do not show. */
  entries(options: ScanOptions<K> = {}): AsyncIterableIterator<[K, V]> {
    return this.#iterate(options, (key, record) => [key, this.#decode(key, record)])
  }

  /** The keys alone, as `entries` has them. No value is decoded or copied; blocks hold keys and values, and are read whole. */
  keys(options: ScanOptions<K> = {}): AsyncIterableIterator<K> {
    return this.#iterate(options, (key) => key)
  }

  /** The values alone, in the order of their keys. */
  values(options: ScanOptions<K> = {}): AsyncIterableIterator<V> {
    return this.#iterate(options, (key, record) => this.#decode(key, record))
  }

  #iterate<T>(options: ScanOptions<K>, map: (key: K, record: Point | StoredRecord) => T): AsyncIterableIterator<T> {
    const { reverse, limit, fresh } = checkScan(options as ScanOptions<never>)
    const bounds = keyBounds(options as RangeOptions<Key>)
    const prefixLength = this.#slots[0]!.prefix.length
    const scans = new Scans(this.#host, this.#slots, bounds, reverse, fresh)
    const toItem = (keyed: KeyedRecord): T | undefined => {
      const record = keyed instanceof MemtableRecord ? keyed.point : keyed
      return this.#isLive(record) ? map(decodeKey(keyed.key.subarray(prefixLength)) as K, record) : undefined
    }
    return new Iteration(scans, toItem, isEmptyRange(bounds) ? 0 : limit, options.signal)
  }
}

function tombstone(key: MapKey): Point {
  const point = Point.tombstone()
  point.size = sizeOfChange(key)
  return point
}

/** What makes the memtable no larger always goes through. */
function checkGrowth(memtable: Memtable, growth: number, budget: number): void {
  if (growth <= 0 || memtable.size + growth <= budget) return
  throw new TidemarkError(
    'QUOTA',
    `The change takes about ${growth} bytes, and maxUncommittedBytes leaves ${Math.max(0, budget - memtable.size)}. Nothing is lost: await commit() and go on.`,
  )
}

/** Gives every put of a memtable its bytes. Throws before anything is changed for the worse: what is encoded stays so. */
export function encodeMemtable(memtable: Memtable, specOf: (table: Uint8Array) => TableSpec): void {
  for (const { slot, points } of memtable.slots.values()) {
    const spec = specOf(slot.table)
    // Deletes too: an entry records the codec of each table that it changes.
    spec.assertCodec()
    for (const [key, point] of points) {
      if (point.deleted || point.bytes !== undefined) continue
      const value = point.value(spec.decode)
      point.seal(spec.encode(value, `key ${show(mapKeyToKey(key))}`), spec.comesBack(value))
    }
  }
}

/** The partition of a key among `partitions`, as docs/format.md defines it. */
export function partitionOf(key: Key, partitions: number): number {
  return hashMapKey(toMapKey(key)) % partitions
}
