/** The stores that providers open, shared by those of the same storage and name. */
import { openStore, systemClock, type OpenOptions, type Store } from '../../src/index.js'
import { Failure } from './shared-live.js'

const all = new Set<Opening>()

class Opening {
  readonly options: OpenOptions
  readonly listeners = new Set<() => void>()
  /** The store, once it is open and as long as it is. */
  state: Store | Failure | undefined
  closing: Promise<void> | undefined
  readonly #opening: Promise<Store>

  constructor(options: OpenOptions) {
    this.options = options
    // Another object may stand for the same storage. What nobody uses any more is closed first, so that neither fences the other.
    const before = [...all].filter((other) => other.isUnused && other.options.name === options.name)
    all.add(this)
    this.#opening = Promise.all(before.map((other) => other.close())).then(() => openStore(options))
    this.#opening.then(
      (store) => this.#show(store),
      (cause: unknown) => this.#show(new Failure(cause)),
    )
  }

  get isUnused(): boolean {
    return this.listeners.size === 0
  }

  #show(state: Store | Failure): void {
    if (this.closing) return
    this.state = state
    for (const listener of this.listeners) listener()
  }

  /** Closes it, unless it is used again by then. */
  closeSoon(): void {
    systemClock.timer(0, () => void (this.isUnused && this.close()))
  }

  close(): Promise<void> {
    this.state = undefined
    this.closing ??= this.#opening
      // One that could not be opened needs no closing.
      .then(
        (store) => store.close(),
        () => undefined,
      )
      .finally(() => all.delete(this))
    return this.closing
  }
}

function find({ storage, name }: OpenOptions): Opening | undefined {
  return [...all].find(({ options, closing }) => !closing && options.storage === storage && options.name === name)
}

/** What a provider subscribes to. Without options there is nothing to open. */
export function makeOpening(options: OpenOptions | undefined): {
  subscribe: (changed: () => void) => () => void
  get: () => Store | Failure | undefined
} {
  let own: Opening | undefined
  return {
    subscribe(changed) {
      if (!options) return () => undefined
      const opening = find(options) ?? new Opening(options)
      own = opening
      // The same function may be given twice, one after the other.
      const listener = (): void => changed()
      opening.listeners.add(listener)
      return () => {
        opening.listeners.delete(listener)
        opening.closeSoon()
      }
    },
    get: () => (own ?? (options && find(options)))?.state,
  }
}
