/** Keys and ranges of keys, slot by slot. */
import { compareBytes } from '../bytes/compare.js'
import { mapKeyBytes, type MapKey } from '../bytes/keys.js'
import { isCovered, unionRanges } from '../segment/ranges.js'
import { isWithin, type KeyRange } from '../segment/record.js'
import { prefixed, type Slot } from '../engine/slot.js'

/** Keys and ranges in a set after which it stands for all of their tables. */
const MANY = 100_000

export const isApart = (a: KeyRange, b: KeyRange): boolean =>
  compareBytes(a.upper, b.lower) <= 0 || compareBytes(b.upper, a.lower) <= 0

export interface SlotKeys {
  readonly slot: Slot
  readonly keys: Set<MapKey>
  /** Sorted and apart; another array after each change. */
  ranges: readonly KeyRange[]
}

export class KeySet {
  readonly slots = new Map<string, SlotKeys>()
  #count = 0

  get isEmpty(): boolean {
    return this.slots.size === 0
  }

  key(slot: Slot, key: MapKey): void {
    this.#open(slot).keys.add(key)
    this.#counted(1)
  }

  range(slot: Slot, range: KeyRange): void {
    const own = this.#open(slot)
    own.ranges = unionRanges([...own.ranges, range])
    this.#counted(1)
  }

  add(other: KeySet): void {
    for (const { slot, keys, ranges } of other.slots.values()) {
      const own = this.#open(slot)
      for (const key of keys) own.keys.add(key)
      own.ranges = unionRanges([...own.ranges, ...ranges])
      this.#counted(keys.size + ranges.length)
    }
  }

  /** Takes out keys. */
  drop(slot: Slot, keys: Iterable<MapKey>, ranges: readonly KeyRange[]): void {
    const own = this.slots.get(slot.id)
    if (own === undefined) return
    for (const key of keys) own.keys.delete(key)
    if (ranges.length > 0) for (const key of this.within(slot, ranges)) own.keys.delete(key)
    if (own.keys.size + own.ranges.length === 0) this.slots.delete(slot.id)
  }

  hasKey(slot: Slot, key: MapKey): boolean {
    return this.slots.get(slot.id)?.keys.has(key) === true
  }

  /** Whether one of its ranges has the key. */
  covers(slot: Slot, key: MapKey): boolean {
    const ranges = this.slots.get(slot.id)?.ranges ?? []
    return ranges.length > 0 && isCovered(ranges, prefixed(slot.prefix, mapKeyBytes(key)))
  }

  has(slot: Slot, key: MapKey): boolean {
    return this.hasKey(slot, key) || this.covers(slot, key)
  }

  /** Whether one of its ranges has anything in common with another one. */
  overlaps(slot: Slot, range: KeyRange): boolean {
    return (this.slots.get(slot.id)?.ranges ?? []).some((own) => !isApart(own, range))
  }

  /** Its single keys within ranges. */
  within(slot: Slot, ranges: readonly KeyRange[]): MapKey[] {
    if (ranges.length === 0) return []
    return [...(this.slots.get(slot.id)?.keys ?? [])].filter((key) => {
      const bytes = prefixed(slot.prefix, mapKeyBytes(key))
      return ranges.some((range) => isWithin(bytes, range))
    })
  }

  #open(slot: Slot): SlotKeys {
    let own = this.slots.get(slot.id)
    if (own === undefined) this.slots.set(slot.id, (own = { slot, keys: new Set(), ranges: [] }))
    return own
  }

  #counted(more: number): void {
    this.#count += more
    if (this.#count < MANY) return
    this.#count = 0
    for (const own of this.slots.values()) {
      own.keys.clear()
      own.ranges = [wholeOf(own.slot)]
    }
  }
}

/** All keys of a slot: none begins with 0xff. */
function wholeOf({ prefix }: Slot): KeyRange {
  return { lower: prefix, upper: prefixed(prefix, Uint8Array.of(0xff)) }
}
