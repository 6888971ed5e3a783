/** Where sources stand in a log that comes of others: each run of partitions goes on from where its own parent stood (S4). */
import type { OffsetMap, Positions } from '../../log/offsets.js'
import { sameOffsets } from '../../log/same-offsets.js'
import type { SourceSpans, Span, Spans } from '../../log/spans.js'

/** A parent's partitions, and where its sources stand. */
export interface ParentPositions {
  readonly first: number
  readonly last: number
  readonly offsets: OffsetMap
  readonly spans: Spans
}

const NOWHERE: Positions = new Map()

/** The positions of these partitions: as spans where they differ, else as one. */
export function positionsOf(
  parents: readonly ParentPositions[],
  { first, last }: { readonly first: number; readonly last: number },
): { readonly offsets: OffsetMap; readonly spans: Spans } {
  const offsets = new Map<string, Positions>()
  const spans = new Map<string, SourceSpans>()
  const sources = new Set(parents.flatMap((parent) => [...parent.offsets.keys(), ...parent.spans.keys()]))
  for (const source of sources) {
    const all = parents.flatMap((parent) => spansOf(parent, source)).flatMap((span) => cut(span, first, last))
    const melted = melt(all.sort((a, b) => a.first - b.first))
    if (melted.length === 1) offsets.set(source, melted[0]!.positions)
    else {
      const isAligned = parents.every((parent) => parent.spans.get(source)?.isAligned ?? true)
      spans.set(source, { isAligned: isAligned && parents.some(({ spans: own }) => own.has(source)), spans: melted })
    }
  }
  return { offsets, spans }
}

function spansOf({ first, last, offsets, spans }: ParentPositions, source: string): readonly Span[] {
  return spans.get(source)?.spans ?? [{ first, last, positions: offsets.get(source) ?? NOWHERE }]
}

function cut(span: Span, first: number, last: number): Span[] {
  const own = { ...span, first: Math.max(first, span.first), last: Math.min(last, span.last) }
  return own.first <= own.last ? [own] : []
}

/** Neighbours that stand at the same positions become one. */
export function melt(spans: readonly Span[]): Span[] {
  const melted: Span[] = []
  for (const span of spans) {
    const before = melted.at(-1)
    if (before && samePositions(before.positions, span.positions))
      melted[melted.length - 1] = { ...before, last: span.last }
    else melted.push(span)
  }
  return melted
}

function samePositions(a: Positions, b: Positions): boolean {
  return sameOffsets(new Map([['', a]]), new Map([['', b]]))
}
