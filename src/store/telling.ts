/** Tells other handles of what this one commits, where the storage has a way to them. */
import { tell } from '../callback.js'
import type { Clock } from '../clock.js'
import type { Channel, Peers } from '../storage/contract.js'

export interface TellingHost {
  readonly clock: Clock
  /** How often a handle that follows looks; 0: only when told. */
  readonly followMs: number
  /** Looks when another tab tells of a version. */
  readonly listens: boolean
  /** Tells others of this path. */
  readonly path: string
  readonly peers: Peers | undefined
  /** Catches up. */
  look(): Promise<void>
  readonly failed: (cause: unknown) => void
}

/** What an exclusive handle needs; one that also follows others is a `Following`. */
export class Telling {
  readonly host: TellingHost
  #channel: Channel | undefined

  constructor(host: TellingHost) {
    this.host = host
  }

  start(): void {
    const { peers, path } = this.host
    this.#channel ??= peers?.channel(path, () => this.heard())
  }

  /** Others may want to look. */
  tell(): void {
    // When that fails: what it would tell of is durable, and others find it when they look.
    tell(() => this.#channel?.tell(), this.host.failed)
  }

  /** Another handle has told of a version. */
  heard(): void {}

  /** Looks no more; what is still committed is told. */
  stop(): void {}

  close(): void {
    this.stop()
    this.#channel?.close()
    this.#channel = undefined
  }
}
