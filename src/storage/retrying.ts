/**
 * Repeats calls that failed in passing, after a random wait that doubles its bound each time.
 *
 * Only calls that threw a retryable error are repeated: by the contract they changed nothing, or repeat harmlessly. `unknown` is
 * an answer of a create or swap, and the log settles it.
 */
import { tell } from '../callback.js'
import { systemClock, sleep, type Clock } from '../clock.js'
import { isTidemarkError, throwIfAborted } from '../errors.js'
import type { Storage } from './contract.js'
import { intercept, type Call } from './intercept.js'

/** Options of `retrying`. */
export interface RetryingOptions {
  /**
   * How often a call is made at most.
   * @default 5
   * @unit calls
   * @when Raise it on lines that fail often; 1 repeats nothing.
   */
  readonly tries?: number | undefined
  /**
   * The bound of the first wait, in milliseconds. Each wait is a random part of its bound, which doubles each time.
   * @default 100
   * @unit milliseconds
   * @when Raise it when the storage asks callers to slow down.
   */
  readonly baseMs?: number | undefined
  /**
   * The largest bound of a wait, in milliseconds.
   * @default 10000
   * @unit milliseconds
   * @when Raise it with `tries`, when outages last longer.
   */
  readonly maxMs?: number | undefined
  /**
   * Waits and randomness.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
  /**
   * Is told before each wait, for logs and counters. Its errors are dropped.
   * @default none
   * @when Set it to see how often a storage fails in passing.
   */
  readonly onRetry?: ((call: Call, error: unknown, waitMs: number) => unknown) | undefined
}

/**
 * Decorates `storage` so that calls which failed in passing are repeated.
 *
 * @throws by calls: their last error as it is, mostly `STORAGE_UNAVAILABLE`; `ABORTED` by their signal, also in a wait
 * @example
 *     const storage = retrying(s3Fetch({ fetch, url }), { tries: 3 })
 */
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
