/** The reads and writes of one table: of the whole store, or seen through one partition. */
import { hashMapKey, decodeKey, mapKeyToKey, toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { TidemarkError, invalid } from '../errors.js'
import type { KeyedRecord, StoredRecord } from '../segment/record.js'
import { Cell, LayerRecord, type Layer } from '../shard/layer.js'
import { Missing, type View } from '../shard/reads.js'
import { lookUpLoading } from '../shard/shard.js'
import { makeSlot, type Slot } from '../shard/slot.js'
import type { Cursor } from '../segment/cursor.js'
import { scan, lookUp } from '../shard/reads.js'
import { Iteration, PartitionsCursor } from './iterate.js'
import {
  checkRange,
  checkScan,
  isEmptyRange,
  keyBounds,
  slotRange,
  type RangeOptions,
  type ScanOptions,
} from './range.js'
import { checkTtl, type TableSpec } from './table-spec.js'

export interface PutOptions {
  /** How long the value lives from now on, in milliseconds. */
  readonly ttlMs?: number | undefined
}

export type BatchChange<K, V> =
  | { readonly type: 'put'; readonly key: K; readonly value: V; readonly ttlMs?: number | undefined }
  | { readonly type: 'del'; readonly key: K }

/** What a table needs of the store that it belongs to. */
export interface TableHost {
  readonly partitions: number
  /** Milliseconds that never step back. */
  monotonic(): number
  /** The time by which live reads judge expiry. */
  now(): number
  /** The layer that takes changes; throws when this handle may not write. */
  writable(): Layer
  /** What is to be read now; throws when the handle is closed. */
  view(): View
}

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
  put(key: K, value: V, options?: PutOptions): void {
    const layer = this.#host.writable()
    const mapKey = toMapKey(key)
    const cell = Cell.put(this.#spec.checkValue(value))
    const ttl = options?.ttlMs === undefined ? this.#spec.ttlMs : checkTtl(options.ttlMs)
    if (ttl > 0) {
      cell.ttl = ttl
      cell.putAt = this.#host.monotonic()
    }
    layer.set(this.#slotOf(mapKey), this.#spec.codec.id, mapKey, cell)
  }

  /** Buffers the removal of a key; one that does not exist is fine. */
  delete(key: K): void {
    const layer = this.#host.writable()
    const mapKey = toMapKey(key)
    layer.set(this.#slotOf(mapKey), this.#spec.codec.id, mapKey, Cell.tombstone())
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
    const layer = this.#host.writable()
    const bounds = keyBounds(range as RangeOptions<Key>)
    if (isEmptyRange(bounds)) return
    for (const slot of this.#slots) layer.deleteRange(slot, this.#spec.codec.id, slotRange(slot, bounds))
  }

  /** Buffers several changes, all or none of them. */
  batch(changes: readonly BatchChange<K, V>[]): void {
    this.#host.writable()
    if (!Array.isArray(changes)) throw invalid('batch: an array of { type, key, value } is expected.')
    for (const change of changes as readonly BatchChange<K, V>[]) {
      toMapKey(change.key)
      if (change.type === 'put') {
        this.#spec.checkValue(change.value)
        if (change.ttlMs !== undefined) checkTtl(change.ttlMs)
      } else if (change.type !== 'del') {
        throw invalid(`batch: type is "put" or "del", not ${JSON.stringify((change as { type: unknown }).type)}.`)
      }
    }
    for (const change of changes as readonly BatchChange<K, V>[]) {
      if (change.type === 'put') this.put(change.key, change.value, change)
      else this.delete(change.key)
    }
  }

  /** The value, or `undefined`. It may be shared with the store: treat it as immutable. */
  async get(key: K): Promise<V | undefined> {
    return this.#valueOf(await this.#find(this.#host.view(), toMapKey(key)))
  }

  /** The value from memory; throws `NOT_RESIDENT` when a block would have to be loaded. */
  getSync(key: K): V | undefined {
    const mapKey = toMapKey(key)
    const found = lookUp(this.#host.view(), this.#slotOf(mapKey), mapKey)
    if (found instanceof Missing) {
      throw new TidemarkError('NOT_RESIDENT', `${show(key)} is not in memory; use get(), or open the store resident.`)
    }
    return this.#valueOf(found)
  }

  /** The values of one version, in the order of the keys. */
  async getMany(keys: readonly K[]): Promise<(V | undefined)[]> {
    const mapKeys = keys.map(toMapKey)
    const view = this.#host.view()
    const found = await Promise.all(mapKeys.map(async (key) => this.#find(view, key)))
    return found.map((record) => this.#valueOf(record))
  }

  async has(key: K): Promise<boolean> {
    return this.#isLive(await this.#find(this.#host.view(), toMapKey(key)))
  }

  #find(view: View, key: MapKey): Cell | StoredRecord | undefined | Promise<Cell | StoredRecord | undefined> {
    const slot = this.#slotOf(key)
    const found = lookUp(view, slot, key)
    // No layer knows the key now, and what is written to one later is no business of this read.
    return found instanceof Missing ? lookUpLoading({ ...view, layers: [] }, slot, key) : found
  }

  #isLive(record: Cell | StoredRecord | undefined): record is Cell | StoredRecord {
    if (record === undefined) return false
    if (record instanceof Cell ? record.deleted : record.bytes === undefined) return false
    return record.expires === 0 || record.expires > this.#host.now()
  }

  #valueOf(record: Cell | StoredRecord | undefined): V | undefined {
    if (!this.#isLive(record)) return undefined
    const { decode } = this.#spec
    return (record instanceof Cell ? record.value(decode) : decode(record.bytes!)) as V
  }

  /** Keys and values in key order, as of the first `next()`: later writes do not show. */
  entries(options: ScanOptions<K> = {}): AsyncIterableIterator<[K, V]> {
    return this.#iterate(options, (key, record) => [key(), this.#valueOf(record) as V])
  }

  keys(options: ScanOptions<K> = {}): AsyncIterableIterator<K> {
    return this.#iterate(options, (key) => key())
  }

  values(options: ScanOptions<K> = {}): AsyncIterableIterator<V> {
    return this.#iterate(options, (_, record) => this.#valueOf(record) as V)
  }

  #iterate<T>(
    options: ScanOptions<K>,
    map: (key: () => K, record: Cell | StoredRecord) => T,
  ): AsyncIterableIterator<T> {
    const { reverse, limit } = checkScan(options as ScanOptions<never>)
    const bounds = keyBounds(options as RangeOptions<Key>)
    const prefixLength = this.#slots[0]!.prefix.length
    const start = (): Cursor | Promise<Cursor> => {
      const view = this.#host.view()
      // Scanning takes what the layers hold now, in all partitions in this very turn.
      const cursors = this.#slots.map((slot) => scan(view, slot, { ...slotRange(slot, bounds), reverse }))
      if (cursors.length === 1) return cursors[0]!
      return cursors.some((cursor) => cursor instanceof Promise)
        ? Promise.all(cursors.map(async (cursor) => cursor)).then(
            (all) => new PartitionsCursor(all, prefixLength, reverse),
          )
        : new PartitionsCursor(cursors as Cursor[], prefixLength, reverse)
    }
    const toItem = (keyed: KeyedRecord): T | undefined => {
      const record = keyed instanceof LayerRecord ? keyed.cell : keyed
      return this.#isLive(record) ? map(() => decodeKey(keyed.key.subarray(prefixLength)) as K, record) : undefined
    }
    return new Iteration(start, toItem, isEmptyRange(bounds) ? 0 : limit, options.signal)
  }
}

/** A key for an error message. */
function show(key: unknown): string {
  let text: string
  try {
    text = typeof key === 'bigint' ? `${key}n` : (JSON.stringify(key) ?? String(key))
  } catch {
    text = String(key)
  }
  return `key ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`
}

/** Gives every put of a layer its bytes. Throws before anything is changed for the worse: what is encoded stays so. */
export function encodeLayer(layer: Layer, specOf: (table: Uint8Array) => TableSpec): void {
  for (const { slot, points } of layer.slots.values()) {
    const spec = specOf(slot.table)
    for (const [key, cell] of points) {
      if (cell.deleted || cell.bytes !== undefined) continue
      cell.bytes = spec.encode(cell.value(spec.decode), show(mapKeyToKey(key)))
    }
  }
}

/** The partition of a key among `partitions`, as docs/format.md defines it. */
export function partitionOf(key: Key, partitions: number): number {
  return hashMapKey(toMapKey(key)) % partitions
}
