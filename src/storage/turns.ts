/**
 * How many calls an adapter is asked to serve at once: files that are open, connections. The others wait here and are sent
 * in the order in which they came. `deadlines` asks, so that what waits is not taken for what is not answered.
 *
 * Who waits ends by his signal, or when nothing at all was answered for as long as one call may take.
 */
import type { Clock } from '../clock.js'
import { aborted, throwIfAborted } from '../errors.js'
import type { Run } from './intercept.js'

export interface Patience {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** What who waited in vain is told. */
  readonly late: () => Error
}

export class Turns {
  readonly #most: number
  #free: number
  /** How many calls the adapter has answered, however that was. */
  #answers = 0
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = this.#free = most
  }

  /** As many, for other calls. */
  readonly again = (): Turns => new Turns(this.#most)

  /** Has `send` send the call in its turn, and ends the turn when that has an answer or gives up. */
  async give<T>(patience: Patience, run: Run<T>, send: (run: Run<T>) => Promise<T>): Promise<T> {
    throwIfAborted(patience.signal)
    if (this.#free > 0) this.#free--
    else await this.#wait(patience)
    try {
      return await send((signal) => run(signal).finally(() => this.#answers++))
    } finally {
      // A place goes from hand to hand, so that nobody who comes later is served before those who wait.
      const [next] = this.#waiting
      if (next) next()
      else this.#free++
    }
  }

  #wait({ clock, timeoutMs, signal, late }: Patience): Promise<void> {
    return new Promise((resolve, reject) => {
      let cancel: () => void
      const end = (error?: unknown): void => {
        cancel()
        this.#waiting.delete(end)
        signal?.removeEventListener('abort', abort)
        if (error === undefined) resolve()
        else reject(error as Error)
      }
      const abort = (): void => end(aborted(signal!))
      const watch = (answers: number): void => {
        cancel = clock.timer(timeoutMs, () => (answers === this.#answers ? end(late()) : watch(this.#answers)))
      }
      watch(this.#answers)
      this.#waiting.add(end)
      signal?.addEventListener('abort', abort)
    })
  }
}
