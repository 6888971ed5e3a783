/**
 * Parts of Tidemark that are loaded when they are first needed (docs/architecture.md, "What is loaded when"). Once a part is
 * loaded nothing waits for it: a call does in its own turn what it would do without parts.
 */
import { reasonOf, TidemarkError } from './errors.js'

const parts = new Set<Part<unknown>>()

export class Part<T> {
  /** The part, once it is loaded. */
  loaded: T | undefined
  readonly #import: () => Promise<T>
  #loading: Promise<T> | undefined
  /** How many uses wait until it is loaded: what comes meanwhile comes after them. */
  #waiting = 0

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
          `A part of Tidemark could not be loaded (${reasonOf(cause)}). Try again or reload the page. Bundle a service worker in one file; an import map also names fflate and @noble/hashes.`,
          { cause },
        )
      },
    )
    return this.#loading
  }

  /** Calls `act` with the part: in this very turn when it is loaded already, and always in the order of the calls. */
  async use<R>(act: (loaded: T) => R | Promise<R>): Promise<R> {
    if (this.loaded !== undefined && this.#waiting === 0) return act(this.loaded)
    this.#waiting++
    try {
      await this.load()
    } finally {
      this.#waiting--
    }
    return act(this.loaded!)
  }

  /** A thing that `make` makes of the part when it is first used. */
  lazy<Thing>(make: (loaded: T) => Thing): Lazy<Thing> {
    const lazy: Lazy<Thing> = {
      loaded: undefined,
      use: (act) => this.use((part) => act((lazy.loaded ??= make(part)))),
    }
    return lazy
  }
}

/** A thing that is made when its part is loaded. Before that there is nothing that it could know. */
export interface Lazy<T> {
  /** The thing, once it is made, for questions of this very turn. */
  loaded: T | undefined
  use<R>(act: (thing: T) => R | Promise<R>): Promise<R>
}

/** Loads all parts, for tests whose own time must not pass meanwhile. */
export async function loadParts(): Promise<void> {
  // A part that is loaded may declare parts of its own.
  for (let known = 0; known < parts.size;) {
    known = parts.size
    await Promise.all([...parts].map((part) => part.load()))
  }
}
