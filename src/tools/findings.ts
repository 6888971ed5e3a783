/** Keeps how far a check of a store has come, and the damage that it met. */
import { tell } from '../callback.js'
import type { Clock } from '../clock.js'
import { isDamage, throwIfAborted, type ErrorCode, type TidemarkError } from '../errors.js'

export interface Damage {
  /** The anchor, log, entry or blob: its name as in docs/format.md. */
  readonly object: string
  readonly code: ErrorCode
  readonly message: string
}

export interface VerifyProgress {
  readonly objects: number
  readonly bytes: number
  /** How many objects there are, as far as that is known. */
  readonly of: number
}

export interface VerifyOptions {
  /** Not waited for; what it throws is dropped. */
  readonly onProgress?: ((progress: VerifyProgress) => unknown) | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
}

/** Says whether what is damaged still matters: a living store may have collected it meanwhile. */
export type StillNeeded = () => Promise<boolean>

export class Findings {
  readonly damages: Damage[] = []
  readonly #options: VerifyOptions
  readonly #clock: Clock
  bytes = 0
  objects = 0
  /** Objects that are known to be there. */
  of = 1

  constructor(options: VerifyOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  get signal(): AbortSignal | undefined {
    return this.#options.signal
  }

  /** Takes note of an object that was read. */
  count(bytes: Uint8Array): void {
    this.bytes += bytes.length
    this.objects++
    const of = Math.max(this.of, this.objects)
    const progress = { objects: this.objects, bytes: this.bytes, of }
    tell(() => this.#options.onProgress?.(progress))
  }

  async pause(): Promise<void> {
    await this.#clock.pause()
    throwIfAborted(this.signal)
  }

  /** Takes note of damage that `act` meets; false then. Any other error says that the storage could not be asked. */
  async try(object: string, act: () => Promise<void> | void, isNeeded?: StillNeeded): Promise<boolean> {
    try {
      await act()
      return true
    } catch (error) {
      if (!isDamage(error)) throw error
      if (!isNeeded || (await isNeeded())) this.damage(object, error)
      return false
    }
  }

  damage(object: string, { code, message }: TidemarkError): void {
    this.damages.push({ object, code, message })
  }
}
