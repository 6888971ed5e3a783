/**
 * Cursors walk records in key order, in either direction. They are made of plain calls: `next` returns a promise only when
 * something has to be loaded, so that nothing is awaited for what is already in memory.
 */
import { compareBytes } from '../bytes/compare.js'
import type { Block } from './block.js'
import type { SegmentParts } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { blockFor, type SegmentIndex } from './index.js'
import { partitionPrefix, type KeyedRecord, type KeyRange } from './record.js'

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
  readonly #parts: SegmentParts
  readonly #segments: readonly BoundedSegment[]
  /** Of the segment that it is in. */
  #bounds: Bounds
  readonly #all: Bounds
  #segment = -1
  #index: SegmentIndex | undefined
  #blockNumber = 0
  #block: Block | undefined
  #record = 0
  current: KeyedRecord | undefined

  constructor(parts: SegmentParts, run: readonly BoundedSegment[], bounds: Bounds) {
    this.#parts = parts
    this.#bounds = bounds
    this.#all = bounds
    const within = run.filter((s) => meets(s, bounds))
    this.#segments = bounds.reverse ? within.reverse() : within
  }

  next(): Promise<void> | undefined {
    for (;;) {
      if (this.#block !== undefined) {
        this.#record += this.#bounds.reverse ? -1 : 1
        if (this.#record >= 0 && this.#record < this.#block.length) {
          const key = this.#block.key(this.#record)
          const beyond = this.#bounds.reverse
            ? compareBytes(key, this.#bounds.lower) < 0
            : compareBytes(key, this.#bounds.upper) >= 0
          if (!beyond) {
            this.current = this.#block.record(this.#record)
            return undefined
          }
          this.#index = undefined
        }
      }
      this.#block = undefined
      this.current = undefined
      const loading = this.#nextBlock()
      if (loading !== undefined) return loading.then(() => this.next())
      if (this.#block === undefined) return undefined
    }
  }

  /** Comes to the next block in the direction of travel, just before its first record within the bounds. */
  #nextBlock(): Promise<void> | undefined {
    for (;;) {
      if (this.#index !== undefined) {
        this.#blockNumber += this.#bounds.reverse ? -1 : 1
        if (this.#blockNumber >= 0 && this.#blockNumber < this.#index.blocks.length) return this.#enterBlock()
        this.#index = undefined
      }
      if (++this.#segment >= this.#segments.length) return undefined
      const place = this.#segments[this.#segment]!
      this.#bounds = clipped(place, this.#all)
      const index = this.#parts.index(place)
      if (index === undefined) {
        return this.#parts.loadIndex(place, false).then((loaded) => {
          this.#enterSegment(loaded)
          return this.#nextBlock()
        })
      }
      this.#enterSegment(index)
    }
  }

  #enterSegment(index: SegmentIndex): void {
    this.#index = index
    const { lower, upper, reverse } = this.#bounds
    // One step before the first block of interest: #nextBlock takes that step.
    this.#blockNumber = reverse ? blockFor(index, upper) + 1 : Math.max(0, blockFor(index, lower)) - 1
  }

  #enterBlock(): Promise<void> | undefined {
    const place = this.#segments[this.#segment]!
    const cached = this.#parts.block(place, this.#blockNumber)
    if (cached !== undefined) {
      this.#startIn(cached)
      return undefined
    }
    return this.#parts.loadBlock(place, this.#index!, this.#blockNumber).then((block) => this.#startIn(block))
  }

  #startIn(block: Block): void {
    this.#block = block
    this.#record = this.#bounds.reverse
      ? block.lowerBound(this.#bounds.upper)
      : block.lowerBound(this.#bounds.lower) - 1
  }
}

/** Whether a segment, whose bounds both count, says anything about keys in a range. */
export function meets(segment: KeyRange, { lower, upper }: KeyRange): boolean {
  return compareBytes(segment.upper, lower) >= 0 && compareBytes(segment.lower, upper) < 0
}

/** The range deletes of a run within the bounds; a promise only when an index has to be loaded. */
export function runRanges(
  parts: SegmentParts,
  run: readonly BoundedSegment[],
  bounds: KeyRange,
): readonly KeyRange[] | Promise<readonly KeyRange[]> {
  const having = run.filter((s) => s.ranges > 0 && meets(s, bounds))
  if (having.length === 0) return []
  const load = async (s: BoundedSegment): Promise<readonly KeyRange[]> => {
    const { ranges } = parts.index(s) ?? (await parts.loadIndex(s, false))
    if (s.clip === undefined) return ranges
    return ranges.map((range) => clipped(s, range)).filter(({ lower, upper }) => compareBytes(lower, upper) < 0)
  }
  return Promise.all(having.map(load)).then((ranges) => ranges.flat())
}
