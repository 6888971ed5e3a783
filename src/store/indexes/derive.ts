/**
 * What a commit means for the indexes: computed when its entry is built, against the state that the entry follows. So commits
 * that share an entry see those before them, and one that is built at another number is computed anew.
 */
import { decodeKey, mapKeyToKey, toMapKey, type Key, type MapKey } from '../../bytes/keys.js'
import { equalBytes } from '../../bytes/compare.js'
import { isTidemarkError, type TidemarkError } from '../../errors.js'
import type { KeyedRecord, KeyRange } from '../../segment/record.js'
import { Memtable } from '../../engine/memtable.js'
import { MemtableRecord, Point } from '../../engine/point.js'
import { AT_ONCE, lookUp, lookUpLoading, Missing, viewOf, type View } from '../../engine/read.js'
import type { Slot } from '../../engine/slot.js'
import type { ShardState } from '../../engine/state.js'
import type { SegmentCache } from '../../segment/cache.js'
import { ALL_OF_SLOT, slotRange } from '../bounds.js'
import type { TableSpec } from '../table-spec.js'
import { Unbuildable, type Built } from './built.js'
import { isReady, isSame, keysOf } from './definition.js'
import { isOver, UniqueKeys } from './unique.js'
import { each } from './walk.js'
import {
  checksumOf,
  decodeRecord,
  decodeState,
  encodeRecord,
  encodeState,
  INDEX_CODEC,
  isOfUser,
  recordsSlot,
  rowKey,
  rowsSlot,
  stateKey,
  statesSlot,
  type IndexKeys,
  type IndexState,
  type RowRecord,
} from './layout.js'

/** So many rows are indexed by one entry. */
const ROWS_AT_ONCE = 4096

export interface Context {
  readonly cache: SegmentCache
  readonly partitions: number
  /** Asked after each row, it gives other tasks their turn now and then. */
  pace(): Promise<void> | undefined
  /** A table as the program has opened it, if it has. */
  spec(table: Uint8Array): TableSpec | undefined
}

/** The records and index rows of a state, under those that are being made. */
export class Derivation {
  readonly #ctx: Context
  readonly #state: ShardState
  /** By then a row may have expired. */
  readonly #time: number
  /** Uncommitted rows over those of the state. */
  readonly #under: readonly Memtable[]
  /** The changes to what indexes store, so far. */
  made = new Memtable()
  /** The same of the commit that is looked at. */
  #own = new Memtable()
  /** Whether keys of unique indexes are looked at: not when they are only read. */
  #isJudged = true
  /** What the index says of the first row that got a key which another one has. */
  #repeated: TidemarkError | undefined
  readonly #unique: UniqueKeys
  readonly built: Built[] = []

  constructor(ctx: Context, state: ShardState, time: number, under: readonly Memtable[] = []) {
    this.#ctx = ctx
    this.#state = state
    this.#time = time
    this.#under = under
    const made = (rows: Slot, key: MapKey): Point | undefined => this.#own.find(rows, key) ?? this.made.find(rows, key)
    this.#unique = new UniqueKeys(viewOf(state, [], ctx.cache), ctx.partitions, time, made)
  }

  get #view(): View {
    return viewOf(this.#state, [this.#own, this.made, ...this.#under], this.#ctx.cache)
  }

  /**
   * Makes the indexes ready for changes to these slots: drops those that the program does not know, and builds those that are not
   * there. Returns false when more has to be built than one entry takes; `made` goes into an entry of its own then.
   */
  async prepare(slots: Iterable<Slot>): Promise<boolean> {
    for (const slot of slots) {
      if (!isOfUser(slot.table)) continue
      const spec = this.#ctx.spec(slot.table)
      const state = await this.state(slot)
      const indexes = spec?.indexes ?? new Map<string, never>()
      if (indexes.size === 0) {
        if (state) this.#drop(slot, state, true)
        continue
      }
      if (state && isReady(spec!, state)) {
        if (state.indexes.size > indexes.size) this.#drop(slot, state, false, spec)
        continue
      }
      if (!(await this.#build(slot, spec!, state))) return false
    }
    this.#keep()
    return true
  }

  #keep(): void {
    this.made.absorb(this.#own)
    this.#own = new Memtable()
  }

  async state(slot: Slot): Promise<IndexState | undefined> {
    const found = await this.#find(statesSlot(slot.partition), stateKey(slot.table))
    return found && decodeState(found.bytes, 'The state of an index')
  }

  #put(...[slot, key, ...value]: [slot: Slot, key: MapKey, ...value: Parameters<typeof Point.stored>]): void {
    this.#own.set(slot, INDEX_CODEC, key, Point.stored(...value))
  }

  #delete(slot: Slot, key: MapKey): void {
    this.#own.set(slot, INDEX_CODEC, key, Point.tombstone())
  }

  #clear(slot: Slot): void {
    this.#own.deleteRange(slot, INDEX_CODEC, slotRange(slot, ALL_OF_SLOT))
  }

  /** Drops the indexes that `spec` does not have; all of them with `isWhole`. */
  #drop(slot: Slot, state: IndexState, isWhole: boolean, spec?: TableSpec): void {
    for (const name of state.indexes.keys()) if (!spec?.indexes.has(name)) this.#clear(rowsSlot(slot, name))
    if (isWhole) {
      this.#clear(recordsSlot(slot))
      this.#delete(statesSlot(slot.partition), stateKey(slot.table))
    } else {
      this.#setState(slot, spec!, state.upTo)
    }
  }

  #setState(slot: Slot, spec: TableSpec, upTo: Uint8Array | undefined): void {
    const { indexes, version } = spec
    this.#put(statesSlot(slot.partition), stateKey(slot.table), encodeState({ version, indexes, upTo }))
  }

  /** Indexes rows, from where the state says or anew. Returns whether all have their records now. */
  async #build(slot: Slot, spec: TableSpec, state: IndexState | undefined, most = ROWS_AT_ONCE): Promise<boolean> {
    const goesOn = state?.upTo !== undefined && isSame(spec, state)
    // Where no index was before there is nothing of one.
    if (state && !goesOn) {
      for (const name of new Set([...(state?.indexes.keys() ?? []), ...spec.indexes.keys()]))
        this.#clear(rowsSlot(slot, name))
      this.#clear(recordsSlot(slot))
    }
    const { lower, upper } = slotRange(slot, ALL_OF_SLOT)
    const prefix = slot.prefix.length
    const from = goesOn && state.upTo!.length > 0 ? state.upTo! : undefined
    const bounds = {
      lower: from ? slotRange(slot, { lower: from, upper: undefined }).lower : lower,
      upper,
      reverse: false,
    }
    let rows = 0
    let upTo: Uint8Array | undefined
    await each(this.#view, slot, bounds, (record) => {
      const key = record.key.subarray(prefix)
      // The row where it goes on was the last one.
      if (isGone(record) || isOver(record, this.#time) || (from && equalBytes(key, from))) return true
      if (rows === most) return false
      rows++
      upTo = key.slice()
      return this.#buildRow(slot, spec, decodeKey(key), record)
    })
    const isDone = rows < most
    this.#setState(slot, spec, isDone ? undefined : upTo)
    this.built.push({ spec, rows, isDone, repeated: this.#repeated })
    this.#repeated = undefined
    this.#keep()
    return isDone
  }

  async #buildRow(slot: Slot, spec: TableSpec, key: Key, record: KeyedRecord): Promise<boolean> {
    try {
      const { bytes, expires } = record
      const point = record instanceof MemtableRecord ? record.point : undefined
      const from = point ?? record
      const keys = keysOf(spec, key, from.value ? from.value(spec.decode, spec.isShared) : spec.decode(bytes!))
      await this.#add(slot, spec, key, { checksum: checksumOf(bytes), keys }, expires, point?.due ?? 0)
      await this.#ctx.pace()
      return true
    } catch (error) {
      if (isRefusal(error)) throw new Unbuildable(spec, error)
      throw error
    }
  }

  /**
   * What a read finds in the indexes of a table where `under` has uncommitted rows: the changes that those mean, and where an
   * index is not there, all of it.
   */
  async overlay(slots: readonly Slot[], spec: TableSpec): Promise<Memtable> {
    this.#isJudged = false
    for (const slot of slots) {
      const state = await this.state(slot)
      if (state && isReady(spec, state)) {
        const changes = new Memtable()
        for (const memtable of this.#under) changes.absorb(memtable, ({ id }) => id === slot.id)
        await this.add(changes)
        continue
      }
      for (const name of spec.indexes.keys()) this.#clear(rowsSlot(slot, name))
      await this.#build(slot, spec, undefined, Infinity).catch((error: unknown) => {
        throw error instanceof Unbuildable ? error.reason : error
      })
    }
    return this.made
  }

  /** Adds what a commit means. Throws `INVALID_ARGUMENT` when an index refuses it, and adds nothing then. */
  async add(changes: Memtable): Promise<void> {
    this.#own = new Memtable()
    this.#repeated = undefined
    const added: (() => Promise<void>)[] = []
    for (const { slot, points, ranges } of changes.slots.values()) {
      if (!isOfUser(slot.table)) continue
      const spec = this.#ctx.spec(slot.table)
      if (spec === undefined || spec.indexes.size === 0) continue
      for (const range of ranges) await this.#removeRange(slot, range)
      for (const [mapKey, point] of points) {
        const records = recordsSlot(slot)
        const before = await this.#record(records, mapKey)
        const key = mapKeyToKey(mapKey)
        if (point.deleted) {
          if (before) {
            this.#removeRows(slot, key, before)
            this.#delete(records, mapKey)
          }
          continue
        }
        const keys = keysOf(spec, key, point.value(spec.decode, spec.isShared))
        if (before) this.#removeRows(slot, key, before, keys)
        const record = { checksum: checksumOf(point.bytes), keys }
        // All of the commit is removed before any of it is added: two rows of it may change places.
        added.push(() => this.#add(slot, spec, key, record, point.expires, point.due, before))
      }
    }
    for (const add of added) {
      await add()
      if (this.#repeated) throw this.#repeated
      await this.#ctx.pace()
    }
    this.#keep()
  }

  async #record(
    records: Slot,
    key: MapKey,
  ): Promise<(RowRecord & { readonly expires: number; readonly due: number }) | undefined> {
    const found = await this.#find(records, key)
    return found && { ...decodeRecord(found.bytes, 'The record of an index'), expires: found.expires, due: found.due }
  }

  /** Removes the index rows of a row, but for those that its new value has as well. */
  #removeRows(slot: Slot, key: Key, { keys }: RowRecord, kept?: IndexKeys): void {
    for (const [name, all] of keys) {
      const stay = kept?.get(name) ?? []
      for (const each of all) {
        if (!stay.some((other) => equalBytes(other, each)))
          this.#delete(rowsSlot(slot, name), rowKey(decodeKey(each), key))
      }
    }
  }

  async #removeRange(slot: Slot, range: KeyRange): Promise<void> {
    const records = recordsSlot(slot)
    const cut = slot.prefix.length
    const bounds = {
      ...slotRange(records, { lower: range.lower.subarray(cut), upper: range.upper.subarray(cut) }),
      reverse: false,
    }
    const whole = slotRange(slot, ALL_OF_SLOT)
    if (equalBytes(range.lower, whole.lower) && equalBytes(range.upper, whole.upper)) {
      for (const name of (await this.state(slot))?.indexes.keys() ?? []) this.#clear(rowsSlot(slot, name))
    } else {
      await each(this.#view, records, bounds, ({ key, bytes }) => {
        if (bytes) {
          const record = decodeRecord(bytes, 'The record of an index')
          this.#removeRows(slot, decodeKey(key, records.prefix.length), record)
        }
        return this.#ctx.pace()?.then(() => true) ?? true
      })
    }
    this.#own.deleteRange(records, INDEX_CODEC, bounds)
  }

  async #add(
    slot: Slot,
    spec: TableSpec,
    key: Key,
    record: RowRecord,
    expires: number,
    due: number,
    before?: { readonly expires: number; readonly due: number; readonly keys: IndexKeys },
  ): Promise<void> {
    const isSameLife = before?.expires === expires && before.due === due
    for (const [name, all] of record.keys) {
      // What has expired may be another row's by now.
      const had = before && !isOver(before, this.#time) ? (before.keys.get(name) ?? []) : []
      for (const bytes of all) {
        const indexKey = decodeKey(bytes)
        const isKept = had.some((other) => equalBytes(other, bytes))
        if (this.#isJudged && spec.indexes.get(name)!.unique) {
          const refusal = isKept ? undefined : await this.#unique.find(slot, spec, name, indexKey, key)
          this.#repeated ??= refusal
          this.#unique.take(slot, name, indexKey, key)
        }
        if (!isKept || !isSameLife)
          this.#put(rowsSlot(slot, name), rowKey(indexKey, key), new Uint8Array(0), expires, due)
      }
    }
    this.#put(recordsSlot(slot), toMapKey(key), encodeRecord(record), expires, due)
  }

  async #find(
    slot: Slot,
    key: MapKey,
  ): Promise<{ readonly bytes: Uint8Array; readonly expires: number; readonly due: number } | undefined> {
    const view = this.#view
    const now = lookUp(view, slot, key, false, AT_ONCE)
    const found = now instanceof Missing ? await lookUpLoading(view, slot, key) : now
    const bytes = found?.bytes
    if (found === undefined || bytes === undefined || (found instanceof Point && found.deleted)) return undefined
    return { bytes, expires: found.expires, due: found instanceof Point ? found.due : 0 }
  }
}

export const isRefusal = (error: unknown): error is TidemarkError =>
  isTidemarkError(error) && error.code === 'INVALID_ARGUMENT'

const isGone = (record: KeyedRecord): boolean =>
  record instanceof MemtableRecord ? record.point.deleted : record.bytes === undefined
