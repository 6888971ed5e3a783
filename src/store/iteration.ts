/**
 * Iteration over a table, all its partitions merged in key order. What is in memory is handed out without awaiting
 * anything; a promise is made only for the caller, and waited for only when a block has to be loaded.
 */
import { isPromise } from '../callback.js'
import type { Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { throwIfAborted } from '../errors.js'

/** A load that failed, and the record in front of it. */
export interface Failed {
  readonly error: unknown
  readonly last: KeyedRecord | undefined
}

/** Where an iteration comes from. */
export interface IterationSource {
  /** After a failure: goes on behind the last record; throws the error when that is not possible. */
  start(failed?: Failed): Cursor | Promise<Cursor>
  /** A step begins; throws when there is nothing to be read any more. With a promise: one waits for it. */
  step(waiting?: Promise<unknown>): void
  /** There will be no more steps. */
  end(): void
}

export class Iteration<T> implements AsyncIterableIterator<T> {
  readonly #source: IterationSource
  /** `undefined` passes over a record. */
  readonly #map: (record: KeyedRecord) => T | undefined
  readonly #signal: AbortSignal | undefined
  #cursor: Cursor | undefined
  /** What the last step was at. */
  #last: KeyedRecord | undefined
  #left: number
  #done = false
  /** The last call that had to wait: calls that come meanwhile queue behind it. */
  #waiting: Promise<unknown> | undefined

  constructor(
    source: IterationSource,
    map: (record: KeyedRecord) => T | undefined,
    limit: number,
    signal: AbortSignal | undefined,
  ) {
    this.#source = source
    this.#map = map
    this.#left = limit
    this.#signal = signal
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
      this.#end()
      return Promise.reject(error as Error)
    }
    return isPromise(result) ? this.#queue(() => result) : Promise.resolve(result)
  }

  #queue<R>(run: () => R | Promise<R>): Promise<R> {
    const turn = (this.#waiting ?? Promise.resolve()).then(run)
    this.#source.step(turn)
    const settled: Promise<void> = turn.then(
      () => this.#release(settled),
      () => {
        this.#end()
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
    this.#source.step()
    if (this.#cursor === undefined) {
      const cursor = this.#source.start()
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
    this.#cursor = await this.#source.start({ error, last: this.#last })
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
    this.#source.end()
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
