/**
 * Which runs are worth rewriting because most of them counts for nothing: those of a shard that came of a split lie in its parents'
 * segments, clipped to its own partitions. Until they are rewritten, nobody can delete them.
 */
import { partitionOf } from '../../manifest/clip.js'
import type { Manifest, Run, SegmentRef } from '../../manifest/manifest.js'
import type { SegmentCache } from '../../segment/cache.js'

/** A run is rewritten when less than this part of its bytes counts. */
const WORTH = 1 / 2

/** The oldest run with segments of other logs of which less than half counts; `undefined` when there is none. */
export async function pickClipped(cache: SegmentCache, manifest: Manifest, log: string): Promise<Run | undefined> {
  for (const run of manifest.runs) {
    if (!run.some((segment) => segment.clip && segment.log !== log)) continue
    let [counts, all] = [0, 0]
    for (const segment of run) {
      counts += await countedBytes(cache, segment, manifest.config.partitions)
      all += segment.length
    }
    if (counts < all * WORTH) return run
  }
  return undefined
}

const counted = new WeakMap<SegmentRef, number>()

/**
 * About how many bytes of a segment belong to the partitions that count. Of a block with several partitions it takes them for equally
 * large.
 */
async function countedBytes(cache: SegmentCache, segment: SegmentRef, partitions: number): Promise<number> {
  const { clip, length } = segment
  if (clip === undefined) return length
  let bytes = counted.get(segment)
  if (bytes === undefined) {
    const { blocks } = cache.index(segment) ?? (await cache.loadIndex(segment, false))
    let [counts, all] = [0, 0]
    for (const [i, { separator, length: own }] of blocks.entries()) {
      const next = blocks[i + 1]?.separator
      const [first, last] = [partitionOf(separator), next ? partitionOf(next) : partitions - 1]
      const both = Math.min(last, clip[1]) - Math.max(first, clip[0]) + 1
      counts += (own * Math.max(0, both)) / (last - first + 1)
      all += own
    }
    bytes = all === 0 ? length : (length * counts) / all
    counted.set(segment, bytes)
  }
  return bytes
}
