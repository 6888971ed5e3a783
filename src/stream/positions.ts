/**
 * How far each partition of one source has been read. An event that was handled moves the `next` of its partition, and a
 * commit writes the positions that have moved. An event below its partition's `next` was handled before, in this run or an
 * earlier one.
 */
import { invalid } from '../errors.js'
import type { OffsetMap, Offsets, Position } from '../log/offsets.js'
import type { SourceEvent } from './source.js'

export class Positions {
  readonly #source: string
  /** Whether the store holds one position for this source, not one per partition. It goes on doing so. */
  readonly #single: boolean
  readonly #next: (Position | undefined)[]
  /** The positions as of the newest commit that this run knows of. */
  readonly #committed: (Position | undefined)[]
  readonly #moved = new Set<number>()

  constructor(source: string, partitions: number, committed: OffsetMap) {
    const known = committed.get(source)
    this.#source = source
    this.#single = known?.has(undefined) ?? false
    if (this.#single && partitions > 1) {
      throw invalid(
        `Source "${source}" has ${partitions} partitions, but the store holds one position for the whole of it; give the source another name, or commit its position per partition with force.`,
      )
    }
    this.#next = Array.from({ length: partitions }, (_, i) => known?.get(this.#single ? undefined : i))
    this.#committed = [...this.#next]
  }

  /**
   * Goes on from the positions that others have committed; the events since the last commit are handled again. False when
   * others have moved this source back, or to a string, which has no order: the events at hand do not go on from there.
   */
  follow(committed: OffsetMap): boolean {
    const known = committed.get(this.#source)
    this.#moved.clear()
    for (const [i, before] of this.#committed.entries()) {
      const now = known?.get(this.#single ? undefined : i)
      if (now !== before && (now === undefined || (before !== undefined && !isBelow(before, now)))) return false
      if (now !== before && typeof now === 'string') return false
      this.#next[i] = this.#committed[i] = now
    }
    return true
  }

  /** Whether the store still holds the positions that this run goes on from. */
  match(committed: OffsetMap): boolean {
    const known = committed.get(this.#source)
    return this.#committed.every((position, i) => known?.get(this.#single ? undefined : i) === position)
  }

  /** Takes note that the positions of `take` are committed. */
  settle(): void {
    for (const [i, next] of this.#next.entries()) this.#committed[i] = next
  }

  /** The position to read from; `undefined` at first. */
  from(partition: number): Position | undefined {
    return this.#next[partition]
  }

  /** The position after `event`, or `undefined` when it was handled before. */
  after(partition: number, event: SourceEvent): Position | undefined {
    const { offset } = event
    const reached = this.#next[partition]
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

  /** Takes note of an event that was handled: its effect is in the buffer. */
  move(partition: number, next: Position): void {
    this.#next[partition] = next
    this.#moved.add(partition)
  }

  /** The positions that a commit has to write; `undefined` when none has moved since the last one. */
  take(): Offsets | undefined {
    if (this.#moved.size === 0) return undefined
    const moved = Object.fromEntries(Array.from(this.#moved, (partition) => [partition, this.#next[partition]!]))
    this.#moved.clear()
    return { [this.#source]: this.#single ? this.#next[0]! : moved }
  }
}

/** Whether an offset lies below a position. Strings have no order, so that nothing is below or above them. */
function isBelow(offset: Position, reached: Position): boolean {
  return typeof offset !== 'string' && typeof reached !== 'string' && offset < reached
}
