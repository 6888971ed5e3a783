/** The reads and writes of one table: of the whole store, or seen through one partition. */
import { toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { checkFields, invalid, show } from '../errors.js'
import type { Memtable } from '../engine/memtable.js'
import { Point } from '../engine/point.js'
import type { CommitResult } from '../engine/write/requests.js'
import { Index } from './index-reads.js'
import type { Live } from './watching/live.js'
import { isEmptyRange, slotRange } from './bounds.js'
import { checkRange, keyBounds, type LiveOptions, type RangeOptions } from './range.js'
import { Reads } from './reads.js'
import { batchWithin, deleteWithin, putWithin, sizeOfChange, tombstone, type PointChange } from './size.js'
import type { TableHost } from './table-host.js'
import { checkTtl } from './table-checks.js'
import { type BatchChange, type PutOptions } from './table-options.js'
import type { WatchListener, WatchOptions } from './watching/watch.js'

const NO_OPTIONS: PutOptions = {}
const PUT_OPTIONS = new Set(['ttlMs'])
const CHANGE_FIELDS = new Set(['type', 'key', 'value', 'ttlMs'])

/**
 * The reads and writes of one table. `put`, `delete` and their like are buffered, read back at once, and durable when
 * `store.commit()` resolves; `set`, `remove`, `update`, `write` and `touch` commit by themselves, and leave the buffer alone.
 *
 * Every call throws, or rejects with, `CLOSED` once the store is closed.
 */
export class Table<K extends Key = Key, V = unknown> extends Reads<K, V> {
  /**
   * Buffers a value, which belongs to the store from here on and must not be changed any more.
   *
   * @throws `INVALID_ARGUMENT` when the key or an option is wrong, or the value does not fit the schema
   * @throws `QUOTA` when the change goes beyond `maxUncommittedBytes`
   * @throws `READ_ONLY` in a follower or a snapshot
   * @example
   *     store.put('o-1', { total: 12 }, { ttlMs: 60_000 })
   *     await store.commit()
   */
  put(key: K, value: V, options: PutOptions = NO_OPTIONS): void {
    const memtable = this.host.writable()
    if (options !== NO_OPTIONS) checkFields('put', options, PUT_OPTIONS)
    const mapKey = toMapKey(key)
    const checked = this.spec.checkValue(value)
    const { id } = this.spec
    putWithin(this.host.budget, memtable, id, this.slotOf(mapKey), mapKey, checked, this.#due(options.ttlMs))
  }

  /** When a value that is put now has lived long enough, on the monotonic clock; 0: never. */
  #due(ttlMs: number | undefined): number {
    const ttl = ttlMs === undefined ? this.spec.ttlMs : checkTtl('ttlMs', ttlMs)
    return ttl > 0 ? this.host.monotonic() + ttl : 0
  }

  /**
   * Buffers the removal of a key; one that does not exist is fine.
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`
   */
  delete(key: K): void {
    const memtable = this.host.writable()
    this.spec.assertCodec()
    const mapKey = toMapKey(key)
    const change = { slot: this.slotOf(mapKey), key: mapKey, point: tombstone(mapKey) }
    batchWithin(this.host.budget, memtable, this.spec.id, [change])
  }

  /**
   * Buffers the removal of all keys in a range, as one record, whatever the range covers.
   * @throws as `put`: `QUOTA`, `READ_ONLY`; `INVALID_ARGUMENT` when a bound is wrong, or there
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
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`
   */
  clear(): void {
    this.#deleteBounds({})
  }

  #deleteBounds(range: RangeOptions<K>): void {
    const memtable = this.host.writable()
    this.spec.assertCodec()
    const bounds = keyBounds(range as RangeOptions<Key>)
    if (isEmptyRange(bounds)) return
    const ranges = this.ownSlots.map((slot) => ({ slot, range: slotRange(slot, bounds) }))
    deleteWithin(this.host.budget, memtable, this.spec.id, ranges)
  }

  /**
   * Buffers several changes: all of them, or none when one is refused.
   *
   * @throws as `put`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`
   * @example
   *     store.batch([{ type: 'put', key: 'a', value: 1 }, { type: 'del', key: 'b' }])
   */
  batch(changes: readonly BatchChange<K, V>[]): void {
    const memtable = this.host.writable()
    this.#lay(memtable, this.#checked('batch', changes))
  }

  #checked(what: string, changes: readonly BatchChange<K, V>[]): PointChange[] {
    if (!Array.isArray(changes)) throw invalid(`${what}: an array of { type, key, value } is expected.`)
    this.spec.assertCodec()
    // `from` passes over no hole.
    return Array.from(changes as readonly BatchChange<K, V>[], (change) => {
      checkFields(what, change, CHANGE_FIELDS)
      if (change.type !== 'put' && change.type !== 'del') {
        throw invalid(`${what}: type is "put" or "del", not ${show((change as { type: unknown }).type)}.`)
      }
      const key = toMapKey(change.key)
      if (change.type === 'del') return { slot: this.slotOf(key), key, point: tombstone(key) }
      const value = this.spec.checkValue(change.value)
      const point = new Point(value, sizeOfChange(key, value), this.#due(change.ttlMs))
      return { slot: this.slotOf(key), key, point }
    })
  }

  #lay(memtable: Memtable, changes: readonly PointChange[]): void {
    batchWithin(this.host.budget, memtable, this.spec.id, changes)
  }

  /**
   * Puts a value and makes it durable, in one: nothing that is buffered goes along. Many of these at once share a write. In
   * shared mode the last one counts; a change that depends on the value before is for `update()`.
   *
   * Inside a transaction, and on the `state` of `consume()`, this and its like join the changes that are committed there.
   * @returns the version that has it, the bytes that were written for it, and the storage requests that this took
   * @throws as `put` and `commit`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`, `STORAGE_UNAVAILABLE`
   * @example
   *     await store.set('theme', 'dark')
   */
  async set(key: K, value: V, options: PutOptions = NO_OPTIONS): Promise<CommitResult> {
    checkFields('set', options, PUT_OPTIONS)
    return this.#commit('set', [{ ...options, type: 'put', key, value }])
  }

  /**
   * Removes a key and makes that durable; one that does not exist is fine.
   * @throws as `set`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`, `STORAGE_UNAVAILABLE`
   */
  remove(key: K): Promise<CommitResult> {
    return this.#commit('remove', [{ type: 'del', key }])
  }

  /**
   * A batch of its own: all of its changes become durable as one, or none. What is wrong with them fails this call alone.
   * @throws as `set`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`, `STORAGE_UNAVAILABLE`
   * @example
   *     await store.write([{ type: 'put', key: 'a', value: 1 }, { type: 'del', key: 'b' }])
   */
  write(changes: readonly BatchChange<K, V>[]): Promise<CommitResult> {
    return this.#commit('write', changes)
  }

  async #commit(what: string, changes: readonly BatchChange<K, V>[]): Promise<CommitResult> {
    const checked = this.#checked(what, changes)
    return this.host.commitOwn((memtable) => this.#lay(memtable, checked))
  }

  /**
   * Reads, changes and commits one key as a transaction: when somebody else changes the store meanwhile, `change` is called
   * again with what is there then, until it counts. It gets a copy of its own, or `undefined` where there is no value, and
   * returns the new value; `undefined` deletes the key. As a `put` it sets the time to live anew.
   * @returns what `change` returned last
   * @throws what `change` throws; as `set`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`
   * @example
   *     await store.update('visits', (n = 0) => n + 1)
   */
  async update<R extends V | undefined>(
    key: K,
    change: (before: V | undefined) => R | Promise<R>,
    options: PutOptions = NO_OPTIONS,
  ): Promise<R> {
    if (typeof change !== 'function') throw invalid('update: a function is expected.')
    checkFields('update', options, PUT_OPTIONS)
    return this.#transact(async (table) => {
      const before = await table.get(key)
      const { host } = table
      const after = await (host.calls ? host.calls(() => change(before)) : change(before))
      if (after !== undefined) table.put(key, after, options)
      else if (before !== undefined) table.delete(key)
      return after
    })
  }

  /**
   * Gives a value another time to live, counted from now, and makes that durable. Without `ttlMs` it is that of the table.
   * @returns whether there is such a value
   * @throws as `set`: `INVALID_ARGUMENT`, `QUOTA`, `READ_ONLY`, `FENCED`, `UNKNOWN_OUTCOME`, `STORAGE_UNAVAILABLE`
   * @example
   *     await sessions.touch(id, { ttlMs: 3_600_000 })
   */
  async touch(key: K, options: PutOptions = NO_OPTIONS): Promise<boolean> {
    checkFields('touch', options, PUT_OPTIONS)
    const mapKey = toMapKey(key)
    this.#due(options.ttlMs)
    return this.#transact((table) => table.#touch(mapKey, options))
  }

  async #touch(key: MapKey, { ttlMs }: PutOptions): Promise<boolean> {
    const found = await this.liveRecord(key)
    if (found === undefined) return false
    const memtable = this.host.writable()
    this.spec.assertCodec()
    // The same bytes: neither schema nor codec have a say.
    const point = found.bytes ? Point.stored(found.bytes, 0) : new Point((found as Point).value(this.spec.decode))
    point.size = sizeOfChange(key) + (found.bytes?.length ?? 0)
    point.due = this.#due(ttlMs)
    this.#lay(memtable, [{ slot: this.slotOf(key), key, point }])
    return true
  }

  /**
   * The table in the order of one of its indexes.
   * @throws `INVALID_ARGUMENT` when the table was not opened with such an index, or it cannot be built of the rows that are there
   * @example
   *     const todos = store.table<string, Todo>('todos', { indexes: { byDue: (todo) => todo.due } })
   *     const next = await todos.index<Date>('byDue').first({ gte: today })
   */
  index<I extends Key = Key>(name: string): Index<I, K, V> {
    const { host, spec, slots } = this
    if (spec.unbuildable) throw spec.unbuildable
    if (!spec.indexes.has(name)) throw invalid(`index: ${spec.title} was not opened with an index "${name}".`)
    const rows = (still: TableHost, partition: number): Table<K, V> => new Table(still, spec, partition)
    return new Index<I, K, V>({ host, spec, slots, name, rows: rows as never })
  }

  /**
   * Calls `listener` after each new version with what it changed in the table, in a range of it, or of one key, in order and
   * one call at a time: a promise that it returns is waited for.
   *
   * That something expires is not told, and so a key that has expired and is then written has no `before`, and one that is
   * then deleted is not told at all. Partitions are not named: the same key in two of them is told twice. A table that was
   * written with another codec than the default one has to be opened with it; until then there are warnings, and afterwards
   * the watch goes on from where it was.
   * @returns a function that stops it
   * @throws `INVALID_ARGUMENT` when an option or the listener is wrong, and in a snapshot or a transaction
   * @example
   *     const stop = todos.watch({ prefix: 'home-' }, (changes) => changes.forEach(({ key, after }) => show(key, after)))
   *     store.watch<number, User>({ table: 'users', key: 7 }, …) // of another table
   */
  watch(listener: WatchListener<K, V>): () => void
  watch<K2 extends Key = Key, V2 = unknown>(
    options: WatchOptions<NoInfer<K2>> & { readonly table: string },
    listener: WatchListener<K2, V2>,
  ): () => void
  watch<K2 extends Key = K, V2 = V>(options: WatchOptions<NoInfer<K2>>, listener: WatchListener<K2, V2>): () => void
  watch(options: unknown, listener?: unknown): () => void {
    return this.host.observers.watch(this.spec, this.slots, options, listener)
  }

  /**
   * The entries of the table, or of a range of it, now and from now on: what is committed, by this handle and by others. What
   * expires is dropped. With a `limit` they are the first ones. It reads the range once, and then what changes.
   * @throws `INVALID_ARGUMENT` when an option is wrong, and in a snapshot or a transaction
   * @example
   *     const live = todos.live({ prefix: 'home-' })
   *     const stop = live.subscribe(() => render(live.current))
   *     store.live<number, User>({ table: 'users', limit: 10 }) // of another table
   */
  live<K2 extends Key = Key, V2 = unknown>(
    options: LiveOptions<NoInfer<K2>> & { readonly table: string },
  ): Live<readonly [K2, V2]>
  live<K2 extends Key = K, V2 = V>(options?: LiveOptions<NoInfer<K2>>): Live<readonly [K2, V2]>
  live<K2 extends Key, V2>(options: LiveOptions<NoInfer<K2>> = {}): Live<readonly [K2, V2]> {
    return this.host.observers.live(this.spec, this.slots, options)
  }

  /** Values that it reads are its own. */
  #transact<T>(change: (table: Table<K, V>) => Promise<T>): Promise<T> {
    return this.host.transact((host: TableHost) => change(new Table(host, this.spec, this.partitionNumber, false)))
  }
}
