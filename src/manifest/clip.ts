/** Manifests put together from the partitions of several: pure functions on runs (R5, S1). */
import { compareBytes } from '../bytes/compare.js'
import { partitionPrefix } from '../segment/record.js'
import type { Run, SegmentRef } from './manifest.js'

/** Partitions from the first to the last. */
export type PartitionRange = readonly [first: number, last: number]

/** The partitions that are in both. */
export function overlap([a, b]: PartitionRange, [c, d]: PartitionRange): PartitionRange | undefined {
  const range: PartitionRange = [Math.max(a, c), Math.min(b, d)]
  return range[0] <= range[1] ? range : undefined
}

/**
 * The runs of `mine` for all partitions but `chosen`, those of `theirs` for the chosen ones. Runs of one depth become one:
 * no key is in both, and so their number never grows beyond that of the deeper stack.
 */
export function spliceRuns(
  mine: readonly Run[],
  theirs: readonly Run[],
  chosen: ReadonlySet<number>,
  partitions: number,
): Run[] {
  const ranges = partitionRanges(chosen, partitions)
  return Array.from({ length: Math.max(mine.length, theirs.length) }, (_, depth) =>
    joined(
      ranges.flatMap(({ range, isChosen }) => {
        const run = (isChosen ? theirs : mine)[depth] ?? []
        return run.flatMap((segment) => clip(segment, range) ?? [])
      }),
    ),
  ).filter((run) => run.length > 0)
}

/** All partitions, as ranges of which each is chosen or not. */
export function partitionRanges(
  chosen: ReadonlySet<number>,
  partitions: number,
): { range: PartitionRange; isChosen: boolean }[] {
  const ranges: { range: PartitionRange; isChosen: boolean }[] = []
  for (let first = 0; first < partitions;) {
    const isChosen = chosen.has(first)
    let last = first
    while (last + 1 < partitions && chosen.has(last + 1) === isChosen) last++
    ranges.push({ range: [first, last], isChosen })
    first = last + 1
  }
  return ranges
}

/** The part of a segment that lies in the range; `undefined` when none does. */
export function clip(segment: SegmentRef, wanted: PartitionRange): SegmentRef | undefined {
  const own = rangeOf(segment)
  const range = overlap(wanted, own)
  if (range === undefined) return undefined
  if (range[0] === own[0] && range[1] === own[1]) return segment
  const [from, to] = [partitionPrefix(range[0]), partitionPrefix(range[1] + 1)]
  return {
    ...segment,
    clip: range,
    lower: compareBytes(segment.lower, from) < 0 ? from : segment.lower,
    upper: compareBytes(segment.upper, to) > 0 ? to : segment.upper,
  }
}

/** The partitions that a segment may hold anything of. */
function rangeOf({ clip: range, lower, upper }: SegmentRef): PartitionRange {
  return range ?? [partitionOf(lower), partitionOf(upper)]
}

/** The partition with which a key of a segment begins (docs/format.md, "Segments"). */
export function partitionOf(bound: Uint8Array): number {
  return ((bound[0] ?? 0) << 8) | (bound[1] ?? 0)
}

/** Pieces of one segment that lie side by side become one again. */
export function joined(run: readonly SegmentRef[]): SegmentRef[] {
  const result: SegmentRef[] = []
  for (const segment of run) {
    const before = result.at(-1)
    if (before?.name === segment.name && rangeOf(before)[1] + 1 === rangeOf(segment)[0]) {
      const range: PartitionRange = [rangeOf(before)[0], rangeOf(segment)[1]]
      result[result.length - 1] = { ...before, clip: range, upper: segment.upper }
    } else result.push(segment)
  }
  return result
}
