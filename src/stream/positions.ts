/**
 * How far each partition of one source has been read. An event that was handled moves the `next` of its partition, and a
 * commit writes the positions that have moved. An event below its partition's `next` was handled before, in this run or an
 * earlier one.
 *
 * In a shard that was merged the runs of partitions may have come unequally far (S4). A source with as many partitions as the
 * store is read on from where each partition stands. Any other is read from the lowest position, and an event is left out if
 * the partition that it belongs to is ahead of it, until all are equal. Strings have no order, so that nobody knows which is the
 * lowest: where they differ the source is read once for each run of partitions, in a **lane** of its own, until all are equal.
 */
import { invalid } from '../errors.js'
import type { Offsets, Position, Positions as PositionMap } from '../log/offsets.js'
import { isBelow, type Spans, type Standing } from '../log/spans.js'
import type { PartitionRange } from '../manifest/clip.js'
import type { SourceEvent } from './source.js'

/** Partitions of the store for which a source is read on from the same positions. */
interface Reached {
  readonly first: number
  readonly last: number
  /** By the partitions of the source. */
  readonly next: (Position | undefined)[]
}

/** The positions that a commit writes. */
export interface Taken {
  readonly offsets: Offsets
  /** All of them, where the store has positions that differ between its partitions. */
  readonly moved: Spans | undefined
}

export class Positions {
  readonly #source: string
  readonly #partitions: number
  readonly #range: PartitionRange
  readonly #isAligned: boolean
  /** Whether the store holds one position for this source, not one per partition. It goes on doing so. */
  #single = false
  /** More than one while they differ. */
  #reached: readonly Reached[] = []
  /** The lowest of them; of no meaning where each has a lane of its own. */
  #next: (Position | undefined)[] = []
  /** Each has a lane of its own. */
  #isApart = false
  /** The positions as of the newest commit that this run knows of. */
  #committed: readonly Reached[] = []
  /** Whether the store holds spans for this source. */
  #hasSpans = false
  readonly #moved = new Set<number>()

  /** `range`: the partitions of the shard. `isAligned`: the source has as many partitions as the store. */
  constructor(source: string, partitions: number, standing: Standing, range: PartitionRange, isAligned: boolean) {
    this.#source = source
    this.#partitions = partitions
    this.#range = range
    this.#isAligned = isAligned
    this.#begin(standing)
  }

  /** Goes on from what is committed. */
  #begin(standing: Standing): void {
    this.#moved.clear()
    this.#hasSpans = standing.spans.has(this.#source)
    this.#committed = this.#read(standing)
    this.#reached = this.#committed.map((span) => ({ ...span, next: [...span.next] }))
    this.#join()
  }

  /** Finds out how what is reached is read on. */
  #join(): void {
    const [first, ...others] = this.#reached
    this.#isApart = others.some(({ next }) => next.some((position, i) => areApart(position, first!.next[i])))
    this.#next = others.length === 0 || this.#isApart ? first!.next : this.#lowest()
  }

  /** The lanes in which the source is read, each by the first partition of those for which it is. */
  get lanes(): readonly number[] {
    return this.#isApart ? this.#reached.map(({ first }) => first) : [this.#range[0]]
  }

  /** Whether a lane goes on. One that has met the one before it ends, and what was read in it is read there. */
  #goesOn(lane: number): boolean {
    return this.#isApart ? this.#reached.some(({ first }) => first === lane) : lane === this.#range[0]
  }

  #inLane(lane: number): (Position | undefined)[] {
    return this.#isApart ? this.#reached.find(({ first }) => first === lane)!.next : this.#next
  }

  #read({ offsets, spans }: Standing): readonly Reached[] {
    const [first, last] = this.#range
    const plain = { first, last, positions: offsets.get(this.#source) }
    const all = spans.get(this.#source)?.spans ?? [plain]
    this.#single = all.some(({ positions }) => positions?.has(undefined))
    if (this.#single && this.#partitions > 1) {
      throw invalid(
        `Source "${this.#source}" has ${this.#partitions} partitions, but the store holds one position for the whole of it; give the source another name, or commit its position per partition with force.`,
      )
    }
    const reached = all.map(({ positions, ...span }) => ({ ...span, next: this.#array(positions) }))
    if (!this.#isAligned || reached.length === 1) return reached
    const next = reached[0]!.next.map((_, i) => {
      const own = reached.find((span) => i >= span.first && i <= span.last)
      return (own ?? reached[0]!).next[i]
    })
    return [{ first, last, next }]
  }

  #array(positions: PositionMap | undefined): (Position | undefined)[] {
    return Array.from({ length: this.#partitions }, (_, i) => {
      // A source of one partition may have its position in either form.
      return positions?.get(i) ?? (this.#partitions === 1 ? positions?.get(undefined) : undefined)
    })
  }

  #lowest(): (Position | undefined)[] {
    return Array.from({ length: this.#partitions }, (_, i) => {
      const each = this.#reached.map(({ next }) => next[i])
      if (each.includes(undefined)) return undefined
      return each.reduce((low, position) => (isBelow(position!, low!) ? position : low))
    })
  }

  /**
   * Goes on from the positions that others have committed; the events since the last commit are handled again. False when
   * others have moved this source back, or to a string, which has no order, or read it in other lanes: the events at hand do not
   * go on from there.
   */
  follow(committed: Standing): boolean {
    const [before, lanes] = [this.#committed, this.lanes.join()]
    this.#begin(committed)
    if (this.lanes.join() !== lanes) return false
    return before.every(({ first, next }) => {
      const now = this.#committed.find((span) => first >= span.first && first <= span.last)
      return next.every((position, i) => now !== undefined && goesOn(position, now.next[i]))
    })
  }

  /** Whether the store still holds the positions that this run goes on from. */
  match(committed: Standing): boolean {
    const now = this.#read(committed)
    return (
      now.length === this.#committed.length &&
      now.every(({ first, next }, i) => {
        const known = this.#committed[i]!
        return first === known.first && next.every((position, partition) => position === known.next[partition])
      })
    )
  }

  /** Takes note that the positions of `take` are committed. Partitions that have become equal go on together. */
  settle(): void {
    const few: Reached[] = []
    for (const span of this.#reached) {
      const before = few.at(-1)
      const isSame = before?.next.every((position, i) => position === span.next[i])
      if (before && isSame) few[few.length - 1] = { ...before, last: span.last }
      else few.push(span)
    }
    this.#reached = few
    this.#hasSpans = few.length > 1
    // Readers that are apart stay so until they have met.
    if (!this.#isApart || !this.#hasSpans) this.#join()
    this.#committed = few.map((span) => ({ ...span, next: [...span.next] }))
  }

  /** The position to read from; `undefined` at first. */
  from(partition: number, lane: number): Position | undefined {
    return this.#inLane(lane)[partition]
  }

  /** The position after `event`, or `undefined` when it was handled before, or is read in another lane. */
  after(partition: number, event: SourceEvent, lane: number): Position | undefined {
    if (!this.#goesOn(lane)) return undefined
    const { offset } = event
    const reached = this.#inLane(lane)[partition]
    if (reached !== undefined && isBelow(offset, reached)) return undefined
    const next = event.next ?? this.#following(offset)
    const fine = typeof next === 'string' || typeof next === 'bigint' || Number.isFinite(next)
    if (!fine || (typeof offset !== 'string' && typeof next !== 'string' && next <= offset)) {
      throw invalid(`Source "${this.#source}": after offset ${offset} comes a larger position, not ${String(next)}.`)
    }
    return next
  }

  #following(offset: Position): Position {
    if (typeof offset === 'number') return offset + 1
    if (typeof offset === 'bigint') return offset + 1n
    const given = typeof offset === 'string' ? `The offset "${offset}" is a string` : 'An event has no offset'
    throw invalid(
      `Source "${this.#source}": ${given}; each event needs a number or bigint as offset, or a string with \`next\`.`,
    )
  }

  /** Whether the partition `own` of the store, to which an event belongs, was read beyond it, or is read in another lane. */
  isAhead(partition: number, { offset }: SourceEvent, own: number, lane: number): boolean {
    if (this.#reached.length === 1) return false
    const span = this.#reached.find(({ first, last }) => own >= first && own <= last)
    if (this.#isApart) return span?.first !== lane
    const reached = span?.next[partition]
    return reached !== undefined && isBelow(offset, reached)
  }

  /** Takes note of an event that was handled, its effect being in the buffer, or that is not to be handled here. */
  move(partition: number, next: Position, lane: number): void {
    this.#inLane(lane)[partition] = next
    this.#moved.add(partition)
    if (this.#reached.length === 1 || this.#isApart) return
    for (const span of this.#reached) {
      const reached = span.next[partition]
      if (reached === undefined || isBelow(reached, next)) span.next[partition] = next
    }
  }

  /** The positions that a commit has to write; `undefined` when none has moved since the last one. */
  take(): Taken | undefined {
    if (this.#moved.size === 0) return undefined
    const shown = Array.from(this.#moved, (partition) => [partition, this.#next[partition]] as const)
    this.#moved.clear()
    const positions = Object.fromEntries(shown.flatMap(([i, next]) => (next === undefined ? [] : [[i, next]])))
    const [single] = this.#next
    return {
      offsets: { [this.#source]: this.#single && single !== undefined ? single : positions },
      moved: this.#spans(),
    }
  }

  #spans(): Spans | undefined {
    if (!this.#hasSpans) return undefined
    const spans = this.#reached.map(({ next, ...span }) => ({
      ...span,
      positions: new Map(
        next.flatMap((position, i) => (position === undefined ? [] : [[this.#single ? undefined : i, position]])),
      ) as PositionMap,
    }))
    return new Map([[this.#source, { isAligned: this.#isAligned, spans }]])
  }
}

/** Whether nobody knows which of them is lower. */
function areApart(a: Position | undefined, b: Position | undefined): boolean {
  return a !== b && (typeof a === 'string' || typeof b === 'string')
}

/** Whether others have left a position where it was, or moved it on. */
function goesOn(before: Position | undefined, now: Position | undefined): boolean {
  if (now === before) return true
  if (now === undefined || typeof now === 'string') return false
  return before === undefined || isBelow(before, now)
}
