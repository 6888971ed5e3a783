/** Keeps a handle up to date with what others write: every so often, and whenever another one tells of a version. */
import type { Clock } from '../clock.js'

export interface FollowOptions {
  readonly clock: Clock
  /** How often it catches up, in milliseconds; 0: only when told. */
  readonly followMs: number
  readonly catchUp: () => Promise<void>
  readonly failed: (cause: unknown) => void
}

/** Catches up once at a time. */
export class Following {
  readonly #options: FollowOptions
  #cancel = (): void => undefined
  #isOn = false
  /** Catching up is under way; whether it is wanted once more after that. */
  #running: { isAgain: boolean } | undefined

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
    this.#running = undefined
  }

  #await(): void {
    const { clock, followMs } = this.#options
    this.#cancel()
    if (!this.#isOn || followMs === 0) return
    this.#cancel = clock.timer(followMs, () => void this.catchUp().then(() => this.#await()), { background: true })
  }

  async catchUp(): Promise<void> {
    if (!this.#isOn) return
    if (this.#running) {
      this.#running.isAgain = true
      return
    }
    const running = { isAgain: true }
    this.#running = running
    while (running.isAgain && this.#running === running) {
      running.isAgain = false
      try {
        await this.#options.catchUp()
      } catch (cause) {
        if (this.#running === running) this.#options.failed(cause)
      }
    }
    if (this.#running === running) this.#running = undefined
  }
}
