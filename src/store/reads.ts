/** The reads of one table: of the whole store, or seen through one partition. */
import { hashMapKey, decodeKey, toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { isPromise } from '../callback.js'
import { TidemarkError, corrupt, invalid, isExpired, isTidemarkError, show } from '../errors.js'
import type { KeyedRecord, StoredRecord } from '../segment/record.js'
import { Point, MemtableRecord } from '../engine/point.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import { AT_ONCE, lookUp, lookUpLoading, Missing, type View } from '../engine/read.js'
import { Entries } from './entries.js'
import { checkRead, checkScan, keyBounds, type RangeOptions, type ReadOptions, type ScanOptions } from './range.js'
import { Scan } from './scan.js'
import type { TableHost } from './table-host.js'
import type { TableSpec } from './table-spec.js'

/** The outcome of a look-up. */
type Found = Point | StoredRecord | undefined

/**
 * The reads of one table.
 *
 * Every call throws, or rejects with, `CLOSED` once the store is closed. Reads of what is not in memory reject with
 * `CORRUPT` or `UNSUPPORTED_FORMAT` when stored bytes are damaged or newer than this release, with `STORAGE_UNAVAILABLE`
 * when the storage does not answer, and with `VERSION_EXPIRED` when others have collected what was being read.
 */
export class Reads<K extends Key = Key, V = unknown> extends Entries<ScanOptions<K>, [K, V]> {
  /** @internal */
  protected readonly host: TableHost
  /** @internal */
  protected readonly spec: TableSpec
  /**
   * One per partition that this table looks at.
   * @internal
   */
  protected readonly slots: readonly Slot[]

  /** @internal */
  constructor(
    host: TableHost,
    spec: TableSpec,
    /** @internal */
    protected readonly partitionNumber: number | undefined,
    /** @internal */
    protected readonly isShared = spec.isShared,
  ) {
    super()
    this.host = host
    this.spec = spec
    this.slots =
      partitionNumber === undefined
        ? Array.from({ length: host.partitions }, (_, i) => makeSlot(i, spec.bytes))
        : [makeSlot(partitionNumber, spec.bytes)]
  }

  /** @internal */
  protected slotOf(key: MapKey): Slot {
    const { slots, host } = this
    const slot = slots.length === 1 ? slots[0]! : slots[hashMapKey(key) % slots.length]!
    const { own } = host
    if (own && (slot.partition < own.first || slot.partition > own.last)) throw outside(slot, own)
    return slot
  }

  /**
   * The slots of the partitions that its shard has.
   * @internal
   */
  protected get ownSlots(): readonly Slot[] {
    const { slots, host } = this
    const { own } = host
    if (own === undefined) return slots
    const mine = slots.filter(({ partition }) => own.first <= partition && partition <= own.last)
    if (mine.length === 0) throw outside(slots[0]!, own)
    return mine
  }

  /**
   * The value of a key, buffered changes included; `undefined` when there is none. It may be shared with the store: treat it
   * as immutable. `update()` gets a copy to change, and with `freeze: true` in development and tests a change throws.
   * @throws `INVALID_ARGUMENT` when the key or an option is wrong, or the table was written with another codec
   * @throws `CORRUPT`, `UNSUPPORTED_FORMAT`, `STORAGE_UNAVAILABLE` or `VERSION_EXPIRED` when the value cannot be read
   */
  async get(key: K, options?: ReadOptions): Promise<V | undefined> {
    const mapKey = toMapKey(key)
    if (options !== undefined) await this.#catchUp(options)
    const view = this.host.view()
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
    const view = this.host.view()
    const mapKey = toMapKey(key)
    const slot = this.slotOf(mapKey)
    this.host.readSet?.key(slot, mapKey)
    const found = lookUp(view, slot, mapKey, this.isShared)
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
    if (options !== undefined) await this.#catchUp(options)
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
    if (options !== undefined) await this.#catchUp(options)
    return this.#read((view) => this.#answer(view, mapKey, (record) => isLive(record, this.host)))
  }

  /**
   * How long the value of a key lives from now on, in milliseconds; `undefined` when it lives for ever, or there is none.
   * @throws as `get`: `INVALID_ARGUMENT`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  async ttl(key: K, options?: ReadOptions): Promise<number | undefined> {
    const mapKey = toMapKey(key)
    if (options !== undefined) await this.#catchUp(options)
    const found = await this.liveRecord(mapKey)
    if (found === undefined) return undefined
    // One that no entry was built of yet has no time of expiry.
    if (found.expires === 0)
      return found instanceof Point && found.due > 0 ? Math.ceil(found.due - this.host.monotonic()) : undefined
    return found.expires - this.host.now()
  }

  /**
   * The record of a key, unless it is deleted or has expired.
   * @internal
   */
  protected async liveRecord(key: MapKey): Promise<Point | StoredRecord | undefined> {
    return this.#read((view) => this.#answer(view, key, (record) => (isLive(record, this.host) ? record : undefined)))
  }

  #catchUp(options: ReadOptions): Promise<void> | false {
    return checkRead(options).fresh && this.host.catchUp()
  }

  #read<T>(read: (view: View) => T | Promise<T>): T | Promise<T> {
    const view = this.host.view()
    const found = read(view)
    return isPromise(found) ? this.#again(view, found as Promise<T>, read) : found
  }

  /** Reads once more when what is `reading` was collected meanwhile and the handle has caught up since. */
  #again<T>(view: View, reading: Promise<T>, read: (view: View) => T | Promise<T>): Promise<T> {
    return reading.catch((error: unknown) => {
      if (!isExpired(error) || this.host.view().state === view.state) throw error
      return this.#read(read)
    })
  }

  /** Out of memory it is answered in this very turn: a put that follows may change a point that was found. */
  #answer<T>(view: View, key: MapKey, answer: (record: Found) => T): T | Promise<T> {
    const found = this.#find(view, key)
    return isPromise(found) ? found.then(answer) : answer(found)
  }

  #find(view: View, key: MapKey): Found | Promise<Found> {
    const slot = this.slotOf(key)
    this.host.readSet?.key(slot, key)
    const found = lookUp(view, slot, key, this.isShared, AT_ONCE)
    if (!(found instanceof Missing)) return found
    // No memtable knows the key now, and what is written to one later is no business of this read.
    const loading = this.#load({ ...view, memtables: [] }, slot, key)
    this.host.hold(view.state!, loading)
    return loading
  }

  async #load(under: View, slot: Slot, key: MapKey): Promise<Found> {
    for (let view = under; ;) {
      try {
        return await lookUpLoading(view, slot, key, this.isShared)
      } catch (error) {
        view = await this.host.repair(view, error)
      }
    }
  }

  #valueOf(key: unknown, record: Found): V | undefined {
    return isLive(record, this.host) ? this.#decode(key, record) : undefined
  }

  /** The record is live. */
  #decode(key: unknown, record: Point | StoredRecord): V {
    const { isShared } = this
    const { decode, name } = this.spec
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

  /**
   * How many keys there are in a range.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   * @example
   *     const orders = await store.count({ prefix: 'o-' })
   */
  async count(options?: ScanOptions<K>): Promise<number> {
    let count = 0
    for await (const _ of this.keys(options)) count++
    return count
  }

  #iterate<T>(options: ScanOptions<K>, map: (key: K, record: Point | StoredRecord) => T): AsyncIterableIterator<T> {
    const checked = checkScan(options as ScanOptions<never>)
    const bounds = keyBounds(options as RangeOptions<Key>)
    const prefixLength = this.slots[0]!.prefix.length
    const toItem = (keyed: KeyedRecord): T | undefined => {
      const record = keyed instanceof MemtableRecord ? keyed.point : keyed
      return isLive(record, this.host) ? map(decodeKey(keyed.key, prefixLength) as K, record) : undefined
    }
    return new Scan(this.host, this.ownSlots, { ...checked, bounds, signal: options.signal }, toItem)
  }
}

/**
 * The partition of a key among `partitions`, as docs/format.md defines it.
 * @throws `INVALID_ARGUMENT` when the key is wrong
 */
export function partitionOf(key: Key, partitions: number): number {
  return hashMapKey(toMapKey(key)) % partitions
}

/** Whether there is a value, which has not expired. */
export function isLive(record: Found, host: Pick<TableHost, 'monotonic' | 'now'>): record is Point | StoredRecord {
  if (record === undefined) return false
  if (!(record instanceof Point)) {
    if (record.bytes === undefined) return false
  } else {
    if (record.deleted) return false
    // No entry was built of it yet, so it has no time of expiry.
    if (record.due > 0 && record.expires === 0) return host.monotonic() < record.due
  }
  return record.expires === 0 || record.expires > host.now()
}

function outside({ partition }: Slot, { first, last }: NonNullable<TableHost['own']>): Error {
  return invalid(
    `Partition ${partition} is not in the shard of this handle, which has ${first} to ${last}: open the store with shard: ${partition}.`,
  )
}
