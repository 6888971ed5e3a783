/**
 * The reads of a handle in shared mode, and which of them others have changed since. A commit outside a transaction may be
 * appended on top of others' versions only when it is blind: when it changes nothing that was read before them
 * (R18).
 */
import { compareBytes } from '../bytes/compare.js'
import { mapKeyBytes, type MapKey } from '../bytes/keys.js'
import { sameOffsets } from '../log/same-offsets.js'
import { isWithin, type KeyRange } from '../segment/record.js'
import { Memtable } from '../engine/memtable.js'
import { Point } from '../engine/point.js'
import { prefixed, type Slot } from '../engine/slot.js'
import { recordedCodec, type AppliedEntry, type ShardState } from '../engine/state.js'
import { ALL_OF_SLOT, slotRange } from './range.js'
import type { ReadNotes } from './table-host.js'

/** Keys and ranges in a set after which it stands for all of their tables. */
const MANY = 100_000

const READ = Point.tombstone()

/** Keys and ranges, in the shape of a memtable that deletes them. */
class KeySet {
  #memtable = new Memtable()
  #count = 0

  key(slot: Slot, key: MapKey): void {
    if (this.#memtable.find(slot, key)) return
    this.#memtable.set(slot, '', key, READ)
    this.#counted()
  }

  range(slot: Slot, range: KeyRange): void {
    this.#memtable.deleteRange(slot, '', range)
    this.#counted()
  }

  add(other: KeySet): void {
    this.#memtable.absorb(other.#memtable)
    this.#count += other.#count
    this.#counted()
  }

  /** Takes out keys, and what lies within ranges; a range that was read goes only as a whole. */
  drop(slot: Slot, keys: Iterable<MapKey>, ranges: readonly KeyRange[]): void {
    const slotReads = this.#memtable.slots.get(slot.id)
    if (slotReads === undefined) return
    for (const key of keys) slotReads.points.delete(key)
    for (const range of ranges) {
      for (const key of slotReads.points.keys()) {
        if (isWithin(prefixed(slot.prefix, mapKeyBytes(key)), range)) slotReads.points.delete(key)
      }
      slotReads.ranges = slotReads.ranges.filter((other) => !isInside(other, range))
    }
    slotReads.sorted = undefined
    if (slotReads.points.size + slotReads.ranges.length === 0) this.#memtable.slots.delete(slot.id)
  }

  #counted(): void {
    if (++this.#count < MANY) return
    const whole = new Memtable()
    for (const { slot } of this.#memtable.slots.values()) whole.deleteRange(slot, '', slotRange(slot, ALL_OF_SLOT))
    this.#memtable = whole
    this.#count = 0
  }

  /** Whether changes have anything in common with it. */
  touch(changes: Memtable): boolean {
    if (this.#memtable.empty) return false
    for (const { slot, points, ranges } of changes.slots.values()) {
      if (!this.#memtable.slots.has(slot.id)) continue
      for (const key of points.keys()) if (this.#memtable.find(slot, key)) return true
      for (const range of ranges) if (this.meets(slot, range)) return true
    }
    return false
  }

  has(slot: Slot, key: MapKey): boolean {
    return this.#memtable.find(slot, key) !== undefined
  }

  meets(slot: Slot, range: KeyRange): boolean {
    return (
      this.#memtable.ranges(slot).some((other) => !isApart(other, range)) ||
      this.#memtable.sorted(slot, range).length > 0
    )
  }
}

/** The reads between one refresh and the next. */
interface ReadPhase {
  /** Since the handle last caught up, and before. */
  read: KeySet
  readonly older: KeySet
  /** The part of them that others have changed since, and whether they have changed the offsets. */
  readonly stale: KeySet
  areOffsetsStale: boolean
  /** Whether the program knows the offsets as they were before others change them: not while it catches up. */
  knowsOffsets: boolean
}

const newPhase = (knowsOffsets: boolean): ReadPhase => ({
  read: new KeySet(),
  older: new KeySet(),
  stale: new KeySet(),
  areOffsetsStale: false,
  knowsOffsets,
})

export class ReadSet implements ReadNotes {
  /** The last one is for what is read now; those before it end with a refresh that is under way. */
  #phases: ReadPhase[] = [newPhase(true)]
  /** Reading a key that the program itself has put tells it nothing of others. */
  readonly #buffer: () => Memtable

  constructor(buffer: () => Memtable) {
    this.#buffer = buffer
  }

  key(slot: Slot, key: MapKey): void {
    if (this.#buffer().find(slot, key)) return
    this.#phases.at(-1)!.read.key(slot, key)
    // Who reads it again knows what others have made of it.
    for (const { stale } of this.#phases) stale.drop(slot, [key], [])
  }

  range(slot: Slot, range: KeyRange): void {
    this.#phases.at(-1)!.read.range(slot, range)
    for (const { stale } of this.#phases) stale.drop(slot, [], [range])
  }

  offsets(): void {
    for (const phase of this.#phases) {
      phase.areOffsetsStale = false
      phase.knowsOffsets = true
    }
  }

  /** Others have written versions, and led from the one state to the other. */
  met(before: ShardState, after: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.changed(entries, !sameOffsets(before.carried.offsets, after.carried.offsets))
  }

  /** Others have made these changes; `undefined`: it is not known which. */
  changed(entries: readonly AppliedEntry[] | undefined, areOffsets: boolean): void {
    const isKnown = entries?.every(({ references }) => references === undefined)
    for (const phase of this.#phases) {
      phase.areOffsetsStale ||= areOffsets && phase.knowsOffsets
      phase.older.add(phase.read)
      phase.read = new KeySet()
      if (!isKnown) phase.stale.add(phase.older)
      else for (const { memtable } of entries!) if (memtable) markChanged(phase, memtable)
    }
  }

  /** Whether anything that these change was read since the handle last caught up. */
  hasRead(changes: Memtable): boolean {
    return this.#phases.some(({ read }) => read.touch(changes))
  }

  /** Whether others have left alone what was read of what these change; and in `state`, its codecs. */
  allow(changes: Memtable, withOffsets: boolean, state?: ShardState): boolean {
    if (state && !isWrittenAs(state, changes)) return false
    return !this.#phases.some(({ stale, areOffsetsStale }) => (withOffsets && areOffsetsStale) || stale.touch(changes))
  }

  /** The program was told that others have changed these. */
  told(changes: Memtable, ofOffsets: boolean): void {
    for (const { slot, points, ranges } of changes.slots.values()) {
      for (const { stale } of this.#phases) stale.drop(slot, points.keys(), ranges)
    }
    if (ofOffsets) this.offsets()
  }

  /** While the program catches up: what it has read before does not count afterwards, what it reads meanwhile does. */
  async during<T>(catchUp: () => Promise<T>): Promise<T> {
    const before = [...this.#phases]
    const phase = newPhase(false)
    this.#phases.push(phase)
    try {
      const result = await catchUp()
      this.#phases = this.#phases.filter((each) => !before.includes(each))
      phase.knowsOffsets = true
      return result
    } catch (error) {
      const last = before.at(-1)!
      last.read.add(phase.read)
      last.older.add(phase.older)
      last.stale.add(phase.stale)
      last.areOffsetsStale ||= phase.areOffsetsStale
      this.#phases = this.#phases.filter((each) => each !== phase)
      throw error
    } finally {
      if (this.#phases.length === 0) this.#phases.push(newPhase(true))
    }
  }

  clear(): void {
    this.#phases = [newPhase(true)]
  }
}

function markChanged({ older, stale }: ReadPhase, memtable: Memtable): void {
  for (const { slot, points, ranges } of memtable.slots.values()) {
    for (const key of points.keys()) if (older.has(slot, key)) stale.key(slot, key)
    for (const range of ranges) if (older.meets(slot, range)) stale.range(slot, range)
  }
}

function isApart(a: KeyRange, b: KeyRange): boolean {
  return compareBytes(a.upper, b.lower) <= 0 || compareBytes(b.upper, a.lower) <= 0
}

function isInside(a: KeyRange, b: KeyRange): boolean {
  return compareBytes(b.lower, a.lower) <= 0 && compareBytes(a.upper, b.upper) <= 0
}

/** Whether the tables that a memtable changes are still written with its codecs. */
function isWrittenAs(state: ShardState, memtable: Memtable): boolean {
  for (const { slot, codec } of memtable.slots.values()) {
    if ((recordedCodec(state, slot.table) ?? codec) !== codec) return false
  }
  return true
}
