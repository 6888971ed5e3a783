/** An index as programs read it. */
import type { Key } from '../bytes/keys.js'
import { Part } from '../part.js'
import { Entries } from './entries.js'
import type { IndexPlace } from './indexes/reading.js'
import type { LiveOptions, ScanOptions } from './range.js'
import type { Live } from './watching/live.js'

const reading = new Part(() => import('./indexes/reading.js'))

/**
 * The rows of a table in the order of an index: by the key that the index's function gives, and rows of one such key by their
 * own keys. Buffered changes are included, as in the table's own reads.
 *
 * It throws, or rejects, as the reads of a table do.
 */
export class Index<I extends Key = Key, K extends Key = Key, V = unknown> extends Entries<
  ScanOptions<I>,
  [indexKey: I, key: K, value: V]
> {
  readonly #place: IndexPlace

  /** @internal */
  constructor(place: IndexPlace) {
    super()
    this.#place = place
  }

  /**
   * Index key, key and value of each row in a range of the index's keys, in their order, as of the first `next()`.
   * @throws `INVALID_ARGUMENT` when a bound or an option is wrong; `ABORTED` by the signal
   * @example
   *     for await (const [due, key, todo] of todos.index('byDue').entries({ lt: tomorrow })) …
   */
  entries(options: ScanOptions<I> = {}): AsyncIterableIterator<[indexKey: I, key: K, value: V]> {
    const place = this.#place
    return later((part) => part.indexEntries(place, options)) as never
  }

  /**
   * How many rows there are in a range of the index's keys; one that it has by several keys counts as often.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  async count(options: ScanOptions<I> = {}): Promise<number> {
    let count = 0
    for await (const _ of later((part) => part.indexRows(this.#place, options))) count++
    return count
  }

  /**
   * The rows of a range now and from now on, as `table.live` has them: what is committed.
   * @throws `INVALID_ARGUMENT` when an option is wrong
   * @example
   *     const open = todos.index('byDue').live({ lt: tomorrow, limit: 20 })
   */
  live(options: Omit<LiveOptions<I>, 'table'> = {}): Live<readonly [indexKey: I, key: K, value: V]> {
    return this.#place.host.observers.liveIndex(this.#place, options)
  }
}

type Reading = typeof import('./indexes/reading.js')

/** Once the part is loaded, its first step is in the turn of the first `next()`. */
async function* later<T>(make: (part: Reading) => AsyncIterable<T>): AsyncGenerator<T, void> {
  yield* make(reading.loaded ?? (await reading.load()))
}
