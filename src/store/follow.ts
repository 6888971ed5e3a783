/** Keeps a handle up to date with what others write: every so often, and whenever another tab tells of a version. */
import type { Clock } from '../clock.js'
import type { Channel, Neighbours } from '../storage/contract.js'

export interface FollowingHost {
  readonly clock: Clock
  /** 0: only when told. */
  readonly followMs: number
  /** Whether there is anything to follow; else it only tells. */
  readonly isFollowed: boolean
  /** Tells others of this path. */
  readonly path: string
  readonly neighbours: Neighbours | undefined
  /** Catches up. */
  look(): Promise<void>
  failed(cause: unknown): void
}

/** One look at a time. */
export class Following {
  readonly #host: FollowingHost
  #channel: Channel | undefined
  #cancel = (): void => undefined
  #isOn = false
  /** A look is under way; whether another one is wanted after it. */
  #looking: { isAgain: boolean } | undefined

  constructor(host: FollowingHost) {
    this.#host = host
  }

  start(): void {
    const { neighbours, path } = this.#host
    this.#isOn = true
    this.#channel ??= neighbours?.channel(path, () => void this.#look())
    this.#await()
  }

  /** Others may want to look. */
  tell(): void {
    try {
      this.#channel?.tell()
    } catch (cause) {
      // What it would tell of is durable; others find it when they look.
      this.#host.failed(cause)
    }
  }

  #await(): void {
    const { clock, followMs, isFollowed } = this.#host
    this.#cancel()
    if (!this.#isOn || !isFollowed || followMs === 0) return
    this.#cancel = clock.timer(followMs, () => void this.#look().then(() => this.#await()), { background: true })
  }

  async #look(): Promise<void> {
    if (!this.#isOn || !this.#host.isFollowed) return
    if (this.#looking) {
      this.#looking.isAgain = true
      return
    }
    const looking = { isAgain: true }
    this.#looking = looking
    while (looking.isAgain && this.#looking === looking) {
      looking.isAgain = false
      try {
        await this.#host.look()
      } catch (cause) {
        if (this.#looking === looking) this.#host.failed(cause)
      }
    }
    if (this.#looking === looking) this.#looking = undefined
  }

  /** Looks no more; what is still committed is told. */
  stop(): void {
    this.#isOn = false
    this.#cancel()
    this.#looking = undefined
  }

  close(): void {
    this.stop()
    this.#channel?.close()
    this.#channel = undefined
  }
}
