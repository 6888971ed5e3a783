/**
 * Spans: positions of sources that differ between the partitions of a log, because it was merged of several whose runs had come
 * unequally far (docs/format.md, "Entries"). Each run of partitions keeps its own until all are equal (S4).
 */
import type { ByteReader } from '../bytes/reader.js'
import { readPositions, type Positions } from './offsets.js'
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

const ALIGNED = 1

export function readSpans(r: ByteReader): Spans {
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
    all.set(name, { isAligned: flags === ALIGNED, spans })
  }
  return all
}
