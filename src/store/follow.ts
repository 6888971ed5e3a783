/** Keeps a handle up to date with what others write: every so often, and whenever another one tells of a version. */
import type { Clock } from '../clock.js'

export interface FollowOptions {
  readonly clock: Clock
  /** How often it looks, in milliseconds; 0: only when told. */
  readonly followMs: number
  /** Catches up. */
  readonly look: () => Promise<void>
  readonly failed: (cause: unknown) => void
}

/** One look at a time. */
export class Following {
  readonly #options: FollowOptions
  #cancel = (): void => undefined
  #isOn = false
  /** A look is under way; whether another one is wanted after it. */
  #looking: { isAgain: boolean } | undefined

  constructor(options: FollowOptions) {
    this.#options = options
  }

  start(): void {
    this.#isOn = true
    this.#await()
  }

  stop(): void {
    this.#isOn = false
    this.#cancel()
    this.#looking = undefined
  }

  #await(): void {
    const { clock, followMs } = this.#options
    this.#cancel()
    if (!this.#isOn || followMs === 0) return
    this.#cancel = clock.timer(followMs, () => void this.look().then(() => this.#await()), { background: true })
  }

  async look(): Promise<void> {
    if (!this.#isOn) return
    if (this.#looking) {
      this.#looking.isAgain = true
      return
    }
    const looking = { isAgain: true }
    this.#looking = looking
    while (looking.isAgain && this.#looking === looking) {
      looking.isAgain = false
      try {
        await this.#options.look()
      } catch (cause) {
        if (this.#looking === looking) this.#options.failed(cause)
      }
    }
    if (this.#looking === looking) this.#looking = undefined
  }
}
