/** How many keys a state has: counted where that is cheap, else what its segments say of themselves. */
import type { Key } from '../bytes/keys.js'
import type { SegmentRef } from '../manifest/manifest.js'
import { segmentsOf, tailBytes, type ShardState } from '../shard/state.js'
import type { Table } from '../store/table.js'

export interface KeyCount {
  readonly keys: number
  /** Whether it is that number; else about so many. */
  readonly isExact: boolean
}

/** What is read for a count: a moment on any disk, a few requests of an object store. */
const CHEAP_BYTES = 8 << 20
const CHEAP_RECORDS = 100_000

/** Whether the keys of a state can be walked in a moment. */
export function isCheap(state: ShardState): boolean {
  const live = segmentsOf(state)
  return sum(live, 'length') + tailBytes(state) <= CHEAP_BYTES && sum(live, 'records') <= CHEAP_RECORDS
}

export async function countKeys(table: Pick<Table<Key, Uint8Array>, 'keys'>): Promise<number> {
  let count = 0
  for await (const _ of table.keys()) count++
  return count
}

/**
 * From what the segments and the tail say of themselves. A key that was written again stands in several runs and is counted
 * for each; merging sees to it that this is at most about once too often.
 */
export function estimateKeys({ manifest, tail }: ShardState): KeyCount {
  const [oldest = [], ...newer] = [...manifest.runs, ...tail.flatMap(({ references }) => references?.runs ?? [])]
  const all = [oldest, ...newer].flat()
  // What a tombstone deletes stands in an older run.
  const stored = sum(oldest, 'records') - sum(oldest, 'tombstones')
  const above = sum(newer.flat(), 'records') - 2 * sum(newer.flat(), 'tombstones')
  const { puts, deletes, isPlain } = tailKeys(tail)
  const isOne = all.length === 0 ? deletes === 0 : newer.length === 0 && puts + deletes === 0
  // The numbers of a piece are those of the whole segment; what has expired or lies beneath a range delete is still there.
  const isWhole = all.every(({ clip, ranges, expires }) => !clip && ranges === 0 && expires === 0)
  return { keys: Math.max(0, stored + above + puts - deletes), isExact: isOne && isWhole && isPlain }
}

/** The keys that the tail changes in memory, each by its newest change; plain ones neither expire nor lie in deleted ranges. */
function tailKeys(tail: ShardState['tail']): { puts: number; deletes: number; isPlain: boolean } {
  const slots = new Map<string, Map<unknown, boolean>>()
  let isPlain = true
  for (const { layer } of tail) {
    for (const [id, { points, ranges }] of layer?.slots ?? []) {
      if (ranges.length > 0) isPlain = false
      const slot = slots.get(id) ?? new Map<unknown, boolean>()
      slots.set(id, slot)
      for (const [key, cell] of points) {
        if (cell.expires > 0) isPlain = false
        slot.set(key, cell.bytes !== undefined)
      }
    }
  }
  const changes = [...slots.values()].flatMap((slot) => [...slot.values()])
  const puts = changes.filter((isPut) => isPut).length
  return { puts, deletes: changes.length - puts, isPlain }
}

function sum(segments: readonly SegmentRef[], field: 'records' | 'tombstones' | 'length'): number {
  return segments.reduce((total, segment) => total + segment[field], 0)
}
