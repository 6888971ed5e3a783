/**
 * The keys of unique indexes: no row of a table gets one that another row has, in whatever partitions they are. Rows that have the
 * same one from before the index was there, or since some partitions were restored, stay as they are.
 */
import { toBinary } from '../../bytes/binary.js'
import { decodeKey, encodeKey, toMapKey, type Key, type MapKey } from '../../bytes/keys.js'
import { invalid, show, type TidemarkError } from '../../errors.js'
import type { Point } from '../../engine/point.js'
import type { View } from '../../engine/read.js'
import type { Slot } from '../../engine/slot.js'
import { slotRange } from '../bounds.js'
import type { TableSpec } from '../table-spec.js'
import { rowBounds, rowKey, rowsSlot } from './layout.js'
import { each } from './walk.js'

export const isOver = ({ expires }: { readonly expires: number }, time: number): boolean =>
  expires > 0 && expires <= time

export class UniqueKeys {
  readonly #view: View
  readonly #partitions: number
  readonly #time: number
  readonly #made: (rows: Slot, key: MapKey) => Point | undefined
  /** The rows that were given a key, by index, partition and key; some may have lost it again. */
  readonly #taken = new Map<string, Key[]>()

  /** `made` finds what is made of the index rows of the view, up to now. */
  constructor(view: View, partitions: number, time: number, made: (rows: Slot, key: MapKey) => Point | undefined) {
    this.#view = view
    this.#partitions = partitions
    this.#time = time
    this.#made = made
  }

  /** The error for a row that is to get a key, when another one has it already. */
  async find(slot: Slot, spec: TableSpec, name: string, indexKey: Key, key: Key): Promise<TidemarkError | undefined> {
    const own = toMapKey(key)
    for (let partition = 0; partition < this.#partitions; partition++) {
      const holders = await this.#holders(rowsSlot({ ...slot, partition }, name), indexKey)
      const other = holders.find((holder) => partition !== slot.partition || toMapKey(holder) !== own)
      if (other === undefined) continue
      return invalid(
        `Index "${name}" of ${spec.title} is unique: key ${show(other)} has ${show(indexKey)} already, and key ${show(key)} would have it, too.`,
      )
    }
    return undefined
  }

  /** Notes that a row has the key. */
  take(slot: Slot, name: string, indexKey: Key, key: Key): void {
    const id = idOf(rowsSlot(slot, name), indexKey)
    const taken = this.#taken.get(id)
    if (taken) taken.push(key)
    else this.#taken.set(id, [key])
  }

  /** The rows of one partition that have the key. */
  async #holders(rows: Slot, indexKey: Key): Promise<readonly Key[]> {
    const made = (key: Key): Point | undefined => this.#made(rows, rowKey(indexKey, key))
    const holders = (this.#taken.get(idOf(rows, indexKey)) ?? []).filter((key) => made(key)?.deleted === false)
    const bounds = { ...slotRange(rows, rowBounds({ gte: indexKey, lte: indexKey })), reverse: false }
    await each(this.#view, rows, bounds, (record) => {
      if (record.bytes === undefined || isOver(record, this.#time)) return true
      const [, key] = decodeKey(record.key, rows.prefix.length) as [Key, Key]
      if (made(key) === undefined) holders.push(key)
      return true
    })
    return holders
  }
}

const idOf = (rows: Slot, indexKey: Key): string => rows.id + toBinary(encodeKey(indexKey))
