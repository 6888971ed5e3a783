/** Who is told what a store comes to: its watches, and its live ranges. Nothing is done while there are none. */
import { invalid } from '../../errors.js'
import { Part, type Lazy } from '../../part.js'
import { makeSlot, tableBytes, type Slot } from '../../engine/slot.js'
import type { ShardState } from '../../engine/state.js'
import type { IndexPlace } from '../indexes/reading.js'
import { Live } from './live.js'
import type { Observed } from './observed.js'
import type { Observer, ObserverSet, Place, TableName } from './observer.js'
import { isEmptyRange } from '../bounds.js'
import { checkLive, checkWatch, keyBounds } from '../range.js'
import type { WatchListener } from './watch.js'

const watching = new Part(() => import('./watch.js'))
const living = new Part(() => import('./live-entries.js'))
const livingIndex = new Part(() => import('./live-index.js'))

export class Observers implements ObserverSet {
  readonly #handle: Observed
  readonly #all = new Set<Lazy<Observer>>()

  constructor(handle: Observed) {
    this.#handle = handle
  }

  add(observer: Lazy<Observer>): () => void {
    this.#all.add(observer)
    this.#tell(observer, (loaded) => loaded.retry())
    return () => this.#dismiss(observer)
  }

  moved(state: ShardState): void {
    for (const observer of this.#all) this.#tell(observer, (loaded) => loaded.push(state))
  }

  #tell(observer: Lazy<Observer>, act: (loaded: Observer) => void): void {
    observer
      // One that was stopped before it was loaded does not begin.
      .use((loaded) => (this.#all.has(observer) ? act(loaded) : loaded.stop()))
      .catch((cause: unknown) =>
        this.#handle.report('A watch could not begin; it tries again with the next version.', cause),
      )
  }

  retry(): void {
    for (const { loaded } of this.#all) loaded?.retry()
  }

  #dismiss(observer: Lazy<Observer>): void {
    this.#all.delete(observer)
    observer.loaded?.stop()
  }

  close(): void {
    for (const observer of this.#all) this.#dismiss(observer)
  }

  /** Calls the listener with what each version changes in a range of the table, or in that of another name. */
  watch(spec: TableName, slots: readonly Slot[], options: unknown, then: unknown): () => void {
    const handle = this.#handle
    handle.assertOpen()
    const [range, listener] = typeof options === 'function' && then === undefined ? [{}, options] : [options, then]
    if (typeof listener !== 'function') throw invalid('watch: a listener function is expected.')
    const { table, bounds } = checkWatch(range as never)
    const place = placeOf(spec, slots, table)
    if (isEmptyRange(bounds)) return () => undefined
    const watched = { place, bounds, listener: listener as WatchListener, told: handle.state }
    return this.add(watching.lazy(({ Watch }) => new Watch(handle, watched)))
  }

  /** The entries of a range of the table, or of that of another name. */
  live<T>(spec: TableName, slots: readonly Slot[], options: unknown): Live<T> {
    const handle = this.#handle
    handle.assertOpen()
    const { table, limit, reverse, ...range } = checkLive(options)
    const place = placeOf(spec, slots, table)
    const wanted = { place, bounds: keyBounds(range), limit, reverse }
    return new Live<T>(this, (live) => living.lazy((part) => part.liveEntries(handle, wanted, live)))
  }

  /** The rows of an index. */
  liveIndex<T>(place: object, options: unknown): Live<T> {
    const handle = this.#handle
    handle.assertOpen()
    const { table, limit, reverse, ...range } = checkLive(options)
    if (table !== undefined) throw invalid('live: an index is of its own table.')
    keyBounds(range)
    const window = { limit, reverse }
    return new Live<T>(this, (live) =>
      livingIndex.lazy((part) => part.liveIndex(handle, place as IndexPlace, range, window, live)),
    )
  }
}

function placeOf(spec: TableName, own: readonly Slot[], name = spec.name): Place {
  const bytes = tableBytes(name)
  return { name, bytes, slots: own.map(({ partition }) => makeSlot(partition, bytes)) }
}
