/** The watches of a handle. What compares states is loaded with the first of them (watch.ts). */
import type { Clock } from '../clock.js'
import type { Key } from '../bytes/keys.js'
import { checkFields, invalid } from '../errors.js'
import { Part } from '../part.js'
import type { SegmentCache } from '../segment/cache.js'
import { tableBytes } from '../engine/slot.js'
import type { ShardState } from '../engine/state.js'
import type { Hold } from './holds.js'
import { isEmptyRange, keyBounds, type KeyBounds, type RangeOptions } from './range.js'
import type { TableSpec } from './table-spec.js'
import type { Watch } from './watch.js'

export interface WatchOptions<K = Key> extends RangeOptions<K> {
  /** Only this one; there is no range then. */
  readonly key?: K | undefined
  /** Default: the default table. */
  readonly table?: string | undefined
}

export interface WatchChange<K = Key, V = unknown> {
  readonly key: K
  /** Left out when there was nothing before. */
  readonly before?: V
  /** Left out when the key is gone. */
  readonly after?: V
  readonly version: number
}

export type WatchListener<K = Key, V = unknown> = (changes: readonly WatchChange<K, V>[]) => unknown

/** What a watch needs of the store. */
export interface WatchHost {
  readonly state: ShardState
  readonly cache: SegmentCache
  /** The table as it is to be read in a state; looking at it settles nothing. */
  look(name: string, bytes: Uint8Array, state: ShardState): TableSpec
  /** Keeps what a reader of the state needs. */
  hold(state: ShardState, waiting?: Promise<unknown>): Hold
  readonly options: { readonly clock: Clock }
  report(message: string, cause: unknown): void
  /** After a read that failed: equal states, repaired. Throws when that was not damage, or can't be repaired. */
  mendStates(states: readonly ShardState[], error: unknown): Promise<ShardState[]>
}

/** What one watch looks at. */
export interface Watched {
  readonly table: string
  readonly bytes: Uint8Array
  readonly bounds: KeyBounds
  readonly listener: WatchListener
  /** Everything up to it has been told. */
  readonly told: ShardState
}

const part = new Part('watches', () => import('./watch.js'))
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
