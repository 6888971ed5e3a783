/**
 * Reads of an index: its rows in the order of their keys, and for each the row of the table that it is of. Where a state does not
 * have the index, or not all of it, and for what is uncommitted, it is computed from the rows.
 */
import { decodeKey, type Key } from '../../bytes/keys.js'
import type { KeyedRecord } from '../../segment/record.js'
import { Memtable } from '../../engine/memtable.js'
import { MemtableRecord } from '../../engine/point.js'
import type { View } from '../../engine/read.js'
import type { Slot } from '../../engine/slot.js'
import { checkScan, type RangeOptions, type ScanOptions } from '../range.js'
import { isLive } from '../reads.js'
import { Scan } from '../scan.js'
import type { Hold, ReadNotes, TableHost } from '../table-host.js'
import type { TableSpec } from '../table-spec.js'
import { isReady } from './definition.js'
import { Derivation, type Context } from './derive.js'
import { rowBounds, rowsSlot } from './layout.js'

/** The index of a table, as its reads find it. */
export interface IndexPlace {
  readonly host: TableHost
  readonly spec: TableSpec
  readonly slots: readonly Slot[]
  readonly name: string
  /** The reads of the table in one partition, of a view that stays. */
  readonly rows: (host: TableHost, partition: number) => { get(key: Key): Promise<unknown> }
}

/** An index row: the key of the index, that of the row, and the partition in which they are. */
export type Found = readonly [indexKey: Key, key: Key, partition: number]

/** So many rows are read at once. */
const ROWS_AT_ONCE = 64

/** The index rows of a range in a view that stays. */
export function indexRows(place: IndexPlace, view: View, options: ScanOptions<Key>): AsyncGenerator<Found, void> {
  const { reverse, limit } = checkScan(options as ScanOptions<never>)
  return rowsIn(place, view, options, reverse, limit)
}

/** The same with the values of their rows. */
export async function* indexEntries(
  place: IndexPlace,
  view: View,
  options: ScanOptions<Key>,
): AsyncGenerator<[indexKey: Key, key: Key, value: unknown], void> {
  const still = new StillHost(place.host, view, place.host.readSet)
  const readers = new Map<number, { get(key: Key): Promise<unknown> }>()
  const read = (key: Key, partition: number): Promise<unknown> => {
    let reader = readers.get(partition)
    if (reader === undefined) readers.set(partition, (reader = place.rows(still, partition)))
    return reader.get(key)
  }
  let batch: Found[] = []
  async function* flush(): AsyncGenerator<[Key, Key, unknown], void> {
    const values = await Promise.all(batch.map(([, key, partition]) => read(key, partition)))
    for (const [i, [indexKey, key]] of batch.entries()) {
      // One that expires just now is gone before its index row is.
      if (values[i] !== undefined) yield [indexKey, key, values[i]]
    }
    batch = []
  }
  for await (const row of indexRows(place, view, options)) {
    batch.push(row)
    if (batch.length === ROWS_AT_ONCE) yield* flush()
  }
  yield* flush()
}

export async function* rowsIn(
  { host, spec, slots, name }: IndexPlace,
  view: View,
  options: RangeOptions<Key> & Pick<ScanOptions<Key>, 'signal'>,
  reverse: boolean,
  limit: number,
): AsyncGenerator<Found, void> {
  const bounds = rowBounds(options)
  let overlay: Memtable | undefined
  for (let present = view; overlay === undefined;) {
    try {
      overlay = await new Derivation(contextOf(host, spec, present), present.state!, -1, present.memtables).overlay(
        slots,
        spec,
      )
    } catch (error) {
      present = await host.repair(present, error)
    }
  }
  const indexSlots = slots.map((slot) => rowsSlot(slot, name))
  const prefix = indexSlots[0]!.prefix.length
  const map = (record: KeyedRecord): Found | undefined => {
    if (!isLive(record instanceof MemtableRecord ? record.point : record, host)) return undefined
    const [indexKey, key] = decodeKey(record.key, prefix) as [Key, Key]
    return [indexKey, key, record.key[0]! * 256 + record.key[1]!]
  }
  const request = { bounds, reverse, limit, fresh: false, signal: options.signal }
  yield* new Scan(new StillHost(host, { ...view, memtables: [overlay] }, host.readSet), indexSlots, request, map)
}

/** Whether a view has the whole of the table's indexes. */
export async function isBuilt({ host, spec, slots }: IndexPlace, view: View): Promise<boolean> {
  const derivation = new Derivation(contextOf(host, spec, view), view.state!, -1)
  for (const slot of slots) {
    const state = await derivation.state(slot)
    if (state === undefined || !isReady(spec, state)) return false
  }
  return true
}

/** Only this table is looked at. */
function contextOf(host: TableHost, spec: TableSpec, { cache }: View): Context {
  return { cache, partitions: host.partitions, spec: () => spec, pace: () => undefined }
}

/** A host that goes on showing one view. */
export class StillHost implements TableHost {
  readonly readSet: ReadNotes | undefined
  readonly #host: TableHost
  #view: View

  constructor(host: TableHost, view: View, readSet: ReadNotes | undefined) {
    this.#host = host
    this.#view = view
    this.readSet = readSet
  }

  get own(): TableHost['own'] {
    return this.#host.own
  }

  get partitions(): number {
    return this.#host.partitions
  }

  get budget(): number {
    return this.#host.budget
  }

  get observers(): TableHost['observers'] {
    return this.#host.observers
  }

  monotonic(): number {
    return this.#host.monotonic()
  }

  now(): number {
    return this.#host.now()
  }

  view(): View {
    this.#host.assertOpen()
    return this.#view
  }

  assertOpen(): void {
    this.#host.assertOpen()
  }

  catchUp(): Promise<void> {
    return Promise.resolve()
  }

  hold(state: NonNullable<View['state']>, waiting?: Promise<unknown>): Hold {
    return this.#host.hold(state, waiting)
  }

  async repair(view: View, error: unknown): Promise<View> {
    const repaired = await this.#host.repair(view, error)
    this.#view = { ...repaired, memtables: this.#view.memtables }
    return repaired
  }

  writable(): Memtable {
    return this.#host.writable()
  }

  commitOwn(lay: (memtable: Memtable) => void): ReturnType<TableHost['commitOwn']> {
    return this.#host.commitOwn(lay)
  }

  transact<T>(change: (host: TableHost) => Promise<T>): Promise<T> {
    return this.#host.transact(change)
  }
}
