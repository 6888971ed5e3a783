/**
 * Ends every call that is not answered in time, whatever the adapter does; `getNow` alone answers in the turn of its caller.
 *
 * - A create or swap ends as `unknown`: it may have happened, or may yet happen. Sending it again can settle it, except
 *   where only a new handle can (`trim: 'owner'`).
 * - Any other call ends as `STORAGE_UNAVAILABLE`; it changed nothing, or repeats harmlessly.
 * - The adapter's signal is aborted afterwards; what it answers then is dropped, errors too.
 * - The time of a call begins when it is sent. Where the adapter serves only so many at once (`capabilities.turns`), all but
 *   creates and swaps wait for their turn: of those a log has one on its way, and no commit waits behind reads.
 */
import { systemClock, type Clock } from '../clock.js'
import { TidemarkError } from '../errors.js'
import type { Storage } from './contract.js'
import { intercept, unknownOutcome, type Call, type Requests } from './intercept.js'
import type { Run } from './turns.js'

/** Options of `deadlines`. */
export interface DeadlinesOptions {
  /**
   * How long one call may take, in milliseconds. Large blobs on slow lines have to fit.
   * @default 30000
   * @unit milliseconds
   * @when Raise it on slow lines.
   */
  readonly timeoutMs?: number | undefined
  /**
   * Measures `timeoutMs`.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
  /**
   * Counts what is sent, as `metered` does: one decorator less around every call of a store.
   * @default nothing is counted
   * @when Set it when you count requests and set deadlines, too.
   */
  readonly requests?: { -readonly [R in keyof Requests]: number } | undefined
}

/**
 * Decorates `storage` so that each call ends in time. `openStore` does this by itself, with `timeoutMs`.
 *
 * @throws `STORAGE_UNAVAILABLE` by calls that are not answered in time, but for creates and swaps, which answer `unknown`
 * @example
 *     const storage = retrying(deadlines(mine(), { timeoutMs: 5_000 }))
 */
export function deadlines(
  storage: Storage,
  { timeoutMs = 30_000, clock = systemClock, requests }: DeadlinesOptions = {},
): Storage {
  const { capabilities } = storage
  const { name, trim } = capabilities
  const turns = capabilities.turns?.()

  const late = ({ method, path }: Call): TidemarkError =>
    new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `${name} did not answer ${method} of ${path} within ${timeoutMs} ms; check the connection to it.`,
    )

  const send = <T>(call: Call, run: Run<T>): Promise<T> => {
    const { signal } = call
    return new Promise<T>((resolve, reject) => {
      const controller = new AbortController()
      const abort = (): void => controller.abort(signal?.reason)
      const ended = (): void => {
        cancel()
        signal?.removeEventListener('abort', abort)
      }
      const cancel = clock.timer(timeoutMs, () => {
        ended()
        const error = late(call)
        if (call.conditional) resolve(unknownOutcome<T>(trim !== 'owner', error))
        else reject(error)
        controller.abort(error)
      })
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
      // Settling a second time does nothing, so a late answer or error ends here.
      run(controller.signal).finally(ended).then(resolve, reject)
    })
  }

  const inTurn = <T>(call: Call, run: Run<T>): Promise<T> => {
    if (requests && call.kind) requests[call.kind]++
    // Closing lets go of what others wait for.
    return !turns || call.conditional || call.method === 'close'
      ? send(call, run)
      : turns.give({ clock, timeoutMs, signal: call.signal, late: () => late(call) }, run, (own) => send(call, own))
  }
  const inTime = intercept(storage, inTurn)
  const { blobs } = storage
  return {
    ...inTime,
    // Deadlines around these have other turns: nobody who has one there waits for himself here.
    capabilities: { ...capabilities, turns: turns?.again },
    blobs: {
      ...inTime.blobs,
      getNow(name, range) {
        const bytes = blobs.getNow?.(name, range)
        if (bytes && requests) requests.get++
        return bytes
      },
    },
  }
}
