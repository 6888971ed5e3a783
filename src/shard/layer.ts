/**
 * A layer holds changes in memory: what is uncommitted, or what one entry of the tail changed. Points are in a Map per
 * slot, range deletes beside them; within a layer points win over its range deletes. A layer is written only while it is
 * the buffer; from then on it is never changed, so that every reader may keep it.
 */
import { compareBytes } from '../bytes/compare.js'
import { bytesToMapKey, mapKeyBytes, type MapKey } from '../bytes/keys.js'
import type { Change, DeltaGroup } from '../log/delta.js'
import { isCovered, unionRanges } from '../segment/merge.js'
import type { KeyedRecord, KeyRange } from '../segment/record.js'
import { makeSlot, prefixed, type Slot } from './slot.js'

const UNDECODED = Symbol('undecoded')

/** The newest thing that a layer says about a key. */
export class Cell {
  deleted: boolean
  expires: number
  /** How long the value lives from `putAt` on, in ms; turned into `expires` when the entry is built. 0: for ever. */
  ttl = 0
  putAt = 0
  /** Undefined in a tombstone, and in a put that no entry was built of yet. */
  bytes: Uint8Array | undefined
  #value: unknown

  private constructor(deleted: boolean, value: unknown, bytes: Uint8Array | undefined, expires: number) {
    this.deleted = deleted
    this.#value = value
    this.bytes = bytes
    this.expires = expires
  }

  static put(value: unknown): Cell {
    return new Cell(false, value, undefined, 0)
  }

  static stored(bytes: Uint8Array, expires: number): Cell {
    return new Cell(false, UNDECODED, bytes, expires)
  }

  static tombstone(): Cell {
    return new Cell(true, undefined, undefined, 0)
  }

  value(decode: (bytes: Uint8Array) => unknown): unknown {
    if (this.#value === UNDECODED) this.#value = decode(this.bytes!)
    return this.#value
  }
}

/** A record of a layer, as cursors hand it on. It looks into its cell each time: a commit gives cells their bytes. */
export class LayerRecord implements KeyedRecord {
  constructor(
    readonly key: Uint8Array,
    readonly cell: Cell,
  ) {}

  get bytes(): Uint8Array | undefined {
    return this.cell.bytes
  }

  get expires(): number {
    return this.cell.expires
  }
}

export interface SlotChanges {
  readonly slot: Slot
  readonly codec: string
  readonly points: Map<MapKey, Cell>
  /** With the slot's prefix. */
  ranges: KeyRange[]
}

const DELETED = Cell.tombstone()

export class Layer {
  readonly slots = new Map<string, SlotChanges>()
  readonly #sorted = new Map<string, { records: readonly LayerRecord[]; mutation: number }>()
  #mutation = 0
  #changes = 0

  get empty(): boolean {
    return this.#changes === 0
  }

  /** How many changes were made; what was overwritten counts too. */
  get changes(): number {
    return this.#changes
  }

  set(slot: Slot, codec: string, key: MapKey, cell: Cell): void {
    this.#open(slot, codec).points.set(key, cell)
    this.#mutation++
    this.#changes++
  }

  deleteRange(slot: Slot, codec: string, range: KeyRange): void {
    const changes = this.#open(slot, codec)
    for (const key of changes.points.keys()) {
      if (isCovered([range], prefixed(slot.prefix, mapKeyBytes(key)))) changes.points.delete(key)
    }
    changes.ranges = unionRanges([...changes.ranges, range])
    this.#mutation++
    this.#changes++
  }

  #open(slot: Slot, codec: string): SlotChanges {
    let changes = this.slots.get(slot.id)
    if (changes === undefined) {
      changes = { slot, codec, points: new Map(), ranges: [] }
      this.slots.set(slot.id, changes)
    }
    return changes
  }

  /** What this layer says about a key: a cell (perhaps a tombstone), or `undefined` when it is silent. */
  find(slot: Slot, key: MapKey): Cell | undefined {
    const changes = this.slots.get(slot.id)
    if (changes === undefined) return undefined
    const cell = changes.points.get(key)
    if (cell !== undefined || changes.ranges.length === 0) return cell
    return isCovered(changes.ranges, prefixed(slot.prefix, mapKeyBytes(key))) ? DELETED : undefined
  }

  ranges(slot: Slot): readonly KeyRange[] {
    return this.slots.get(slot.id)?.ranges ?? []
  }

  /** The records of a slot as they stand now, in key order; a new array after every change, so it may be kept. */
  sorted(slot: Slot): readonly LayerRecord[] {
    const changes = this.slots.get(slot.id)
    if (changes === undefined) return []
    const known = this.#sorted.get(slot.id)
    if (known?.mutation === this.#mutation) return known.records
    const records: LayerRecord[] = []
    for (const [key, cell] of changes.points) {
      records.push(new LayerRecord(prefixed(slot.prefix, mapKeyBytes(key)), cell))
    }
    records.sort((a, b) => compareBytes(a.key, b.key))
    this.#sorted.set(slot.id, { records, mutation: this.#mutation })
    return records
  }

  /** Lays a newer layer over this one. */
  absorb(newer: Layer): void {
    for (const { slot, codec, points, ranges } of newer.slots.values()) {
      for (const range of ranges) this.deleteRange(slot, codec, range)
      for (const [key, cell] of points) this.set(slot, codec, key, cell)
    }
  }
}

/** The changes of a layer as a delta; every cell must have its bytes. */
export function layerToDelta(layer: Layer): DeltaGroup[] {
  return Array.from(layer.slots.values(), ({ slot, codec, points, ranges }) => {
    const changes: Change[] = ranges.map(({ lower, upper }) => ({
      type: 'range',
      key: lower.subarray(slot.prefix.length),
      upper: upper.subarray(slot.prefix.length),
    }))
    for (const [mapKey, cell] of points) {
      const key = mapKeyBytes(mapKey)
      changes.push(
        cell.deleted ? { type: 'delete', key } : { type: 'put', key, value: cell.bytes!, expires: cell.expires },
      )
    }
    return { partition: slot.partition, table: slot.table, codec, changes }
  })
}

export function layerOfDelta(groups: readonly DeltaGroup[]): Layer {
  const layer = new Layer()
  for (const { partition, table, codec, changes } of groups) {
    const slot = makeSlot(partition, table)
    for (const change of changes) {
      if (change.type === 'range') {
        const range = { lower: prefixed(slot.prefix, change.key), upper: prefixed(slot.prefix, change.upper) }
        layer.deleteRange(slot, codec, range)
      } else {
        const cell = change.type === 'put' ? Cell.stored(change.value, change.expires) : Cell.tombstone()
        layer.set(slot, codec, bytesToMapKey(change.key), cell)
      }
    }
  }
  return layer
}
