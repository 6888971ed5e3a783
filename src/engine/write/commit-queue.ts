/**
 * What is asked of the log and not settled yet, in order: what is in flight, and what waits behind it. What is on its way is
 * read already: the queue holds the memtables.
 */
import type { Memtable } from '../memtable.js'
import type { Job } from './requests.js'

export class Queue {
  #waiting: Job[] = []
  #inFlight: Job[] = []
  /** Of both, oldest first, and the sum of their sizes. */
  #onTheWay: Memtable[] = []
  #bytes = 0
  /** The same newest first, until it changes. */
  #memtables: readonly Memtable[] | undefined

  /** What waits next. */
  get first(): Job | undefined {
    return this.#waiting[0]
  }

  get inFlight(): readonly Job[] {
    return this.#inFlight
  }

  /** Memtables on their way, newest first: what was put stays readable. */
  get memtables(): readonly Memtable[] {
    this.#memtables ??= [...this.#onTheWay].reverse()
    return this.#memtables
  }

  /** Memory of the changes on their way, about. */
  get bytes(): number {
    return this.#bytes
  }

  push(job: Job): void {
    const memtable = job.request?.memtable
    if (memtable && !memtable.empty) {
      this.#onTheWay.push(memtable)
      this.#bytes += memtable.size
      this.#memtables = undefined
    }
    this.#waiting.push(job)
  }

  /** Sends off the first `count`; left out: the first with all that follow and may share its entry. */
  take(count?: number): readonly Job[] {
    const joins = ({ request }: Job): boolean =>
      request?.offsets.size === 0 && request.label === undefined && request.meta === undefined
    let length = count ?? 1
    if (count === undefined && this.#waiting.length > 0 && joins(this.#waiting[0]!)) {
      while (length < this.#waiting.length && joins(this.#waiting[length]!)) length++
    }
    this.#inFlight = this.#waiting.splice(0, length)
    return this.#inFlight
  }

  /** What was in flight has happened. */
  settle(): readonly Job[] {
    const done = this.#inFlight
    this.#inFlight = []
    const memtables = done.filter(({ request }) => request && !request.memtable.empty)
    for (const { size } of this.#onTheWay.splice(0, memtables.length)) this.#bytes -= size
    this.#memtables = undefined
    return done
  }

  /** What was in flight waits for another turn. */
  putBack(): void {
    this.#waiting = [...this.#inFlight, ...this.#waiting]
    this.#inFlight = []
  }

  /** Takes out what `falls`, oldest first; nothing is in flight then. */
  takeOut(falls: (job: Job) => boolean): readonly Job[] {
    this.putBack()
    const fallen = new Set(this.#waiting.filter(falls))
    if (fallen.size === 0) return []
    this.#waiting = this.#waiting.filter((job) => !fallen.has(job))
    this.#onTheWay = this.#waiting.flatMap(({ request }) =>
      request && !request.memtable.empty ? [request.memtable] : [],
    )
    this.#bytes = this.#onTheWay.reduce((sum, { size }) => sum + size, 0)
    this.#memtables = undefined
    return [...fallen]
  }
}
