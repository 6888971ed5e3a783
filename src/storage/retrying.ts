/**
 * Repeats calls that failed in passing, after a random wait that doubles its bound each time.
 *
 * Only what a storage threw as retryable is repeated: by the contract it changed nothing or repeats harmlessly. A create
 * or swap that answered `unknown` is an answer, and what to do about it is the business of the log protocol.
 */
import { tell } from '../callback.js'
import { systemClock, sleep, type Clock } from '../clock.js'
import { isTidemarkError, throwIfAborted } from '../errors.js'
import type { Storage } from './contract.js'
import { intercept, type Call } from './intercept.js'

export interface RetryingOptions {
  /** How often a call is made at most. Default: 5. */
  readonly tries?: number | undefined
  /** The bound of the first wait; each wait is a random part of its bound. Default: 100. */
  readonly baseMs?: number | undefined
  /** What the bound grows to at most. Default: 10,000. */
  readonly maxMs?: number | undefined
  readonly clock?: Clock | undefined
  /** Told before each wait, for logs and counters. */
  readonly onRetry?: ((call: Call, error: unknown, waitMs: number) => unknown) | undefined
}

export function retrying(storage: Storage, options: RetryingOptions = {}): Storage {
  const { tries = 5, baseMs = 100, maxMs = 10_000, clock = systemClock, onRetry } = options

  return intercept(storage, async (call, run) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await run(call.signal)
      } catch (error) {
        if (attempt >= tries || !isTidemarkError(error) || !error.retryable) throw error
        const waitMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1)) * fraction(clock)
        tell(() => onRetry?.(call, error, waitMs))
        await sleep(clock, waitMs, call.signal)
        throwIfAborted(call.signal)
      }
    }
  })
}

/** A random number from 0 to 1; a 65,536th is fine enough to spread clients out. */
function fraction(clock: Clock): number {
  const [high = 0, low = 0] = clock.random(2)
  return (high * 256 + low) / 65_535
}
