/** Manifests put together from the partitions of two: pure functions on runs (R5). */
import { compareBytes } from '../bytes/compare.js'
import { partitionPrefix } from '../segment/record.js'
import type { Run, SegmentRef } from './manifest.js'

export type Span = readonly [first: number, last: number]

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
  const spans = spansOf(chosen, partitions)
  return Array.from({ length: Math.max(mine.length, theirs.length) }, (_, depth) =>
    joined(
      spans.flatMap(({ span, isChosen }) => {
        const run = (isChosen ? theirs : mine)[depth] ?? []
        return run.flatMap((segment) => clip(segment, span) ?? [])
      }),
    ),
  ).filter((run) => run.length > 0)
}

/** All partitions, as spans of which each is chosen or not. */
export function spansOf(chosen: ReadonlySet<number>, partitions: number): { span: Span; isChosen: boolean }[] {
  const spans: { span: Span; isChosen: boolean }[] = []
  for (let first = 0; first < partitions;) {
    const isChosen = chosen.has(first)
    let last = first
    while (last + 1 < partitions && chosen.has(last + 1) === isChosen) last++
    spans.push({ span: [first, last], isChosen })
    first = last + 1
  }
  return spans
}

/** The part of a segment that lies in the span; `undefined` when none does. */
function clip(segment: SegmentRef, [first, last]: Span): SegmentRef | undefined {
  const held = spanOf(segment)
  const span: Span = [Math.max(first, held[0]), Math.min(last, held[1])]
  if (span[0] > span[1]) return undefined
  if (span[0] === held[0] && span[1] === held[1]) return segment
  const [from, to] = [partitionPrefix(span[0]), partitionPrefix(span[1] + 1)]
  return {
    ...segment,
    clip: span,
    lower: compareBytes(segment.lower, from) < 0 ? from : segment.lower,
    upper: compareBytes(segment.upper, to) > 0 ? to : segment.upper,
  }
}

/** The partitions that a segment may hold anything of. */
function spanOf({ clip: span, lower, upper }: SegmentRef): Span {
  return span ?? [partitionOf(lower), partitionOf(upper)]
}

function partitionOf(bound: Uint8Array): number {
  return ((bound[0] ?? 0) << 8) | (bound[1] ?? 0)
}

/** Pieces of one segment that lie side by side become one again. */
function joined(run: readonly SegmentRef[]): SegmentRef[] {
  const result: SegmentRef[] = []
  for (const segment of run) {
    const before = result.at(-1)
    if (before?.name === segment.name && spanOf(before)[1] + 1 === spanOf(segment)[0]) {
      const span: Span = [spanOf(before)[0], spanOf(segment)[1]]
      result[result.length - 1] = { ...before, clip: span, upper: segment.upper }
    } else result.push(segment)
  }
  return result
}
