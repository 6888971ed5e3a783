/**
 * A memtable holds changes in memory: what is uncommitted, or what one entry of the tail changed. Points are in a Map per
 * slot, range deletes beside them; within a memtable points win over its range deletes. A memtable is written only while it is
 * the buffer; from then on it is never changed, so that every reader may keep it.
 */
import { compareBytes, countInFront } from '../bytes/compare.js'
import { bytesToMapKey, compareMapKey, mapKeyBytes, type MapKey } from '../bytes/keys.js'
import type { DeltaGroup } from '../log/delta.js'
import { isCovered, placeRange, unionRanges } from '../segment/ranges.js'
import { EVERYTHING, type KeyRange } from '../segment/record.js'
import { Point, sortedRecords, type MemtableRecord } from './point.js'
import { makeSlot, prefixed, type Slot } from './slot.js'

export interface SlotChanges {
  readonly slot: Slot
  /** That of the newest change. */
  codec: string
  readonly points: Map<MapKey, Point>
  /** With the slot's prefix; sorted and apart. */
  ranges: KeyRange[]
  /** Readers keep the array of ranges: the next change makes another one. */
  isShared: boolean
  /** The records in key order, until a key is set. */
  sorted: readonly MemtableRecord[] | undefined
  /** How often all points were looked through since then. */
  looks: number
}

/** Looks through all points after which sorting them is cheaper than looking again. */
const LOOKS = 16

const DELETED = Point.tombstone()

export class Memtable {
  readonly slots = new Map<string, SlotChanges>()
  /** The sum of the sizes of its points and range deletes. */
  size = 0
  /** Somebody else may keep points of it: a put then makes another one. */
  #isTaken = false

  get empty(): boolean {
    return this.slots.size === 0
  }

  /** About how many bytes its changes take as a delta; of points that have their bytes. */
  get bytes(): number {
    let bytes = 0
    for (const { points, ranges } of this.slots.values()) {
      for (const [key, { from, to }] of points) bytes += 8 + (typeof key === 'string' ? key.length : 8) + to - from
      for (const { lower, upper } of ranges) bytes += lower.length + upper.length
    }
    return bytes
  }

  set(slot: Slot, codec: string, key: MapKey, point: Point): void {
    const changes = this.#open(slot, codec)
    this.size += point.size - (changes.points.get(key)?.size ?? 0)
    changes.points.set(key, point)
    changes.sorted = undefined
    changes.looks = 0
  }

  /** As `set` with a new point; who puts the same key again and again makes one. `due`: see `Point`. */
  put(slot: Slot, codec: string, key: MapKey, value: unknown, size: number, due: number): void {
    const changes = this.#open(slot, codec)
    const known = changes.points.get(key)
    if (known === undefined || this.#isTaken) return this.set(slot, codec, key, new Point(value, size, due))
    this.size += size - known.size
    known.overwrite(value, size, due)
  }

  /** The size of what it has for a key. */
  sizeAt(slot: Slot, key: MapKey): number {
    return this.slots.get(slot.id)?.points.get(key)?.size ?? 0
  }

  deleteRange(slot: Slot, codec: string, range: KeyRange): void {
    const changes = this.#open(slot, codec)
    const { covered, sorted } = this.#covered(changes, range)
    for (const key of covered) {
      this.size -= changes.points.get(key)!.size
      changes.points.delete(key)
    }
    changes.sorted = sorted
    if (changes.isShared) changes.ranges = [...changes.ranges]
    changes.isShared = false
    const { from, to, union } = placeRange(changes.ranges, range)
    const merged = changes.ranges.splice(from, to - from, union)
    this.size += sizeOfRange(union) - sizeOfRanges(merged)
  }

  /** Many at once: each point is looked at once, and each range moved once. */
  deleteRanges(slot: Slot, codec: string, ranges: readonly KeyRange[]): void {
    if (ranges.length === 0) return
    if (ranges.length === 1) return this.deleteRange(slot, codec, ranges[0]!)
    const changes = this.#open(slot, codec)
    const apart = unionRanges(ranges)
    if (changes.points.size > 0) {
      const bounds = apart.map((range) => ownBounds(slot, range))
      for (const [key, { size }] of changes.points) {
        const at = countInFront(bounds.length, (i) => compareMapKey(key, bounds[i]!.upper) >= 0)
        if (at === bounds.length || compareMapKey(key, bounds[at]!.lower) < 0) continue
        changes.points.delete(key)
        this.size -= size
      }
    }
    const all = changes.ranges.length > 0 ? unionRanges([...changes.ranges, ...apart]) : apart
    this.size += sizeOfRanges(all) - sizeOfRanges(changes.ranges)
    changes.ranges = all
    changes.isShared = false
    changes.sorted = undefined
  }

  /** The points in a range, and the records of the others in order where they are known. */
  #covered(
    changes: SlotChanges,
    range: KeyRange,
  ): { readonly covered: readonly MapKey[]; readonly sorted: readonly MemtableRecord[] | undefined } {
    const { slot, points } = changes
    if (points.size === 0) return { covered: [], sorted: undefined }
    if (changes.sorted === undefined && changes.looks < LOOKS) {
      changes.looks++
      const { lower, upper } = ownBounds(slot, range)
      const covered: MapKey[] = []
      for (const key of points.keys()) {
        if (compareMapKey(key, lower) >= 0 && compareMapKey(key, upper) < 0) covered.push(key)
      }
      return { covered, sorted: undefined }
    }
    const sorted = changes.sorted ?? this.sorted(slot, EVERYTHING)
    const [from, to] = boundsIn(sorted, range)
    if (from >= to) return { covered: [], sorted }
    const covered = sorted.slice(from, to).map(({ key }) => bytesToMapKey(key.slice(slot.prefix.length)))
    return { covered, sorted: [...sorted.slice(0, from), ...sorted.slice(to)] }
  }

  #open(slot: Slot, codec: string): SlotChanges {
    let changes = this.slots.get(slot.id)
    if (changes === undefined) {
      changes = { slot, codec, points: new Map(), ranges: [], isShared: false, sorted: undefined, looks: 0 }
      this.slots.set(slot.id, changes)
    }
    changes.codec = codec
    return changes
  }

  /** The point that this memtable has for a key (perhaps a tombstone), or `undefined` when it says nothing. */
  find(slot: Slot, key: MapKey): Point | undefined {
    const changes = this.slots.get(slot.id)
    if (changes === undefined) return undefined
    const point = changes.points.get(key)
    if (point !== undefined || changes.ranges.length === 0) return point
    return isCovered(changes.ranges, prefixed(slot.prefix, mapKeyBytes(key))) ? DELETED : undefined
  }

  /** The array may be kept. */
  ranges(slot: Slot): readonly KeyRange[] {
    const changes = this.slots.get(slot.id)
    if (changes === undefined) return []
    changes.isShared = true
    return changes.ranges
  }

  /** The records of a slot within the bounds as they stand now, in key order; the array may be kept. */
  sorted(slot: Slot, bounds: KeyRange): readonly MemtableRecord[] {
    const changes = this.slots.get(slot.id)
    if (changes === undefined) return []
    this.#isTaken = true
    if (changes.sorted) return within(changes.sorted, bounds)
    const all = sortedRecords(slot.prefix, changes.points)
    const records = within(all, bounds)
    if (records === all || ++changes.looks > LOOKS) changes.sorted = all
    return records
  }

  copy(): Memtable {
    const copy = new Memtable()
    copy.absorb(this)
    return copy
  }

  /** Lays a newer memtable over this one, or the slots of it that count: its ranges first, then its points (R7). */
  absorb(newer: Memtable, counts?: (slot: Slot) => boolean): void {
    this.#isTaken = true
    for (const { slot, codec, points, ranges } of newer.slots.values()) {
      if (counts && !counts(slot)) continue
      this.deleteRanges(slot, codec, ranges)
      for (const [key, point] of points) this.set(slot, codec, key, point)
    }
  }
}

/** The memory that a range delete takes beside its bounds, about. */
const RANGE = 64

/** About how much memory a range delete takes, at most. */
export function sizeOfRange({ lower, upper }: KeyRange): number {
  return RANGE + lower.length + upper.length
}

function sizeOfRanges(ranges: readonly KeyRange[]): number {
  return ranges.reduce((sum, range) => sum + sizeOfRange(range), 0)
}

/** Bounds without the prefix of the slot in which they lie. */
export function ownBounds({ prefix }: Slot, { lower, upper }: KeyRange): KeyRange {
  return { lower: lower.subarray(prefix.length), upper: upper.subarray(prefix.length) }
}

/** The part of sorted records that lies within the bounds. */
function within(records: readonly MemtableRecord[], bounds: KeyRange): readonly MemtableRecord[] {
  const [from, to] = boundsIn(records, bounds)
  return from === 0 && to === records.length ? records : records.slice(from, to)
}

function boundsIn(records: readonly MemtableRecord[], { lower, upper }: KeyRange): [from: number, to: number] {
  return [
    countInFront(records.length, (i) => compareBytes(records[i]!.key, lower) < 0),
    countInFront(records.length, (i) => compareBytes(records[i]!.key, upper) < 0),
  ]
}

export function memtableOfDelta(groups: readonly DeltaGroup[]): Memtable {
  const memtable = new Memtable()
  for (const { partition, table, codec, changes } of groups) {
    const slot = makeSlot(partition, table)
    // Points win over the ranges of their delta, wherever in it they stand.
    const ranges = changes.flatMap((change) =>
      change.type === 'range'
        ? [{ lower: prefixed(slot.prefix, change.key), upper: prefixed(slot.prefix, change.upper) }]
        : [],
    )
    memtable.deleteRanges(slot, codec, ranges)
    for (const change of changes) {
      if (change.type === 'range') continue
      const point = change.type === 'put' ? Point.stored(change.value, change.expires) : Point.tombstone()
      memtable.set(slot, codec, bytesToMapKey(change.key), point)
    }
  }
  return memtable
}
