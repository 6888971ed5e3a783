/** Small pieces of the engine, for tests of one part by itself: keys, memtables, and runs of segments in memory. */
import { memory } from 'tidemark/memory'
import { encodeKey, toMapKey, type Key } from '../../src/bytes/keys.js'
import * as pure from '../../src/bytes/pure.js'
import { Memtable } from '../../src/engine/memtable.js'
import { Point } from '../../src/engine/point.js'
import { makeSlot, prefixed, tableBytes, type Slot } from '../../src/engine/slot.js'
import type { SegmentRef } from '../../src/manifest/manifest.js'
import { refOf } from '../../src/manifest/ref.js'
import { SegmentCache } from '../../src/segment/cache.js'
import { ArrayCursor, type Cursor } from '../../src/segment/cursor.js'
import type { KeyedRecord, KeyRange } from '../../src/segment/record.js'
import { writeSegments } from '../../src/segment/writer.js'
import type { Storage } from '../../src/storage/contract.js'
import { atOnce } from '../../src/testing/at-once.js'
import type { CommitRequest } from '../../src/engine/write/requests.js'
import { NO_OFFSETS } from '../../src/log/offsets.js'

/** The default table of partition 0. */
export const SLOT = makeSlot(0, tableBytes(''))
export const LOG_ID = new Uint8Array(16).fill(1)
export const LOG_PATH = `s/0/${'01'.repeat(16)}`

/** A key as it is stored. */
export const keyAt = (key: Key, slot = SLOT): Uint8Array => prefixed(slot.prefix, encodeKey(key))

export const rangeOf = (from: Key, to: Key, slot = SLOT): KeyRange => ({
  lower: keyAt(from, slot),
  upper: keyAt(to, slot),
})

/** A value of one byte; `undefined`: a tombstone. */
export type Value = number | undefined

export function recordsOf(values: readonly (readonly [key: Key, value: Value])[], slot = SLOT): KeyedRecord[] {
  return values.map(([key, value]) => ({
    key: keyAt(key, slot),
    bytes: value === undefined ? undefined : Uint8Array.of(value),
    expires: 0,
  }))
}

export interface Changes {
  readonly puts?: readonly (readonly [key: Key, value: Value])[]
  readonly ranges?: readonly KeyRange[]
  readonly slot?: Slot
  readonly codec?: string
}

export function memtableOf({ puts = [], ranges = [], slot = SLOT, codec = 'json' }: Changes): Memtable {
  const memtable = new Memtable()
  memtable.deleteRanges(slot, codec, ranges)
  for (const [key, value] of puts) {
    const point = value === undefined ? Point.tombstone() : Point.stored(Uint8Array.of(value), 0)
    point.size = 10
    memtable.set(slot, codec, toMapKey(key), point)
  }
  return memtable
}

const MANY_SMALL = { segmentBytes: 100, blockBytes: 20, bloomBits: 10, deflateLevel: 0 }

/** Runs in a storage in memory, and what was asked of it. */
export class Runs {
  readonly storage: Storage
  readonly cache: SegmentCache
  /** The names of blobs, and from which byte they were read on. */
  readonly reads: { readonly name: string; readonly offset: number }[] = []
  #segments = 0

  /** `capacity`: what the cache keeps; 0 is nothing. */
  constructor(capacity = 1 << 20) {
    const whole = atOnce(memory())
    this.storage = {
      ...whole,
      blobs: {
        ...whole.blobs,
        put: (...given) => whole.blobs.put(...given),
        get: (name, options) => {
          this.reads.push({ name, offset: options?.range?.offset ?? 0 })
          return whole.blobs.get(name, options)
        },
      },
    }
    this.cache = new SegmentCache(this.storage, capacity)
  }

  /** Writes a run of small segments with few records in each block. */
  async write(
    records: readonly KeyedRecord[],
    ranges: readonly KeyRange[] = [],
    segmentBytes = MANY_SMALL.segmentBytes,
  ): Promise<SegmentRef[]> {
    const run: SegmentRef[] = []
    const emit = async (built: Parameters<typeof refOf>[0]): Promise<void> => {
      const id = new Uint8Array(16)
      new DataView(id.buffer).setUint32(0, ++this.#segments)
      const ref = refOf(built, LOG_PATH, id)
      await this.storage.blobs.put(ref.name, built.bytes)
      run.push(ref)
    }
    await writeSegments(pure, new ArrayCursor(records), ranges, { ...MANY_SMALL, segmentBytes }, emit, () => undefined)
    return run
  }
}

/** All that a cursor walks over: keys as stored, and values. */
export async function walk(cursor: Cursor): Promise<{ key: Uint8Array; value: Value }[]> {
  const seen: { key: Uint8Array; value: Value }[] = []
  for (;;) {
    await cursor.next()
    if (cursor.current === undefined) return seen
    seen.push({ key: cursor.current.key.slice(), value: cursor.current.bytes?.[0] })
  }
}

/** A commit of a memtable as the queue takes it, without anything else. */
export function requestOf(memtable: Memtable, change: Partial<CommitRequest> = {}): CommitRequest {
  return {
    memtable,
    offsets: NO_OFFSETS,
    force: false,
    label: undefined,
    meta: undefined,
    objection: () => undefined,
    kind: 'buffer',
    ...change,
  }
}
