/**
 * What a handle in shared mode has read, and what of that others have changed since. A commit outside a transaction may be
 * appended on top of others' versions only when it is blind: when it changes nothing that was read before them
 * (PROTOCOL.md, section 2).
 */
import { compareBytes } from '../bytes/compare.js'
import type { MapKey } from '../bytes/keys.js'
import type { KeyRange } from '../segment/record.js'
import { Cell, Layer } from '../shard/layer.js'
import type { Slot } from '../shard/slot.js'
import type { AppliedEntry } from '../shard/state.js'
import { EVERYTHING, slotRange } from './range.js'

/** Keys after which all of their tables counts as read. */
const MANY = 100_000

const MARK = Cell.tombstone()

export class Readings {
  /** Keys and ranges that were read since the handle last caught up, in the shape of a layer that deletes them. */
  #read = new Layer()
  /** Those that were when it last did, and all before. */
  #late = new Layer()
  #older = new Layer()
  /** Those that others have changed since, and whether they have changed the offsets. */
  #stale = new Layer()
  #areOffsetsStale = false
  /** How many keys were read since the program last caught up. */
  #keys = 0
  /** What the program has put itself, reading tells it nothing of others. */
  readonly #buffer: () => Layer

  constructor(buffer: () => Layer) {
    this.#buffer = buffer
  }

  key(slot: Slot, key: MapKey): void {
    if (this.#read.find(slot, key) || this.#buffer().find(slot, key)) return
    this.#read.set(slot, '', key, MARK)
    if (++this.#keys < MANY) return
    this.#older.absorb(this.#read)
    for (const { slot: each } of this.#older.slots.values()) this.range(each, slotRange(each, EVERYTHING))
    this.#older = new Layer()
    this.#keys = 0
  }

  range(slot: Slot, range: KeyRange): void {
    this.#read.deleteRange(slot, '', range)
  }

  /** Others have made these changes; `undefined`: it is not known which. */
  changed(entries: readonly AppliedEntry[] | undefined, areOffsets: boolean): void {
    this.#areOffsetsStale ||= areOffsets
    this.#late = this.#read
    this.#older.absorb(this.#read)
    this.#read = new Layer()
    if (entries === undefined || entries.some(({ references }) => references)) this.#stale.absorb(this.#older)
    else for (const { layer } of entries) if (layer) this.#meet(layer)
  }

  #meet(layer: Layer): void {
    for (const { slot, points, ranges } of layer.slots.values()) {
      for (const key of points.keys()) if (this.#older.find(slot, key)) this.#stale.set(slot, '', key, MARK)
      for (const range of ranges) if (meets(this.#older, slot, range)) this.#stale.deleteRange(slot, '', range)
    }
  }

  /**
   * Whether changes may be appended. Not if others have changed what was read of them; and not if they were to be appended
   * before the handle caught up just now (`isLate`) and anything of them was read since the time before.
   */
  allow(changes: Layer, withOffsets: boolean, isLate: boolean): boolean {
    if (withOffsets && (isLate || this.#areOffsetsStale)) return false
    return !touches(changes, this.#stale) && !(isLate && touches(changes, this.#late))
  }

  /** The program has caught up, and knows. */
  clear(): void {
    this.#read = new Layer()
    this.#late = new Layer()
    this.#older = new Layer()
    this.#stale = new Layer()
    this.#areOffsetsStale = false
    this.#keys = 0
  }
}

function touches(changes: Layer, marks: Layer): boolean {
  if (marks.empty) return false
  for (const { slot, points, ranges } of changes.slots.values()) {
    if (!marks.slots.has(slot.id)) continue
    for (const key of points.keys()) if (marks.find(slot, key)) return true
    for (const range of ranges) if (meets(marks, slot, range)) return true
  }
  return false
}

/** Whether a range has something in common with what is marked. */
function meets(marks: Layer, slot: Slot, range: KeyRange): boolean {
  const isApart = (other: KeyRange): boolean =>
    compareBytes(other.upper, range.lower) <= 0 || compareBytes(range.upper, other.lower) <= 0
  return marks.ranges(slot).some((other) => !isApart(other)) || marks.sorted(slot, range).length > 0
}
