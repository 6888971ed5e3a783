/**
 * Iteration over a table, all its partitions merged in key order. What is in memory is handed out without awaiting
 * anything; a promise is made only for the caller, and waited for only when a block has to be loaded.
 */
import { isPromise } from '../callback.js'
import { throwIfAborted } from '../errors.js'
import { Part } from '../part.js'
import type { Bounds, Cursor } from '../segment/cursor.js'
import type { KeyedRecord } from '../segment/record.js'
import { takeRecords, type Taken, type View } from '../engine/read.js'
import type { Slot } from '../engine/slot.js'
import { isEmptyRange, slotRange, type KeyBounds } from './bounds.js'
import type { Hold, TableHost } from './table-host.js'

const scanning = new Part(() => import('../engine/scan.js'))
const goingOn = new Part(() => import('./go-on.js'))

type Step<T> = IteratorResult<T, undefined>

export interface ScanRequest {
  readonly bounds: KeyBounds
  readonly reverse: boolean
  readonly limit: number
  /** It catches up with others before it begins. */
  readonly fresh: boolean
  readonly signal: AbortSignal | undefined
}

export class Scan<T> implements AsyncIterableIterator<T> {
  readonly #host: TableHost
  readonly #slots: readonly Slot[]
  readonly #bounds: readonly Bounds[]
  /** `undefined` passes over a record. */
  readonly #map: (record: KeyedRecord) => T | undefined
  readonly #signal: AbortSignal | undefined
  #fresh: boolean
  #left: number
  #done = false
  /** The view and what was taken from its memtables, slot by slot, as of the first step. */
  #view: View | undefined
  #taken: readonly Taken[] = []
  #hold: Hold | undefined
  #cursor: Cursor | undefined
  /** The record of the last step. */
  #last: KeyedRecord | undefined
  /** The last call that had to wait: calls that come meanwhile queue behind it. */
  #waiting: Promise<unknown> | undefined

  constructor(
    host: TableHost,
    slots: readonly Slot[],
    { bounds, reverse, limit, fresh, signal }: ScanRequest,
    map: (record: KeyedRecord) => T | undefined,
  ) {
    this.#host = host
    this.#slots = slots
    this.#bounds = slots.map((slot) => ({ ...slotRange(slot, bounds), reverse }))
    this.#left = isEmptyRange(bounds) ? 0 : limit
    this.#fresh = fresh
    this.#signal = signal
    this.#map = map
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<Step<T>> {
    if (this.#waiting !== undefined) return this.#queue(() => this.#step())
    let result: Step<T> | Promise<Step<T>>
    try {
      result = this.#step()
    } catch (error) {
      this.#end()
      return Promise.reject(error as Error)
    }
    return isPromise(result) ? this.#queue(() => result) : Promise.resolve(result)
  }

  return(): Promise<Step<T>> {
    return Promise.resolve(this.#end())
  }

  #queue<R>(run: () => R | Promise<R>): Promise<R> {
    const turn = (this.#waiting ?? Promise.resolve()).then(run)
    if (this.#view?.state) this.#host.hold(this.#view.state, turn)
    const settle = (): void => {
      if (this.#waiting === settled) this.#waiting = undefined
    }
    const settled: Promise<void> = turn.then(settle, () => {
      this.#end()
      settle()
    })
    this.#waiting = settled
    return turn
  }

  #step(): Step<T> | Promise<Step<T>> {
    if (this.#done) return { done: true, value: undefined }
    throwIfAborted(this.#signal)
    if (this.#left <= 0) return this.#end()
    this.#host.assertOpen()
    // Not from the first step on: many iterations have no other, and for a grace period after it everything is there anyway.
    if (this.#view?.state) (this.#hold ??= this.#host.hold(this.#view.state)).use()
    if (this.#cursor === undefined) {
      const cursor = this.#begin()
      if (isPromise(cursor)) return this.#continue(cursor.catch((error: unknown) => this.#goOn(error)))
      this.#cursor = cursor
    }
    for (;;) {
      const cursor = this.#cursor
      const loading = cursor.next()
      if (loading) {
        return loading.then(
          () => this.#take(cursor) ?? this.#step(),
          (error: unknown) => this.#continue(this.#goOn(error)),
        )
      }
      const result = this.#take(cursor)
      if (result) return result
    }
  }

  async #continue(beginning: Promise<Cursor>): Promise<Step<T>> {
    this.#cursor = await beginning
    return this.#step()
  }

  #take(cursor: Cursor): Step<T> | undefined {
    const record = cursor.current
    if (record === undefined) return this.#end()
    this.#last = record
    const value = this.#map(record)
    if (value === undefined) return undefined
    this.#left--
    return { done: false, value }
  }

  #end(): Step<T> {
    this.#done = true
    this.#cursor = undefined
    this.#release()
    return { done: true, value: undefined }
  }

  #release(): void {
    this.#hold?.release()
    this.#hold = undefined
  }

  #begin(): Cursor | Promise<Cursor> {
    if (this.#fresh) {
      this.#fresh = false
      return this.#host.catchUp().then(() => this.#begin())
    }
    const view = this.#host.view()
    this.#view = view
    // Scanning takes what the memtables hold now, in all partitions in this very turn.
    this.#noteReading()
    this.#taken = this.#slots.map((slot, i) => takeRecords(view, slot, this.#bounds[i]!))
    return this.#scan(view, this.#bounds, this.#taken)
  }

  #noteReading(): void {
    this.#slots.forEach((slot, i) => this.#host.readSet?.range(slot, this.#bounds[i]!))
  }

  /** Goes on behind the last record. A scan may meet the next damage before it begins: it loads range deletes for that. */
  async #goOn(failure: unknown): Promise<Cursor> {
    if (this.#view === undefined) throw failure
    const { viewAfter, rest } = await goingOn.load()
    const last = this.#last
    for (let error = failure; ;) {
      const view = await viewAfter(this.#host, this.#view, error, last, () => this.#noteReading())
      this.#release()
      // Only the newest memtables may be let go by now: what was taken from them is at hand.
      this.#view = view
      const { bounds, memtables } = rest(this.#slots, this.#bounds, this.#taken, last)
      try {
        return await this.#scan(view, bounds, memtables)
      } catch (next) {
        error = next
      }
    }
  }

  #scan(view: View, bounds: readonly Bounds[], taken: readonly Taken[]): Cursor | Promise<Cursor> {
    const { loaded } = scanning
    return loaded
      ? loaded.scanSlots(view, this.#slots, bounds, taken)
      : scanning.use((part) => part.scanSlots(view, this.#slots, bounds, taken))
  }
}
