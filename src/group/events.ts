/** The events of a group: a small emitter. A listener that fails hurts nobody. */
import { tell } from '../callback.js'
import { invalid } from '../errors.js'
import type { ShardRange } from './program.js'

/** The events of a group, with what their listeners get. */
export interface GroupEvents {
  /** This member owns other shards than before. */
  rebalance: {
    /** The newest generation that is known. */
    readonly generation: number
    /** All shards that it owns now. */
    readonly assigned: readonly ShardRange[]
    /** Those of them that it did not own before. */
    readonly newlyAssigned: readonly ShardRange[]
    /** Shards that it has let go, each with its last commit. */
    readonly revoked: readonly ShardRange[]
    /** Shards that it has lost; what was not committed of them is gone. */
    readonly lost: readonly ShardRange[]
  }
  /** A shard has killed too many owners, and is given to nobody until `unpark`. */
  parked: { readonly shard: ShardRange }
  /** A member has come or gone. */
  member: { readonly member: string; readonly info: unknown; readonly change: 'joined' | 'gone' }
  /** Something went wrong that failed no call. */
  warning: { readonly message: string; readonly cause?: unknown }
}

const NAMES: readonly (keyof GroupEvents)[] = ['rebalance', 'parked', 'member', 'warning']

type Listener = (detail: never) => unknown

export class Events {
  readonly #listeners = new Map<string, Set<Listener>>(NAMES.map((name) => [name, new Set()]))
  readonly #report: (message: string, cause: unknown) => void

  constructor(report: (message: string, cause: unknown) => void) {
    this.#report = report
  }

  on<E extends keyof GroupEvents>(event: E, listener: (detail: GroupEvents[E]) => unknown): () => void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined) throw invalid(`on: there is no event "${String(event)}".`)
    if (typeof listener !== 'function') throw invalid('on: a listener function is expected.')
    const own: Listener = (detail) => listener(detail)
    listeners.add(own)
    return () => void listeners.delete(own)
  }

  emit<E extends keyof GroupEvents>(event: E, detail: GroupEvents[E]): void {
    for (const listener of this.#listeners.get(event)!) {
      tell(
        () => listener(detail as never),
        (cause) => this.#report(`A listener of "${event}" failed.`, cause),
      )
    }
  }
}
