/** The entries of a range now and from now on, as programs see them. How they are kept up to date is loaded with the first one. */
import { invalid } from '../../errors.js'
import type { Lazy } from '../../part.js'
import type { Observer, ObserverSet } from './observer.js'

/** What keeps a live range up to date. */
export interface LiveState extends Observer {
  /** Settles when the entries are first there, or could not be read. */
  readonly ready: Promise<void>
}

/**
 * The entries of a range now and from now on: what is committed, by this handle and by others. It ends with its store; close
 * it when it is no longer needed.
 */
export class Live<T> {
  /**
   * The entries, frozen: the same array until something in it changes, and the same entry until its value does. It is empty
   * until they are first there.
   */
  readonly current: readonly T[] = Object.freeze([])
  /** Whether the entries have been there once. */
  readonly isReady: boolean = false
  /**
   * Resolves when the entries are first there. It rejects with the error of the store when they could not be read, or with
   * `CLOSED`. What could not be read is tried again; there is a warning, and the listeners are called once it is there.
   */
  readonly ready: Promise<void>
  /** Stops it: `current` stays as it is, and no listener is called any more. It may be called again. */
  readonly close: () => void
  /** @internal */
  readonly listeners: Set<() => unknown> = new Set()

  /** @internal */
  constructor(observers: ObserverSet, make: (live: Live<T>) => Lazy<LiveState>) {
    const state = make(this)
    this.close = observers.add(state)
    this.ready = state.use(({ ready }) => ready)
    // Nobody has to wait for it.
    this.ready.catch(() => undefined)
  }

  /**
   * Calls `listener` when the entries are first there, and after each change of `current`. It is not waited for, and what it
   * throws or rejects with is told as a warning.
   * @returns a function that stops it
   * @throws `INVALID_ARGUMENT` when the listener is no function
   */
  subscribe(listener: (current: readonly T[]) => unknown): () => void {
    if (typeof listener !== 'function') throw invalid('subscribe: a function is expected.')
    const own = (): unknown => listener(this.current)
    this.listeners.add(own)
    return () => void this.listeners.delete(own)
  }
}
