/**
 * Cursors walk records in key order, in either direction. They are made of plain calls: `next` returns a promise only when
 * something has to be loaded, so that nothing is awaited for what is already in memory.
 */
import { compareBytes } from '../bytes/compare.js'
import { isPromise } from '../callback.js'
import type { Block, ValueSource } from './block.js'
import type { SegmentPieces } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { blockFor, type SegmentIndex } from './index.js'
import { partitionPrefix, type Decode, type KeyedRecord, type KeyRange } from './record.js'

export interface Cursor {
  /** The record under the cursor; `undefined` before the first `next` and after the last record. */
  readonly current: KeyedRecord | undefined
  /** Moves on by one; the promise, if any, has to be awaited before `current` is looked at. */
  next(): Promise<void> | undefined
}

/** A stretch of keys: from `lower` on, below `upper`. */
export interface Bounds extends KeyRange {
  readonly reverse: boolean
}

/** Walks records that are already sorted ascending and within the bounds. */
export class ArrayCursor implements Cursor {
  readonly #records: readonly KeyedRecord[]
  readonly #step: number
  #at: number

  constructor(records: readonly KeyedRecord[], reverse = false) {
    this.#records = records
    this.#step = reverse ? -1 : 1
    this.#at = reverse ? records.length : -1
  }

  get current(): KeyedRecord | undefined {
    return this.#records[this.#at]
  }

  next(): undefined {
    this.#at += this.#step
  }
}

/** A segment as a run lists it: its bounds may be wider than its keys, never narrower. */
export interface BoundedSegment extends SegmentPlace {
  readonly lower: Uint8Array
  readonly upper: Uint8Array
  /** How many range deletes it has. */
  readonly ranges: number
  /** Only these partitions of it count, first to last; `undefined`: all. */
  readonly clip: readonly [number, number] | undefined
}

/** The part of `bounds` that counts in a segment. */
export function clipped<B extends KeyRange>({ clip }: Pick<BoundedSegment, 'clip'>, bounds: B): B {
  if (clip === undefined) return bounds
  const [lower, upper] = [partitionPrefix(clip[0]), partitionPrefix(clip[1] + 1)]
  return {
    ...bounds,
    lower: compareBytes(bounds.lower, lower) < 0 ? lower : bounds.lower,
    upper: compareBytes(bounds.upper, upper) > 0 ? upper : bounds.upper,
  }
}

/** Walks one run: segments that lie one after another in key order. */
export class RunCursor implements Cursor {
  readonly #steps: Steps
  readonly #step: number
  #stretch: Stretch | undefined
  #at = 0
  current: KeyedRecord | undefined

  constructor(pieces: SegmentPieces, run: readonly BoundedSegment[], bounds: Bounds) {
    this.#steps = walk(pieces, run, bounds)
    this.#step = bounds.reverse ? -1 : 1
  }

  next(): Promise<void> | undefined {
    const stretch = this.#stretch
    this.#at += this.#step
    if (stretch === undefined || this.#at < stretch.from || this.#at >= stretch.to) return this.#move(undefined)
    this.current = stretch.record(this.#at)
    return undefined
  }

  /** To the next stretch. */
  #move(loaded: unknown): Promise<void> | undefined {
    const { value } = this.#steps.next(loaded)
    this.#stretch = undefined
    this.current = undefined
    if (isPromise(value)) return value.then((loaded) => this.#move(loaded))
    if (value === undefined) return undefined
    this.#stretch = value
    this.#at = this.#step < 0 ? value.to - 1 : value.from
    this.current = value.record(this.#at)
    return undefined
  }
}

/** Records of one block that lie within the bounds, at least one: from `from` on, below `to`. */
class Stretch implements ValueSource {
  readonly #pieces: SegmentPieces
  readonly #block: Block
  #texts: ReturnType<Block['texts']> | undefined

  constructor(
    pieces: SegmentPieces,
    block: Block,
    readonly from: number,
    readonly to: number,
  ) {
    this.#pieces = pieces
    this.#block = block
  }

  record(i: number): KeyedRecord {
    return this.#block.record(i, this)
  }

  /** The value of a record, as it was decoded when it was first asked for, where that is kept. */
  value(i: number, bytes: Uint8Array, decode: Decode): unknown {
    const known = this.#block.kept?.values[i]
    if (known !== undefined) return known
    const value = decode(bytes, (this.#texts ??= this.#block.texts())(i))
    this.#pieces.keepValue?.(this.#block, i, value, VALUE + 2 * bytes.length)
    return value
  }
}

/** About how many bytes a decoded value takes beside twice those of its JSON. */
const VALUE = 72

type Steps = Generator<Stretch | Promise<unknown>, undefined, unknown>

/** Yields stretches, and what has to be loaded before the next one; it is handed that in return. */
function* walk(pieces: SegmentPieces, run: readonly BoundedSegment[], all: Bounds): Steps {
  const { reverse } = all
  const step = reverse ? -1 : 1
  const segments = run.filter((s) => meets(s, all))
  for (const place of reverse ? segments.reverse() : segments) {
    const { lower, upper } = clipped(place, all)
    const index = pieces.index(place) ?? ((yield pieces.loadIndex(place, false)) as SegmentIndex)
    const { length } = index.blocks
    let isBeyond = false
    let n = reverse ? blockFor(index, upper) : Math.max(0, blockFor(index, lower))
    for (; n >= 0 && n < length && !isBeyond; n += step) {
      let block = pieces.block(place, n)
      // Only what is used again: a walk through more than there is room for would keep what nobody comes back to.
      if (block) block.kept ??= { values: [], taken: 0 }
      block ??= pieces.blockNow?.(place, index, n) ?? ((yield pieces.loadBlock(place, index, n)) as Block)
      const [from, to] = [block.lowerBound(lower), block.lowerBound(upper)]
      if (from < to) yield new Stretch(pieces, block, from, to)
      isBeyond = reverse ? from > 0 : to < block.length
    }
  }
  return undefined
}

/** Whether a segment, whose bounds both count, says anything about keys in a range. */
export function meets(segment: KeyRange, { lower, upper }: KeyRange): boolean {
  return compareBytes(segment.upper, lower) >= 0 && compareBytes(segment.lower, upper) < 0
}

/** The range deletes of a run within the bounds; a promise only when an index has to be loaded. */
export function runRanges(
  pieces: SegmentPieces,
  run: readonly BoundedSegment[],
  bounds: KeyRange,
): readonly KeyRange[] | Promise<readonly KeyRange[]> {
  const having = run.filter((s) => s.ranges > 0 && meets(s, bounds))
  if (having.length === 0) return []
  const load = async (s: BoundedSegment): Promise<readonly KeyRange[]> => {
    const { ranges } = pieces.index(s) ?? (await pieces.loadIndex(s, false))
    if (s.clip === undefined) return ranges
    return ranges.map((range) => clipped(s, range)).filter(({ lower, upper }) => compareBytes(lower, upper) < 0)
  }
  return Promise.all(having.map(load)).then((ranges) => ranges.flat())
}
