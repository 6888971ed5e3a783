/**
 * How many calls an adapter is asked to serve at once: files that are open, connections. The others wait and are sent in the
 * order in which they came (waiting.ts, loaded when the first one has to). `deadlines` asks, so that what waits is not taken
 * for what is not answered.
 */
import { Part } from '../part.js'
import type { Patience } from './waiting.js'

/** Sends a call, with the signal that it is given. */
export type Run<T> = (signal: AbortSignal | undefined) => Promise<T>

const queueing = new Part(() => import('./waiting.js'))

/** The places of the calls that an adapter serves at once. */
export class Turns {
  /** How many places are free. */
  free: number
  /** How many calls the adapter has answered, however that was. */
  answers = 0
  /** Each takes the place that is free by now. */
  readonly waiting = new Set<() => void>()
  readonly #most: number

  constructor(most: number) {
    this.#most = this.free = most
  }

  /** As many, for other calls. */
  readonly again = (): Turns => new Turns(this.#most)

  /** Has `send` send the call in its turn, and ends the turn when that has an answer or gives up. */
  async give<T>(patience: Patience, run: Run<T>, send: (run: Run<T>) => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--
    else await queueing.use((part) => part.takeTurn(this, patience))
    try {
      return await send((signal) => run(signal).finally(() => this.answers++))
    } finally {
      // A place goes from hand to hand, so that nobody who comes later is served before those who wait.
      const [next] = this.waiting
      if (next) next()
      else this.free++
    }
  }
}
