/**
 * Spans: positions of sources that differ between the partitions of a log, because it was merged of several whose runs had come
 * unequally far (docs/format.md, "Entries"). Each run of partitions keeps its own until all are equal (S4).
 */
import type { ByteReader } from '../bytes/reader.js'
import { readPositions, type OffsetMap, type Position, type Positions } from './offsets.js'
import { MAX_PARTITIONS } from './delta.js'

/** Where the source stands for the partitions from `first` to `last`. */
export interface Span {
  readonly first: number
  readonly last: number
  readonly positions: Positions
}

export interface SourceSpans {
  /** The source has as many partitions as the store: position i is that of partition i. */
  readonly isAligned: boolean
  /** Ascending; together they are all partitions of the log. */
  readonly spans: readonly Span[]
}

/** By the name of the source. */
export type Spans = ReadonlyMap<string, SourceSpans>

export const NO_SPANS: Spans = new Map()

/** Where sources stand: those whose positions are the same for all partitions, and those whose are not. No source is in both. */
export interface Standing {
  readonly offsets: OffsetMap
  readonly spans: Spans
}

/** The offsets as they are shown: of positions that differ the lowest, and none where some partition has not begun. */
export function lowestOffsets({ offsets, spans: all }: Standing): OffsetMap {
  if (all.size === 0) return offsets
  const shown = new Map(offsets)
  for (const [source, { spans }] of all) {
    const lowest = new Map(spans[0]!.positions)
    for (const { positions } of spans) {
      for (const [partition, position] of lowest) {
        const other = positions.get(partition)
        if (other === undefined) lowest.delete(partition)
        else if (isBelow(other, position)) lowest.set(partition, other)
      }
    }
    shown.set(source, lowest)
  }
  return shown
}

/** Strings have no order: nothing is below or above them. */
export function isBelow(a: Position, b: Position): boolean {
  return typeof a !== 'string' && typeof b !== 'string' && a < b
}

const ALIGNED = 1

/** Reads the spans of a log of these partitions; where they are not known, of any. */
export function readSpans(r: ByteReader, own?: { readonly first: number; readonly last: number }): Spans {
  const all = new Map<string, SourceSpans>()
  for (let sources = r.count(3); sources > 0; sources--) {
    const name = r.string()
    const flags = r.u8()
    if (flags > ALIGNED) r.fail(`spans with flags ${flags}`)
    const spans: Span[] = []
    for (let left = r.count(3); left > 0; left--) {
      const [first, last] = [r.varint(), r.varint()]
      const before = spans.at(-1)
      if (first > last || last >= MAX_PARTITIONS || (before && before.last + 1 !== first)) r.fail('impossible spans')
      spans.push({ first, last, positions: readPositions(r) })
    }
    const [first, last] = [spans[0], spans.at(-1)]
    if (!first || all.has(name) || (own && (first.first !== own.first || last!.last !== own.last))) {
      r.fail('impossible spans')
    }
    all.set(name, { isAligned: flags === ALIGNED, spans })
  }
  return all
}
