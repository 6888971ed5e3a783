/**
 * The queue holds what is asked of the log and not settled yet, in order: first what is in flight, then what waits behind it.
 * Readers see the memtables of both.
 */
import type { Memtable } from '../memtable.js'
import type { Job } from './requests.js'

export class Queue {
  #jobs: Job[] = []
  /** How many of the first jobs are in flight. */
  #sent = 0
  #bytes = 0
  /** The memtables of all jobs, newest first, until the jobs change. */
  #memtables: readonly Memtable[] | undefined

  /** The job that waits next. */
  get first(): Job | undefined {
    return this.#jobs[this.#sent]
  }

  get inFlight(): readonly Job[] {
    return this.#jobs.slice(0, this.#sent)
  }

  /** The memtables on their way, newest first, so that what was put stays readable. */
  get memtables(): readonly Memtable[] {
    this.#memtables ??= this.#jobs
      .flatMap(({ request }) => (request && !request.memtable.empty ? [request.memtable] : []))
      .reverse()
    return this.#memtables
  }

  /** About how much memory the changes on their way take. */
  get bytes(): number {
    return this.#bytes
  }

  push(job: Job): void {
    this.#jobs.push(job)
    this.#changed([job], 1)
  }

  /** Sends off the first `count`; left out: the first with all that follow and may share its entry. */
  take(count?: number): readonly Job[] {
    const joins = ({ request }: Job): boolean =>
      request?.offsets.size === 0 && !request.turn && request.label === undefined && request.meta === undefined
    this.#sent = count ?? 1
    if (count === undefined && joins(this.#jobs[0]!)) while (this.first && joins(this.first)) this.#sent++
    return this.inFlight
  }

  /** Takes out what was in flight: it has happened. */
  settle(): readonly Job[] {
    return this.#changed(this.#jobs.splice(0, this.#sent), -1)
  }

  /** Lets what was in flight wait for another turn. */
  putBack(): void {
    this.#sent = 0
  }

  /** Takes out what `falls`, oldest first; nothing is in flight then. */
  takeOut(falls: (job: Job) => boolean): readonly Job[] {
    const fallen = new Set(this.#jobs.filter(falls))
    this.#jobs = this.#jobs.filter((job) => !fallen.has(job))
    return this.#changed([...fallen], -1)
  }

  /** Takes note of jobs that have come, or gone. */
  #changed(jobs: readonly Job[], sign: 1 | -1): readonly Job[] {
    for (const { request } of jobs) this.#bytes += sign * (request?.memtable.size ?? 0)
    if (sign < 0) this.#sent = 0
    this.#memtables = undefined
    return jobs
  }
}
