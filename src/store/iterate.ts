/**
 * Iteration over a table, all its partitions merged in key order. What is in memory is handed out without awaiting
 * anything; a promise is made only for the caller, and waited for only when a block has to be loaded.
 */
import { isPromise } from '../bytes/kinds.js'
import type { Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { throwIfAborted } from '../errors.js'

/** A load that failed, and the record in front of it. */
export interface Failed {
  readonly error: unknown
  readonly last: KeyedRecord | undefined
}

/** After a failure: goes on behind the last record; throws the error when that is not possible. */
export type IterationStart = (failed?: Failed) => Cursor | Promise<Cursor>

export class Iteration<T> implements AsyncIterableIterator<T> {
  readonly #start: IterationStart
  /** `undefined` passes over a record. */
  readonly #map: (record: KeyedRecord) => T | undefined
  readonly #signal: AbortSignal | undefined
  readonly #reads: ((waiting?: Promise<unknown>) => void) | undefined
  #cursor: Cursor | undefined
  /** What the last step was at. */
  #last: KeyedRecord | undefined
  #left: number
  #done = false
  /** The last call that had to wait: calls that come meanwhile queue behind it. */
  #waiting: Promise<unknown> | undefined

  constructor(
    start: IterationStart,
    map: (record: KeyedRecord) => T | undefined,
    limit: number,
    signal: AbortSignal | undefined,
    /** Told of each step, with what it waits for. */
    reads?: (waiting?: Promise<unknown>) => void,
  ) {
    this.#start = start
    this.#map = map
    this.#left = limit
    this.#signal = signal
    this.#reads = reads
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#waiting !== undefined) return this.#queue(() => this.#step())
    let result: IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>>
    try {
      result = this.#step()
    } catch (error) {
      this.#done = true
      return Promise.reject(error as Error)
    }
    this.#reads?.(isPromise(result) ? result : undefined)
    return isPromise(result) ? this.#queue(() => result) : Promise.resolve(result)
  }

  #queue<R>(run: () => R | Promise<R>): Promise<R> {
    const turn = (this.#waiting ?? Promise.resolve()).then(run)
    const settled: Promise<void> = turn.then(
      () => this.#release(settled),
      () => {
        this.#done = true
        this.#release(settled)
      },
    )
    this.#waiting = settled
    return turn
  }

  #release(turn: Promise<void>): void {
    if (this.#waiting === turn) this.#waiting = undefined
  }

  #step(): IteratorResult<T, undefined> | Promise<IteratorResult<T, undefined>> {
    if (this.#done) return { done: true, value: undefined }
    throwIfAborted(this.#signal)
    if (this.#left <= 0) return this.#end()
    if (this.#cursor === undefined) {
      const cursor = this.#start()
      if (isPromise(cursor)) {
        return cursor.then(
          (ready) => {
            this.#cursor = ready
            return this.#step()
          },
          (error: unknown) => this.#goOn(error),
        )
      }
      this.#cursor = cursor
    }
    for (;;) {
      const loading = this.#cursor.next()
      if (loading) {
        const cursor = this.#cursor
        return loading.then(
          () => this.#take(cursor) ?? this.#step(),
          (error: unknown) => this.#goOn(error),
        )
      }
      const result = this.#take(this.#cursor)
      if (result) return result
    }
  }

  async #goOn(error: unknown): Promise<IteratorResult<T, undefined>> {
    this.#cursor = await this.#start({ error, last: this.#last })
    return this.#step()
  }

  #take(cursor: Cursor): IteratorResult<T, undefined> | undefined {
    const record = cursor.current
    if (record === undefined) return this.#end()
    this.#last = record
    const value = this.#map(record)
    if (value === undefined) return undefined
    this.#left--
    return { done: false, value }
  }

  #end(): IteratorResult<T, undefined> {
    this.#done = true
    this.#cursor = undefined
    return { done: true, value: undefined }
  }

  return(): Promise<IteratorResult<T, undefined>> {
    return Promise.resolve(this.#end())
  }
}

/** The cursors of several partitions as one, by the key behind the slots' prefixes, which are of one length. */
export class PartitionsCursor implements Cursor {
  readonly #cursors: readonly Cursor[]
  readonly #prefixLength: number
  readonly #sign: number
  #at = -1
  current: KeyedRecord | undefined

  constructor(cursors: readonly Cursor[], prefixLength: number, reverse: boolean) {
    this.#cursors = cursors
    this.#prefixLength = prefixLength
    this.#sign = reverse ? -1 : 1
  }

  next(): Promise<void> | undefined {
    const moved = this.#at < 0 ? this.#cursors : [this.#cursors[this.#at]!]
    const loading = moved.flatMap((cursor) => cursor.next() ?? [])
    if (loading.length > 0) return Promise.all(loading).then(() => this.#pick())
    this.#pick()
    return undefined
  }

  #pick(): void {
    this.current = undefined
    // With nothing left the first cursor is asked again: it stays at its end.
    this.#at = 0
    for (let i = 0; i < this.#cursors.length; i++) {
      const record = this.#cursors[i]!.current
      if (record === undefined) continue
      if (
        this.current === undefined ||
        compareFrom(record.key, this.current.key, this.#prefixLength) * this.#sign < 0
      ) {
        this.current = record
        this.#at = i
      }
    }
  }
}

function compareFrom(a: Uint8Array, b: Uint8Array, from: number): number {
  const n = Math.min(a.length, b.length)
  for (let i = from; i < n; i++) {
    const d = a[i]! - b[i]!
    if (d !== 0) return d
  }
  return a.length - b.length
}
