/**
 * Where sources stand in shards that were split and merged (S4): pure functions. Positions belong to partitions. A child of one parent
 * takes its positions over. Merged, each run of partitions keeps those of its parent where they differ, as spans, until a run has
 * read the source up to where all are equal; then they are plain offsets again.
 */
import { mergeOffsets } from '../../log/merge-offsets.js'
import type { OffsetMap, Position, Positions } from '../../log/offsets.js'
import { isBelow, type SourceSpans, type Span, type Spans, type Standing } from '../../log/spans.js'
import { overlap, type PartitionRange } from '../../manifest/clip.js'

interface Range {
  readonly first: number
  readonly last: number
}

/** Where the sources stand for these partitions. */
export interface Part {
  readonly range: PartitionRange
  readonly standing: Standing
}

const NOTHING: Positions = new Map()

/**
 * Where sources stand in a log of these partitions, which is made of `parts`. Each partition is in one of them; they come in any order.
 * A source that some part does not know is read from its beginning there.
 */
export function standingOf(parts: readonly Part[], range: PartitionRange): Standing {
  const cut = parts
    .flatMap(({ range: own, standing }) => {
      const both = overlap(own, range)
      return both ? [{ range: both, standing }] : []
    })
    .sort((a, b) => a.range[0] - b.range[0])
  const offsets = new Map<string, Positions>()
  const spans = new Map<string, SourceSpans>()
  for (const source of new Set(cut.flatMap(({ standing }) => [...standing.offsets.keys(), ...standing.spans.keys()]))) {
    const all = cut.flatMap((part) => spansIn(part, source))
    const isAligned = cut.some(({ standing }) => standing.spans.get(source)?.isAligned)
    put(offsets, spans, source, { isAligned, spans: all })
  }
  return { offsets, spans }
}

/**
 * `standing` after a commit that says where the sources in `next` stand, by hand. A position is laid over those of all partitions: one
 * that is below the highest of them goes back, which is `INVALID_ARGUMENT` unless `force`.
 */
export function laidOver(standing: Standing, next: OffsetMap, force: boolean): Standing {
  const offsets = new Map(standing.offsets)
  const spans = new Map(standing.spans)
  for (const [source, positions] of next) {
    const known = standing.spans.get(source)
    const over = (before: Positions, backwards: boolean): Positions =>
      mergeOffsets(new Map([[source, before]]), new Map([[source, positions]]), backwards).get(source)!
    if (known === undefined) {
      offsets.set(source, over(standing.offsets.get(source) ?? NOTHING, force))
      continue
    }
    over(highest(known.spans), force)
    const laid = known.spans.map((span) => ({ ...span, positions: over(span.positions, true) }))
    put(offsets, spans, source, { ...known, spans: laid })
  }
  return { offsets, spans }
}

/** `standing` after a run has moved sources: these are their spans now, and those that are equal are plain offsets. */
export function movedTo(standing: Standing, moved: Spans): Standing {
  const offsets = new Map(standing.offsets)
  const spans = new Map(standing.spans)
  for (const [source, to] of moved) put(offsets, spans, source, to)
  return { offsets, spans }
}

/**
 * Where sources stand after a restore in a log of these partitions: the chosen ones, or all, go back to where they stood then. What is
 * given by hand is laid over that.
 */
export function restored(
  now: Standing,
  then: Standing,
  chosen: ReadonlySet<number> | undefined,
  given: OffsetMap,
  range: PartitionRange,
): Standing {
  const parts: Part[] = []
  for (let first = range[0]; first <= range[1];) {
    const goesBack = !chosen || chosen.has(first)
    let last = chosen ? first : range[1]
    while (last < range[1] && chosen?.has(last + 1) === goesBack) last++
    parts.push({ range: [first, last], standing: goesBack ? then : now })
    first = last + 1
  }
  return laidOver(standingOf(parts, range), given, true)
}

/** The partitions of a log; all, where it has them. */
export function partitionsOf(own: Range | undefined, partitions: number): PartitionRange {
  return own ? [own.first, own.last] : [0, partitions - 1]
}

function highest(spans: readonly Span[]): Positions {
  const all = new Map<number | undefined, Position>()
  for (const { positions } of spans) {
    for (const [partition, position] of positions) {
      const before = all.get(partition)
      if (before === undefined || isBelow(before, position)) all.set(partition, position)
    }
  }
  return all
}

/** Records where a source stands, in the shorter form. */
function put(
  offsets: Map<string, Positions>,
  all: Map<string, SourceSpans>,
  source: string,
  { isAligned, spans }: SourceSpans,
): void {
  const few = molten(spans)
  offsets.delete(source)
  all.delete(source)
  if (few.length > 1) all.set(source, { isAligned, spans: few })
  else if (few[0] && few[0].positions.size > 0) offsets.set(source, few[0].positions)
}

/** Neighbouring spans that are equal are one. */
function molten(spans: readonly Span[]): readonly Span[] {
  const few: Span[] = []
  for (const span of spans) {
    const before = few.at(-1)
    if (before && samePositions(before.positions, span.positions)) few[few.length - 1] = { ...before, last: span.last }
    else few.push(span)
  }
  return few
}

/** Where a source stands in a part, as spans. */
function spansIn({ range, standing }: Part, source: string): readonly Span[] {
  const known = standing.spans.get(source)
  if (known === undefined)
    return [{ first: range[0], last: range[1], positions: standing.offsets.get(source) ?? NOTHING }]
  return known.spans.flatMap(({ first, last, positions }) => {
    const both = overlap([first, last], range)
    return both ? [{ first: both[0], last: both[1], positions }] : []
  })
}

export function samePositions(a: Positions, b: Positions): boolean {
  return a.size === b.size && [...a].every(([partition, position]) => b.get(partition) === position)
}
