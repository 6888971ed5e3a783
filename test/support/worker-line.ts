/** A line between a thread and its worker, in virtual time. */
import type { Clock } from 'tidemark'
import type { WorkerPort } from 'tidemark/group'

type Listener = (message: unknown) => void

/** One end of a line between a thread and its worker, as Node has it. What arrives waits until somebody listens. */
class End implements WorkerPort {
  other!: End
  readonly #clock: Clock
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #early: unknown[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  postMessage(message: unknown): void {
    const copy = structuredClone(message)
    this.other.#clock.timer(1, () => this.other.arrive('message', copy))
  }

  arrive(type: string, message: unknown): void {
    const listeners = this.#listeners.get(type)
    if (!listeners?.size) this.#early.push(message)
    else for (const heard of listeners) heard(message)
  }

  on(type: string, heard: Listener): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(heard))
    if (type === 'message') for (const message of this.#early.splice(0)) heard(message)
  }

  off(type: string, heard: Listener): void {
    this.#listeners.get(type)?.delete(heard)
  }

  /** All that came before is gone, as in a browser when a script begins to listen late. */
  forget(): void {
    this.#early.length = 0
  }
}

export function line(thread: Clock, worker: Clock): [End, End] {
  const ends: [End, End] = [new End(thread), new End(worker)]
  ends[0].other = ends[1]
  ends[1].other = ends[0]
  return ends
}
