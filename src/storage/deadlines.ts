/**
 * Ends every call that is not answered in time, whatever the adapter does, and sends no more of them at once than the
 * adapter serves well (`capabilities.callsAtOnce`).
 *
 * - A create or swap ends as `unknown`: it may have happened, or may yet happen. Sending it again can settle it, except
 *   where only a new handle can (`trim: 'owner'`). It waits for no turn: a log has one on its way.
 * - Any other call ends as `STORAGE_UNAVAILABLE`; it changed nothing, or repeats harmlessly.
 * - The adapter's signal is aborted afterwards; what it answers then is dropped, errors too.
 * - The time of a call begins when it is sent. One that waits for its turn ends by its signal, or when nothing at all was
 *   answered for that long.
 */
import { systemClock, type Clock } from '../clock.js'
import { TidemarkError, aborted } from '../errors.js'
import type { Capabilities, Storage } from './contract.js'
import { intercept, unknownOutcome, type Call, type Run } from './intercept.js'

export interface DeadlinesOptions {
  /** How long one call may take; large blobs on slow lines have to fit. Default: 30,000. */
  readonly timeoutMs?: number
  readonly clock?: Clock
}

/** The places of all calls to storages that have the same capabilities object. */
interface Places {
  free: number
  /** In the order in which they came. */
  readonly waiting: Set<() => void>
  /** How many calls ended by themselves: while that grows, who waits is not stalled. */
  answers: number
}

const shared = new WeakMap<Capabilities, Places>()

export function deadlines(
  storage: Storage,
  { timeoutMs = 30_000, clock = systemClock }: DeadlinesOptions = {},
): Storage {
  const { capabilities } = storage
  const { name, trim, callsAtOnce: free = 64 } = capabilities
  const places = shared.get(capabilities) ?? { free, waiting: new Set(), answers: 0 }
  shared.set(capabilities, places)

  const around = <T>(call: Call, run: Run<T>): Promise<T> => {
    const { signal, conditional } = call
    // What closes lets go of what others wait for.
    const waits = !conditional && call.method !== 'close'
    return new Promise<T>((resolve, reject) => {
      const controller = new AbortController()
      let cancel: (() => void) | undefined
      let state: 'waiting' | 'sent' | 'ended' = 'waiting'
      const end = (): void => {
        cancel?.()
        signal?.removeEventListener('abort', abort)
        if (state === 'sent' && waits) leave(places)
        places.waiting.delete(start)
        state = 'ended'
      }
      const abort = (): void => {
        controller.abort(signal?.reason)
        if (state !== 'waiting') return
        end()
        reject(aborted(signal!))
      }
      const watch = (): void => {
        const { answers } = places
        cancel?.()
        cancel = clock.timer(timeoutMs, () => {
          if (state === 'waiting' && answers !== places.answers) return watch()
          end()
          const error = new TidemarkError(
            'STORAGE_UNAVAILABLE',
            `${name} did not answer ${call.method} of ${call.path} within ${timeoutMs} ms; check the connection to it.`,
          )
          if (conditional) resolve(unknownOutcome<T>(trim !== 'owner', error))
          else reject(error)
          controller.abort(error)
        })
      }
      const start = (): void => {
        state = 'sent'
        watch()
        // Settling a second time does nothing, so a late answer or error ends here.
        const answered =
          <A>(settle: (answer: A) => void) =>
          (answer: A): void => {
            places.answers++
            end()
            settle(answer)
          }
        run(controller.signal).then(answered(resolve), answered(reject))
      }
      signal?.addEventListener('abort', abort, { once: true })
      if (signal?.aborted) abort()
      else if (!waits || places.free > 0) {
        if (waits) places.free--
        start()
      } else {
        places.waiting.add(start)
        watch()
      }
    })
  }
  // Capabilities of its own: whoever is around these has other places, and nobody waits for one whom he holds up.
  return { ...intercept(storage, around), capabilities: { ...capabilities } }
}

function leave(places: Places): void {
  for (const next of places.waiting) {
    places.waiting.delete(next)
    return next()
  }
  places.free++
}
