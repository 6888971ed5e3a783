/** Waiting that can be cut short: a loop sleeps until its time has come or somebody rings. */
import type { Clock } from '../clock.js'

export class Bell {
  readonly #clock: Clock
  #hasRung = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the wait that is under way, or the next one at once. */
  ring(): void {
    this.#hasRung = true
    this.#wake?.()
  }

  /** Resolves after `ms`, or when it rings; whether it rang. Without `ms` it waits for the ring. */
  async wait(ms?: number): Promise<boolean> {
    if (!this.#hasRung) {
      await new Promise<void>((resolve) => {
        const cancel = ms === undefined ? undefined : this.#clock.timer(Math.max(0, ms), resolve)
        this.#wake = () => {
          cancel?.()
          resolve()
        }
      })
    }
    this.#wake = undefined
    const rang = this.#hasRung
    this.#hasRung = false
    return rang
  }
}
