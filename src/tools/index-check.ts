/**
 * Checks the indexes of a state against its rows, both ways: each row has a record that is of its value, each key in the record has
 * its index row, and each index row is in the record of a row. The functions of the indexes are not needed for that.
 */
import { compareBytes, equalBytes } from '../bytes/compare.js'
import { decodeKey, mapKeyBytes, toMapKey, type Key, type MapKey } from '../bytes/keys.js'
import { corrupt, show } from '../errors.js'
import type { Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { Point } from '../engine/point.js'
import { lookUpLoading, type View } from '../engine/read.js'
import { scan } from '../engine/scan.js'
import { makeSlot, type Slot } from '../engine/slot.js'
import {
  checksumOf,
  decodeRecord,
  decodeState,
  recordsSlot,
  rowKey,
  rowsSlot,
  statesSlot,
  type IndexState,
} from '../store/indexes/layout.js'
import { each } from '../store/indexes/walk.js'
import { ALL_OF_SLOT, slotRange } from '../store/bounds.js'

/** Checks one partition of a table; throws `CORRUPT` at the first thing that does not fit. */
class TableCheck {
  readonly #view: View
  readonly #slot: Slot
  readonly #state: IndexState
  readonly #time: number

  constructor(view: View, slot: Slot, state: IndexState, time: number) {
    this.#view = view
    this.#slot = slot
    this.#state = state
    this.#time = time
  }

  #isLive({ bytes, expires }: Pick<KeyedRecord, 'bytes' | 'expires'>): boolean {
    return bytes !== undefined && (expires === 0 || expires > this.#time)
  }

  async #find(slot: Slot, key: MapKey): Promise<Pick<KeyedRecord, 'bytes' | 'expires'> | undefined> {
    const found = await lookUpLoading(this.#view, slot, key)
    if (found === undefined || (found instanceof Point && found.deleted)) return undefined
    return this.#isLive(found) ? found : undefined
  }

  async run(): Promise<void> {
    await this.#rows()
    for (const name of this.#state.indexes.keys()) await this.#index(name)
  }

  async #live(slot: Slot): Promise<() => Promise<KeyedRecord | undefined>> {
    const cursor: Cursor = await scan(this.#view, slot, { ...slotRange(slot, ALL_OF_SLOT), reverse: false })
    return async () => {
      do {
        const loading = cursor.next()
        if (loading) await loading
      } while (cursor.current && !this.#isLive(cursor.current))
      return cursor.current
    }
  }

  /** Rows and their records side by side. */
  async #rows(): Promise<void> {
    const records = recordsSlot(this.#slot)
    const [nextRow, nextRecord] = [await this.#live(this.#slot), await this.#live(records)]
    const [rowAt, recordAt] = [this.#slot.prefix.length, records.prefix.length]
    const { upTo } = this.#state
    for (let [row, record] = [await nextRow(), await nextRecord()]; row ?? record;) {
      const order = row && record ? compareBytes(row.key.subarray(rowAt), record.key.subarray(recordAt)) : row ? -1 : 1
      if (order > 0) this.#fail(decodeKey(record!.key, recordAt), 'has a record, and is not there')
      const bytes = row!.key.subarray(rowAt)
      const isBuilt = upTo === undefined || compareBytes(bytes, upTo) <= 0
      if (order < 0 && isBuilt) this.#fail(decodeKey(bytes), 'is not in the indexes')
      if (order === 0) {
        await this.#record(decodeKey(bytes), row!, record!)
        record = await nextRecord()
      }
      row = await nextRow()
    }
  }

  async #record(key: Key, row: KeyedRecord, record: KeyedRecord): Promise<void> {
    const { checksum, keys } = decodeRecord(record.bytes!, this.#title)
    if (checksum !== checksumOf(row.bytes)) this.#fail(key, 'has changed, and its index keys have not')
    if (row.expires !== record.expires) this.#fail(key, 'expires at another moment than its index keys')
    for (const [name, all] of keys) {
      if (!this.#state.indexes.has(name)) continue
      for (const bytes of all) {
        const indexKey = decodeKey(bytes)
        const found = await this.#find(rowsSlot(this.#slot, name), rowKey(indexKey, key))
        if (found?.expires !== row.expires) this.#fail(key, `is not in index "${name}" by ${show(indexKey)}`)
      }
    }
  }

  async #index(name: string): Promise<void> {
    const rows = rowsSlot(this.#slot, name)
    const records = recordsSlot(this.#slot)
    await each(this.#view, rows, { ...slotRange(rows, ALL_OF_SLOT), reverse: false }, async (row) => {
      if (!this.#isLive(row)) return true
      const [indexKey, key] = decodeKey(row.key, rows.prefix.length) as [Key, Key]
      const found = await this.#find(records, toMapKey(key))
      const keys = found && decodeRecord(found.bytes!, this.#title).keys.get(name)
      const bytes = row.key.subarray(rows.prefix.length)
      if (!keys?.some((each) => equalBytes(asRowKey(each, key), bytes))) {
        this.#fail(key, `is in index "${name}" by ${show(indexKey)}, which it does not have`)
      }
      return true
    })
  }

  get #title(): string {
    return titleOf(this.#slot)
  }

  #fail(key: Key, problem: string): never {
    throw corrupt(
      `Key ${show(key)} of ${this.#title} ${problem}. Open the table with another version of its values, and its indexes are built anew.`,
    )
  }
}

const asRowKey = (indexKey: Uint8Array, key: Key): Uint8Array => mapKeyBytes(rowKey(decodeKey(indexKey), key))

function titleOf({ table, partition }: Slot): string {
  const name = table.length === 0 ? 'the default table' : `table "${new TextDecoder().decode(table)}"`
  return `${name}, partition ${partition}`
}

/** Checks all indexes of a state, each table of a partition by a `check` of its own. */
export async function checkIndexes(
  view: View,
  check: (object: string, act: () => Promise<void>) => Promise<unknown>,
): Promise<void> {
  const { carried, manifest } = view.state!
  const { partitions } = manifest.config
  for (let partition = 0; partition < partitions; partition++) {
    const states = statesSlot(partition)
    await each(view, states, { ...slotRange(states, ALL_OF_SLOT), reverse: false }, async ({ key, bytes }) => {
      if (bytes === undefined) return true
      const slot = makeSlot(partition, decodeKey(key, states.prefix.length) as Uint8Array)
      await check(`Indexes of ${titleOf(slot)}`, async () => {
        const state = decodeState(bytes, `The state of the indexes of ${titleOf(slot)}`)
        await new TableCheck(view, slot, state, carried.time).run()
      })
      return true
    })
  }
}
