/** Counts the keys of a state where that is cheap, and estimates them elsewhere. */
import { bytesToMapKey, type Key } from '../bytes/keys.js'
import type { Run, SegmentRef } from '../manifest/manifest.js'
import type { SegmentCache } from '../segment/cache.js'
import { Memtable } from '../engine/memtable.js'
import { counts, lookUpLoading, viewOf, type View } from '../engine/read.js'
import { makeSlot } from '../engine/slot.js'
import { runsOf, type ShardState } from '../engine/state.js'
import { isSmall } from '../tools/stored.js'
import type { Table } from '../store/table.js'

export interface KeyCount {
  readonly keys: number
  /** Whether the number is exact; else it is about so many. */
  readonly isExact: boolean
}

/** A count reads at most so many bytes: a moment on any disk, a few requests of an object store. */
const CHEAP = { records: 100_000, bytes: 8 << 20 }

/** Whether the keys of a state can be counted in a moment. */
export function isCheap(state: ShardState): boolean {
  return isSmall(state, CHEAP)
}

export async function countKeys(table: Pick<Table<Key, Uint8Array>, 'keys'>): Promise<number> {
  let count = 0
  for await (const _ of table.keys()) count++
  return count
}

/** How many segments and blocks of a run an estimate looks into, and how many records of each block. */
const SAMPLED_SEGMENTS = 8
const SAMPLED_BLOCKS = 32
const SAMPLED_RECORDS = 8

/**
 * The number of keys: exact where one run has them all. Elsewhere a few blocks of each run show which part of its records is
 * the newest of its key, and the records of the run count by that part.
 */
export async function estimateKeys(state: ShardState, cache: SegmentCache, now: number): Promise<KeyCount> {
  const { tail } = state
  const runs = runsOf(state)
  const { puts, deletes, isPlain } = tailKeys(tail)
  // The numbers of a clipped segment are those of the whole one, and expired or deleted records are still counted in them.
  const isWhole = runs.flat().every(({ clip, ranges, expires }) => !clip && ranges === 0 && expires === 0)
  if (isWhole && isPlain && runs.length + puts + deletes === 0) return { keys: 0, isExact: true }
  if (isWhole && isPlain && runs.length === 0 && deletes === 0) return { keys: puts, isExact: true }
  if (isWhole && runs.length === 1 && puts + deletes === 0) {
    return { keys: sum(runs[0]!, 'records') - sum(runs[0]!, 'tombstones'), isExact: true }
  }
  const view = viewOf(state, [], cache)
  let keys = puts
  for (const [i, source] of view.sources.entries()) {
    if (source instanceof Memtable) continue
    const newer = { ...view, sources: view.sources.slice(0, i) }
    keys += sum(source, 'records') * (await newestPart(cache, source, newer, now))
  }
  return { keys: Math.round(keys), isExact: false }
}

/** The part of a run's records that have a value which nothing newer hides. */
async function newestPart(cache: SegmentCache, run: Run, newer: View, now: number): Promise<number> {
  let [seen, newest] = [0, 0]
  const segments = spread(run, SAMPLED_SEGMENTS)
  for (const segment of segments) {
    const index = cache.index(segment) ?? (await cache.loadIndex(segment, false))
    for (const number of spread([...index.blocks.keys()], SAMPLED_BLOCKS / segments.length)) {
      const block = await cache.loadBlock(segment, index, number)
      for (const at of spread(
        Array.from({ length: block.length }, (_, i) => i),
        SAMPLED_RECORDS,
      )) {
        const { key, bytes, expires } = block.record(at)
        const slot = makeSlot((key[0]! << 8) | key[1]!, key.slice(3, 3 + key[2]!))
        seen++
        if (bytes === undefined || (expires > 0 && expires <= now) || !counts(segment, slot.partition)) continue
        const found = await lookUpLoading(newer, slot, bytesToMapKey(key.slice(slot.prefix.length)))
        if (found === undefined) newest++
      }
    }
  }
  return seen === 0 ? 0 : newest / seen
}

/** At most `most` of the items, evenly spread. */
function spread<T>(all: readonly T[], most: number): T[] {
  const length = Math.min(Math.ceil(most), all.length)
  const step = all.length / length
  return Array.from({ length }, (_, i) => all[Math.floor((i + 0.5) * step)]!)
}

/** Counts the keys that the tail changes in memory, by their newest change. A plain tail has no expiry and no range delete. */
function tailKeys(tail: ShardState['tail']): { puts: number; deletes: number; isPlain: boolean } {
  const slots = new Map<string, Map<unknown, boolean>>()
  let isPlain = true
  for (const { memtable } of tail) {
    for (const [id, { points, ranges }] of memtable?.slots ?? []) {
      if (ranges.length > 0) isPlain = false
      const slot = slots.get(id) ?? new Map<unknown, boolean>()
      slots.set(id, slot)
      for (const [key, point] of points) {
        if (point.expires > 0) isPlain = false
        slot.set(key, !point.deleted)
      }
    }
  }
  const changes = [...slots.values()].flatMap((slot) => [...slot.values()])
  const puts = changes.filter((isPut) => isPut).length
  return { puts, deletes: changes.length - puts, isPlain }
}

function sum(segments: readonly SegmentRef[], field: 'records' | 'tombstones'): number {
  return segments.reduce((total, segment) => total + segment[field], 0)
}
