/** Keeps a handle up to date with what others write: every so often, and whenever another tab tells of a version. */
import { Telling } from './telling.js'

/** One look at a time. */
export class Following extends Telling {
  #cancel = (): void => undefined
  #isOn = false
  /** A look is under way; whether another one is wanted after it. */
  #looking: { isAgain: boolean } | undefined

  override start(): void {
    this.#isOn = true
    super.start()
    this.#await()
  }

  override heard(): void {
    if (this.host.listens) void this.#look()
  }

  #await(): void {
    const { clock, followMs } = this.host
    this.#cancel()
    if (!this.#isOn || followMs === 0) return
    this.#cancel = clock.timer(followMs, () => void this.#look().then(() => this.#await()), { background: true })
  }

  async #look(): Promise<void> {
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
        await this.host.look()
      } catch (cause) {
        if (this.#looking === looking) this.host.failed(cause)
      }
    }
    if (this.#looking === looking) this.#looking = undefined
  }

  override stop(): void {
    this.#isOn = false
    this.#cancel()
    this.#looking = undefined
  }
}
