/**
 * Reads of one state under some uncommitted memtables: for one key, and in key order. Both ask the memtables first, newest
 * first, then the runs; both are plain code as long as what they need is in memory.
 */
import { compareBytes, countInFront } from '../bytes/compare.js'
import { keyHash } from '../bytes/hash.js'
import { mapKeyBytes, type MapKey } from '../bytes/keys.js'
import type { Run, SegmentRef } from '../manifest/manifest.js'
import { mayContain } from '../segment/bloom.js'
import type { Block } from '../segment/block.js'
import type { SegmentCache } from '../segment/cache.js'
import type { Bounds } from '../segment/cursor.js'
import { blockFor, type SegmentIndex } from '../segment/index.js'
import { isCovered } from '../segment/ranges.js'
import type { KeyRange, StoredRecord } from '../segment/record.js'
import { Memtable } from './memtable.js'
import { Point, type MemtableRecord } from './point.js'
import type { Rows } from './rows.js'
import { prefixed, type Slot } from './slot.js'
import { layersOf, type ShardState } from './state.js'

/** A view is what is read: uncommitted memtables over a state, newest first. All but the memtables is immutable. */
export interface View {
  readonly memtables: readonly Memtable[]
  /** The tail and the manifest, newest first: the layers of changes, then each run of segments. */
  readonly sources: readonly (Memtable | Run)[]
  readonly cache: SegmentCache
  /** The state that the sources make up, where they are all of one: by it a read that meets damage is repaired. */
  readonly state?: ShardState | undefined
  /** The rows of the newest state that were read one by one. */
  readonly rows?: Rows | undefined
}

const sourcesOf = new WeakMap<ShardState, readonly (Memtable | Run)[]>()

export function viewOf(state: ShardState, memtables: readonly Memtable[], cache: SegmentCache, rows?: Rows): View {
  let sources = sourcesOf.get(state)
  if (sources === undefined) {
    const oldestFirst: (Memtable | Run)[] = [...state.manifest.runs]
    for (const { memtable, references } of layersOf(state.tail)) {
      if (memtable) oldestFirst.push(memtable)
      if (references) oldestFirst.push(...references.runs)
    }
    sources = oldestFirst.reverse()
    sourcesOf.set(state, sources)
  }
  return { memtables, sources, cache, state, rows }
}

/** A read that cannot go on before something is loaded; the same look-up is repeated with `loaded` afterwards. */
export class Missing {
  constructor(readonly load: (loaded: Loaded) => Promise<void>) {}
}

/** The pieces that a look-up has loaded: they are found here even if the cache has let go of them meanwhile. */
type Loaded = Map<string, SegmentIndex | Uint8Array | Block>

/** Stands for nothing loaded, in a look-up that reads blocks in its own turn where the storage can do that. */
export const AT_ONCE: Loaded = new Map()

/**
 * The newest record of a key, perhaps a tombstone; `undefined` when there is none. `isShared`: it may be a row whose value was
 * decoded for another reader.
 */
export function lookUp(
  view: View,
  slot: Slot,
  key: MapKey,
  isShared = false,
  loaded?: Loaded,
): Point | StoredRecord | undefined | Missing {
  for (const memtable of view.memtables) {
    const point = memtable.find(slot, key)
    if (point !== undefined) return point
  }
  const { state } = view
  const rows = isShared ? view.rows : undefined
  const row = rows?.find(state!, slot, key)
  if (row !== undefined) return row
  const found = lookBelow(view, slot, key, loaded)
  // A point of the tail is found as quickly as a row.
  const isStored = found !== undefined && !(found instanceof Missing) && !(found instanceof Point)
  return rows && isStored ? rows.add(state!, slot, key, found) : found
}

/** The same of what is committed. */
function lookBelow(
  view: View,
  slot: Slot,
  key: MapKey,
  loaded: Loaded | undefined,
): Point | StoredRecord | undefined | Missing {
  let stored: Uint8Array | undefined
  let hash: number | undefined
  for (const source of view.sources) {
    if (source instanceof Memtable) {
      const point = source.find(slot, key)
      if (point !== undefined) return point
      continue
    }
    stored ??= prefixed(slot.prefix, mapKeyBytes(key))
    for (let at = firstSegment(source, stored); at < source.length; at++) {
      const segment = source[at]!
      if (compareBytes(segment.lower, stored) > 0) break
      if (!counts(segment, slot.partition)) continue
      // Where nothing older follows, nearly every key that is asked for is there, and a filter would be read for nothing.
      const filtered = source !== view.sources.at(-1) && segment.ranges === 0
      const found = findIn(view.cache, segment, stored, filtered, () => (hash ??= keyHash(stored!)), loaded)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** Looks a key up until all that it needs is loaded. */
export async function lookUpLoading(
  view: View,
  slot: Slot,
  key: MapKey,
  isShared = false,
): Promise<Point | StoredRecord | undefined> {
  const loaded: Loaded = new Map()
  for (;;) {
    const found = lookUp(view, slot, key, isShared, loaded)
    if (!(found instanceof Missing)) return found
    await found.load(loaded)
  }
}

/** Whether a segment says anything about a partition. */
export function counts(segment: SegmentRef, partition: number): boolean {
  return segment.clip === undefined || (partition >= segment.clip[0] && partition <= segment.clip[1])
}

/** The first segment whose upper bound is not below the key. */
function firstSegment(run: Run, key: Uint8Array): number {
  return countInFront(run.length, (i) => compareBytes(run[i]!.upper, key) < 0)
}

const TOMBSTONE: StoredRecord = { bytes: undefined, expires: 0 }

function findIn(
  cache: SegmentCache,
  segment: SegmentRef,
  key: Uint8Array,
  filtered: boolean,
  hash: () => number,
  loaded: Loaded | undefined,
): StoredRecord | undefined | Missing {
  const idOf = (piece: number | string): string => `${segment.name}#${piece}`
  const had = (piece: number | string): unknown => (loaded?.size ? loaded.get(idOf(piece)) : undefined)
  const filter = filtered ? ((had('filter') as Uint8Array | undefined) ?? cache.filter(segment)) : undefined
  if (filter && !mayContain(filter, hash())) return undefined
  const index = (had('index') as SegmentIndex | undefined) ?? cache.index(segment)
  if (index === undefined || (filtered && filter === undefined)) {
    return new Missing(async (into) => {
      into.set(idOf('index'), await cache.loadIndex(segment, filtered))
      if (filtered) into.set(idOf('filter'), cache.filter(segment) ?? new Uint8Array(0))
    })
  }
  const number = blockFor(index, key)
  if (number >= 0) {
    const block =
      (had(number) as Block | undefined) ??
      cache.block(segment, number) ??
      (loaded === AT_ONCE ? cache.blockNow(segment, index, number) : undefined)
    if (block === undefined) {
      return new Missing(async (into) => void into.set(idOf(number), await cache.loadBlock(segment, index, number)))
    }
    const record = block.find(key)
    if (record) return record
  }
  return isCovered(index.ranges, key) ? TOMBSTONE : undefined
}

/** The records of a slot as they are taken from its memtables, newest first; later changes do not show. */
export type Taken = readonly { readonly records: readonly MemtableRecord[]; readonly ranges: readonly KeyRange[] }[]

export function takeRecords({ memtables }: View, slot: Slot, bounds: Bounds): Taken {
  return memtables
    .filter((memtable) => memtable.slots.has(slot.id))
    .map((memtable) => ({ records: memtable.sorted(slot, bounds), ranges: memtable.ranges(slot) }))
}
