/** The events of a store, and a small emitter. A listener that fails hurts nobody: what emits goes on, and the logger is told. */
import { tell } from '../callback.js'
import { invalid, type TidemarkError } from '../errors.js'

/** The events of a store, with what their listeners get. */
export interface StoreEvents {
  /** A newer version is known. */
  version: { readonly version: number }
  /** A manifest was committed that covers the entries up to `covers`. */
  checkpoint: { readonly version: number; readonly covers: number }
  /** Another writer took the store over. */
  fenced: { readonly error: TidemarkError }
  /** Something went wrong that failed no call, or is about to matter. */
  warning: { readonly message: string; readonly cause?: unknown }
  /** Damage was found and worked around. */
  repaired: { readonly message: string; readonly cause?: unknown }
  /** So many rows of a table were indexed; `done`: all rows are by now. */
  index: { readonly table: string; readonly rows: number; readonly done: boolean }
  /** Old versions and orphans were deleted. */
  collected: { readonly deleted: number }
}

export const STORE_EVENTS: readonly (keyof StoreEvents)[] = [
  'version',
  'checkpoint',
  'fenced',
  'warning',
  'repaired',
  'collected',
  'index',
]

type Listener = (detail: never) => unknown

/** Emits the events of `E`, which has what their listeners get. */
export class Events<E extends object> {
  readonly #listeners: ReadonlyMap<keyof E, Set<Listener>>
  readonly #report: (message: string, cause: unknown) => void

  constructor(names: readonly (keyof E)[], report: (message: string, cause: unknown) => void) {
    this.#listeners = new Map(names.map((name) => [name, new Set()]))
    this.#report = report
  }

  /** Returns a function that stops it. */
  on<N extends keyof E>(event: N, listener: (detail: E[N]) => unknown): () => void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined) throw invalid(`on: there is no event "${String(event)}".`)
    if (typeof listener !== 'function') throw invalid('on: a listener function is expected.')
    // The same function may listen twice, and each is stopped by itself. One that was stopped meanwhile is not called any more.
    const own: Listener = (detail) => listeners.has(own) && listener(detail)
    listeners.add(own)
    return () => void listeners.delete(own)
  }

  emit<N extends keyof E>(event: N, detail: E[N]): void {
    for (const listener of this.#listeners.get(event)!) {
      const call = (): unknown => listener(detail as never)
      tell(call, (cause) => this.#report(`A listener of "${event as string}" failed.`, cause))
    }
  }
}
