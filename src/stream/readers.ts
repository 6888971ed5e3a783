/**
 * Reads the partitions of a source side by side. Each has at most one `next()` under way and, once that is answered, one
 * result that waits here. The next result is asked for only when that one has been handled. Results are taken in the order
 * in which they came, so that a busy partition does not hold up the others, and the order within a partition is kept.
 */
import { isPromise } from '../callback.js'
import { refusePromise } from '../callback.js'
import { within, type Clock } from '../clock.js'
import { invalid, show } from '../errors.js'
import type { SourceEvent } from './source.js'

/** How long a source may take to close while it still owes an answer, in milliseconds. */
const CLOSE_MS = 1000

/** An event of a partition, read in a lane (see `Positions`). */
export interface Read<V> {
  readonly partition: number
  readonly lane: number
  readonly event: SourceEvent<V>
}

type Result = IteratorResult<SourceEvent>

class Reader {
  /** The event that waits, or is in hand. */
  event: SourceEvent | undefined
  error: { readonly cause: unknown } | undefined
  done = false
  asking = false
  /** Nothing of it counts any more. */
  isDropped = false
  readonly iterator: AsyncIterator<SourceEvent> | Iterator<SourceEvent>

  constructor(
    readonly partition: number,
    readonly lane: number,
    iterable: AsyncIterable<SourceEvent> | Iterable<SourceEvent>,
  ) {
    refusePromise('source.read', iterable)
    const made =
      (iterable as AsyncIterable<SourceEvent>)?.[Symbol.asyncIterator]?.() ??
      (iterable as Iterable<SourceEvent>)?.[Symbol.iterator]?.()
    if (made === undefined) throw invalid(`source.read: an async iterable is expected for partition ${partition}.`)
    this.iterator = made
  }

  /** The event in hand, and where it came from. */
  get read(): Read<unknown> {
    return { partition: this.partition, lane: this.lane, event: this.event! }
  }
}

export type { Reader }

export class Readers {
  readonly #clock: Clock
  readonly #all: Reader[] = []
  readonly #ready: Reader[] = []
  #open = 0
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(partition: number, lane: number, iterable: AsyncIterable<SourceEvent> | Iterable<SourceEvent>): void {
    const reader = new Reader(partition, lane, iterable)
    this.#all.push(reader)
    this.#open++
    this.ask(reader)
  }

  /** Reads on in these lanes only. */
  keep(lanes: readonly number[]): void {
    for (const reader of this.#all) {
      if (reader.isDropped || lanes.includes(reader.lane)) continue
      reader.isDropped = true
      if (!reader.done || this.#ready.includes(reader)) this.#open--
    }
  }

  /** How many partitions have not come to their end. */
  get open(): number {
    return this.#open
  }

  /** Gives back readers whose events were not handled. */
  giveBack(readers: readonly Reader[]): void {
    this.#ready.unshift(...readers)
  }

  /** A reader that has an event; `undefined` when none has one now. Throws the error of a source. */
  take(): Reader | undefined {
    for (;;) {
      const reader = this.#ready.shift()
      if (reader === undefined) return undefined
      if (reader.isDropped) continue
      if (reader.error) throw reader.error.cause
      if (!reader.done) return reader
      this.#open--
    }
  }

  /** Gives up the event of a reader, and asks for the next one. */
  ask(reader: Reader): void {
    reader.event = undefined
    let answer: Result | Promise<Result>
    try {
      answer = reader.iterator.next()
    } catch (cause) {
      this.#fail(reader, cause)
      return
    }
    if (!isPromise(answer)) {
      this.#arrive(reader, answer)
      return
    }
    reader.asking = true
    answer.then(
      (result) => this.#arrive(reader, result),
      (cause: unknown) => this.#fail(reader, cause),
    )
  }

  #arrive(reader: Reader, result: Result): void {
    reader.asking = false
    if (reader.isDropped && !result?.done) return
    if (typeof result !== 'object' || result === null) {
      this.#fail(reader, invalid(`source: an iterator gave ${show(result)}; { done, value } is expected.`))
      return
    }
    if (result.done) reader.done = true
    else if (typeof result.value === 'object' && result.value !== null) reader.event = result.value
    else {
      const given = `partition ${reader.partition} gave ${show(result.value)} as an event`
      // The iterator has not ended, so that close() will close it.
      reader.error = { cause: invalid(`source: ${given}; an object { offset, value } is expected.`) }
    }
    this.#ready.push(reader)
    this.wake()
  }

  #fail(reader: Reader, cause: unknown): void {
    reader.asking = false
    reader.done = true
    reader.error = { cause }
    this.#ready.push(reader)
    this.wake()
  }

  /** Resolves when something arrives, or at `wake()`. Call it only when `take()` had nothing. */
  wait(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }

  wake(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  /**
   * Closes every iterator that has not ended. One that still owes an answer may be unable to close before it has given
   * that, so it is waited for no longer than `CLOSE_MS`.
   */
  async close(): Promise<void> {
    const open = this.#all.filter(({ done }) => !done)
    const idle = open.filter(({ asking }) => !asking)
    const asking = open.filter((reader) => reader.asking)
    const closing = (readers: readonly Reader[]): Promise<unknown>[] =>
      readers.map(async ({ iterator }) => iterator.return?.())
    const late = closing(asking)
    for (const promise of late) promise.catch(() => undefined)
    await Promise.all([...closing(idle), late.length > 0 && within(this.#clock, CLOSE_MS, Promise.allSettled(late))])
  }
}
