/** An index as programs read it. */
import type { Key } from '../bytes/keys.js'
import { isPromise } from '../callback.js'
import { Part } from '../part.js'
import { Memtable } from '../engine/memtable.js'
import type { View } from '../engine/read.js'
import { Entries } from './entries.js'
import type { IndexPlace } from './indexes/reading.js'
import { checkScan, type LiveOptions, type ScanOptions } from './range.js'
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
    return rowsOf(this.#place, options, (part, view) => part.indexEntries(this.#place, view, options)) as never
  }

  /**
   * How many rows there are in a range of the index's keys; one that it has by several keys counts as often.
   * @throws as `entries`: `INVALID_ARGUMENT`, `ABORTED`, `CORRUPT`, `STORAGE_UNAVAILABLE`, `VERSION_EXPIRED`
   */
  async count(options: ScanOptions<I> = {}): Promise<number> {
    let count = 0
    for await (const _ of rowsOf(this.#place, options, (part, view) => part.indexRows(this.#place, view, options)))
      count++
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

/** What is read is as it was at the first `next()`, though the part that reads it is loaded only then. */
async function* rowsOf<I extends Key, T>(
  { host, slots }: IndexPlace,
  options: ScanOptions<I>,
  make: (part: Reading, view: View) => AsyncIterable<T>,
): AsyncGenerator<T, void> {
  if (checkScan(options as ScanOptions<never>).fresh) await host.catchUp()
  const view = host.view()
  const own = new Set(slots.map(({ id }) => id))
  const pending = new Memtable()
  for (const memtable of [...view.memtables].reverse()) pending.absorb(memtable, ({ id }) => own.has(id))
  const loading = reading.loaded ?? reading.load()
  if (isPromise(loading)) host.hold(view.state!, loading)
  yield* make(await loading, { ...view, memtables: pending.empty ? [] : [pending] })
}
