/**
 * Parts of Tidemark that are loaded when they are first needed (docs/architecture.md, "What is loaded when"). Once a part is
 * there nothing waits for it any more: a call then does in its own turn what it would do without parts.
 */
import { TidemarkError } from './errors.js'

const parts = new Set<Part<unknown>>()

export class Part<T> {
  /** Once it is there. */
  loaded: T | undefined
  readonly #import: () => Promise<T>
  #loading: Promise<T> | undefined

  constructor(load: () => Promise<T>) {
    this.#import = load
    parts.add(this)
  }

  load(): Promise<T> {
    this.#loading ??= this.#import().then(
      (loaded) => (this.loaded = loaded),
      (cause: unknown) => {
        this.#loading = undefined
        throw new TidemarkError(
          'STORAGE_UNAVAILABLE',
          'A part of Tidemark could not be loaded; try again or reload the page. Bundle a service worker in one file.',
          { cause },
        )
      },
    )
    return this.#loading
  }

  /** What `act` makes of it; in this very turn when it is there already. */
  async use<R>(act: (loaded: T) => R | Promise<R>): Promise<R> {
    return act(this.loaded ?? (await this.load()))
  }

  /** A thing that `make` makes of it when it is first used. */
  lazy<Thing>(make: (loaded: T) => Thing): Lazy<Thing> {
    const lazy: Lazy<Thing> = {
      loaded: undefined,
      use: (act) => this.use((part) => act((lazy.loaded ??= make(part)))),
    }
    return lazy
  }
}

/** A thing that is made when the part that it comes from is there; before that there is nothing that it could know. */
export interface Lazy<T> {
  /** Once it is made: for what is asked in this very turn. */
  loaded: T | undefined
  use<R>(act: (thing: T) => R | Promise<R>): Promise<R>
}

/** Loads all parts of what is in use: for tests whose own time must not pass meanwhile. */
export async function loadParts(): Promise<void> {
  // What is loaded may have parts of its own.
  for (let known = 0; known < parts.size;) {
    known = parts.size
    await Promise.all([...parts].map((part) => part.load()))
  }
}
