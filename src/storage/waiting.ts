/** Waiting for a turn. It ends by a signal, or when nothing at all was answered for as long as one call may take. */
import type { Clock } from '../clock.js'
import { aborted, throwIfAborted } from '../errors.js'

/** The turns for which calls wait (turns.ts). */
interface Turns {
  free: number
  readonly answers: number
  readonly waiting: Set<() => void>
}

/** How long a call waits for its turn. */
export interface Patience {
  /** Measures `timeoutMs`. */
  readonly clock: Clock
  /** The longest time without any answer of the adapter, in milliseconds. */
  readonly timeoutMs: number
  /** The signal of the call. */
  readonly signal: AbortSignal | undefined
  /** Makes the error of a call that has waited in vain. */
  readonly late: () => Error
}

/** Resolves when a place was taken. */
export function takeTurn(turns: Turns, { clock, timeoutMs, signal, late }: Patience): Promise<void> {
  throwIfAborted(signal)
  return new Promise((resolve, reject) => {
    // One became free while this part was loaded.
    if (turns.free > 0) {
      turns.free--
      resolve()
      return
    }
    let cancel: () => void
    const end = (settle: () => void): void => {
      cancel()
      turns.waiting.delete(begin)
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const begin = (): void => end(resolve)
    const abort = (): void => end(() => reject(aborted(signal!)))
    const watch = (answers: number): void => {
      cancel = clock.timer(timeoutMs, () => {
        if (answers === turns.answers) end(() => reject(late()))
        else watch(turns.answers)
      })
    }
    watch(turns.answers)
    turns.waiting.add(begin)
    signal?.addEventListener('abort', abort)
  })
}
