/** The entries of a range now and from now on, as programs see them. How they are kept up to date is loaded with the first one. */
import type { Lazy } from '../part.js'
import type { Observer, ObserverSet } from './observer.js'

/** What keeps a live range up to date. */
export interface LiveState<T> extends Observer {
  readonly current: readonly T[]
  readonly isReady: boolean
  readonly ready: Promise<void>
}

/** Each is called with the entries. */
export type Listeners = Set<(current: never) => unknown>

const NOTHING: readonly never[] = Object.freeze([])

/**
 * The entries of a range now and from now on: what is committed, by this handle, by other tabs and by followers' owners. Close
 * it when it is no longer needed; it ends with its store.
 */
export class Live<T> {
  readonly #listeners: Listeners = new Set()
  readonly #state: Lazy<LiveState<T>>
  /**
   * Resolves when the entries are first there. It rejects with the error of the store, when they could not be read, or with
   * `CLOSED`. What could not be read is tried again; there is a warning, and the listeners are called once it is there.
   */
  readonly ready: Promise<void>
  /** Stops it: `current` stays as it is, and no listener is called any more. It may be called again. */
  readonly close: () => void

  /** @internal */
  constructor(observers: ObserverSet, make: (listeners: Listeners) => Lazy<LiveState<T>>) {
    this.#state = make(this.#listeners)
    this.close = observers.add(this.#state)
    this.ready = this.#state.use(({ ready }) => ready)
    // Nobody has to wait for it.
    this.ready.catch(() => undefined)
  }

  /**
   * The entries, frozen: the same array until something in it changes, and the same entry until its value does. It is empty
   * until they are first there.
   */
  get current(): readonly T[] {
    return this.#state.loaded?.current ?? NOTHING
  }

  /** Whether the entries have been there once. */
  get isReady(): boolean {
    return this.#state.loaded?.isReady ?? false
  }

  /**
   * Calls `listener` when the entries are first there, and after each change of `current`. It is not waited for, and what it
   * throws or rejects with is told as a warning.
   * @returns a function that stops it
   */
  subscribe(listener: (current: readonly T[]) => unknown): () => void {
    const own: typeof listener = (current) => listener(current)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }
}
