/** Keeps how far a check of a store has come, and the damage that it met. */
import { tell } from '../callback.js'
import type { Clock } from '../clock.js'
import { isDamage, throwIfAborted, type ErrorCode, type TidemarkError } from '../errors.js'

/** A damaged object. */
export interface Damage {
  /** The name of the anchor, log, entry or blob, as docs/format.md has it. */
  readonly object: string
  /** `CORRUPT`, or `UNSUPPORTED_FORMAT` when a newer release wrote it. */
  readonly code: ErrorCode
  /** The fault of its bytes. */
  readonly message: string
}

/** How far a check is. */
export interface VerifyProgress {
  /** How many objects were read. */
  readonly objects: number
  /** How many bytes were read. */
  readonly bytes: number
  /** How many objects there are, as far as that is known. */
  readonly of: number
}

/** Options of `verify`. */
export interface VerifyOptions {
  /**
   * Is called for each object, and not waited for. Its errors are dropped.
   * @default none
   * @when Set it to show how far the check is.
   */
  readonly onProgress?: ((progress: VerifyProgress) => unknown) | undefined
  /**
   * Ends the check with `ABORTED`.
   * @default none
   * @when Set it when the check has to end in time.
   */
  readonly signal?: AbortSignal | undefined
  /**
   * Time and pauses.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
}

/** The result of `verify`. */
export interface VerifyReport {
  /** The name of the store. */
  readonly name: string
  /** Whether nothing is damaged. */
  readonly ok: boolean
  /** The newest version that could be read. */
  readonly version: number
  /** The number of the newest entry that could be read. */
  readonly head: number
  /** The oldest version that is kept, not counting tagged ones; 0: none. */
  readonly oldest: number
  /** The names of the tags. */
  readonly tags: readonly string[]
  /** The names of the forks for which something is held. */
  readonly forks: readonly string[]
  /** How many entries were read. */
  readonly entries: number
  /** How many segments were read. */
  readonly segments: number
  /** The bytes of all objects together. */
  readonly bytes: number
  /** Blobs that nothing names. They are no damage: interrupted uploads, uploads under way, and blobs that wait to be deleted. */
  readonly orphans: { readonly count: number; readonly bytes: number }
  /** The damaged objects. */
  readonly damages: readonly Damage[]
}

/** Tells whether a damaged object still matters: a living store may have collected it meanwhile. */
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

  /**
   * Runs `act`. Damage that it meets is noted, and the answer is false. Any other error is thrown: the storage did not answer.
   */
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
