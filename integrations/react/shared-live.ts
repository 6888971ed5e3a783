/** Live ranges that components share, and that are kept for a moment when the last one of them has gone. */
import { jsonCodec, systemClock, type Live } from '../../src/index.js'

/** For so long what nobody shows any more is known, and what nobody has shown yet. */
const KEPT_MS = 1_000

export const NOTHING: readonly never[] = []

/** What went wrong, as the state of something. */
export class Failure {
  constructor(readonly cause: unknown) {}
}

const all = new WeakMap<object, Map<string, SharedLive<unknown>>>()

class SharedLive<E> {
  readonly #live: Live<E>
  readonly #drop: () => void
  readonly #listeners = new Set<() => void>()
  #failure: Failure | undefined
  #cancel = (): void => undefined

  constructor(live: Live<E>, drop: () => void) {
    this.#live = live
    this.#drop = drop
    live.ready
      .catch((cause: unknown) => {
        this.#failure = new Failure(cause)
        for (const listener of this.#listeners) listener()
      })
      // Until then a component may be waiting for it that has subscribed to nothing.
      .finally(() => this.#rest())
  }

  #rest(): void {
    this.#cancel()
    this.#cancel = systemClock.timer(
      KEPT_MS,
      () => {
        if (this.#listeners.size > 0) return
        this.#live.close()
        this.#drop()
      },
      { background: true },
    )
  }

  subscribe(changed: () => void): () => void {
    const listener = (): void => changed()
    this.#listeners.add(listener)
    const stop = this.#live.subscribe(listener)
    return () => {
      stop()
      this.#listeners.delete(listener)
      this.#rest()
    }
  }

  /** The entries, why they can't be read, or where somebody `waits` for them, the promise of them. */
  state(waits: boolean): readonly E[] | Failure | Promise<void> {
    const { isReady, current, ready } = this.#live
    return isReady ? current : (this.#failure ?? (waits ? ready : current))
  }
}

/** The live range of this key, made by `make` when there is none. */
export function sharedLive<E>(source: object, key: string, make: () => Live<E>): SharedLive<E> {
  const ranges = all.get(source) ?? new Map<string, SharedLive<unknown>>()
  all.set(source, ranges)
  const shared = ranges.get(key) ?? new SharedLive<unknown>(make(), () => ranges.delete(key))
  ranges.set(key, shared)
  return shared as SharedLive<E>
}

/** Options, or a list of them, as text. */
export function keyOf(options: unknown): string {
  return new TextDecoder().decode(jsonCodec.encode(options))
}
