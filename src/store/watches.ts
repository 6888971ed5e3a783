/** The watches of a handle. What compares states is loaded with the first of them (watch.ts). */
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid } from '../errors.js'
import { Part } from '../part.js'
import { tableBytes } from '../engine/slot.js'
import type { ShardState } from '../engine/state.js'
import { isEmptyRange, keyBounds, type RangeOptions } from './range.js'
import type { Watch, Watched, WatchHost, WatchListener } from './watch.js'

export interface WatchOptions<K = Key> extends RangeOptions<K> {
  /** Only this one; there is no range then. */
  readonly key?: K | undefined
  /** Default: the default table. */
  readonly table?: string | undefined
}

const part = new Part(() => import('./watch.js'))
const OPTIONS = new Set(['gt', 'gte', 'lt', 'lte', 'prefix', 'table', 'key'])
const KEY_OPTIONS = new Set(['key', 'table'])

export class Watches {
  readonly #host: WatchHost
  /** Each with its watch, or until that is there with the states that it is to look at. */
  readonly #watches = new Map<Watched, Watch | ShardState[]>()

  constructor(host: WatchHost) {
    this.#host = host
  }

  add(options: WatchOptions, listener: WatchListener): () => void {
    if (typeof listener !== 'function') throw invalid('watch: a listener function is expected.')
    checkFields('watch', options, options?.key === undefined ? OPTIONS : KEY_OPTIONS)
    const { table = '', key } = options
    const bounds = keyBounds(key === undefined ? options : { gte: key, lte: key })
    const watched = { table, bytes: tableBytes(table), bounds, listener, told: this.#host.state }
    if (!isEmptyRange(bounds)) {
      this.#watches.set(watched, [])
      this.#start()
    }
    return () => {
      stop(this.#watches.get(watched))
      this.#watches.delete(watched)
    }
  }

  #start(): void {
    part
      .use(({ Watch: Made }) => {
        for (const [watched, states] of this.#watches) {
          if (!Array.isArray(states)) continue
          const watch = new Made(this.#host, watched)
          this.#watches.set(watched, watch)
          for (const state of states) watch.push(state)
        }
      })
      .catch((cause: unknown) =>
        this.#host.report('A watch could not begin; it tries again with the next version.', cause),
      )
  }

  /** The store has come to a newer state. */
  applied(): void {
    if (this.#watches.size === 0) return
    const { state } = this.#host
    let waits = false
    for (const watch of this.#watches.values()) {
      waits ||= Array.isArray(watch)
      watch.push(state)
    }
    if (waits) this.#start()
  }

  /** A table was opened: what was written with its codec may be read from now on. */
  opened(): void {
    for (const watch of this.#watches.values()) if (!Array.isArray(watch)) watch.retry()
  }

  stop(): void {
    for (const watch of this.#watches.values()) stop(watch)
    this.#watches.clear()
  }
}

function stop(watch: Watch | ShardState[] | undefined): void {
  if (watch !== undefined && !Array.isArray(watch)) watch.stop()
}
