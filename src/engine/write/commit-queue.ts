/**
 * What is asked of the log and not settled yet, in order: what is in flight, and what waits behind it. It knows what is
 * about to be read and committed: the memtables on their way, and the offsets with all of them.
 */
import { mergeOffsets, type OffsetMap } from '../../log/offsets.js'
import type { Memtable } from '../memtable.js'
import type { CommitRequest, Job } from './requests.js'

export class Queue {
  /** Of the entry before. */
  readonly #committed: () => OffsetMap
  #waiting: Job[] = []
  #inFlight: Job[] = []
  /** Of both, oldest first, and the sum of their sizes. */
  #onTheWay: Memtable[] = []
  #bytes = 0
  /** The same newest first, until it changes. */
  #memtables: readonly Memtable[] | undefined
  #offsets: OffsetMap

  constructor(committed: () => OffsetMap) {
    this.#committed = committed
    this.#offsets = committed()
  }

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

  /** Committed offsets with all that is on its way laid over them; the same map as long as nothing has changed them. */
  get offsets(): OffsetMap {
    return this.#offsets
  }

  /** What the offsets may turn out to be when something on its way fails: the committed ones, and those of each commit. */
  get possibleOffsets(): readonly OffsetMap[] {
    const onTheWay = [...this.#inFlight, ...this.#waiting].flatMap(({ offsets }) =>
      typeof offsets === 'object' ? offsets : [],
    )
    return [this.#committed(), ...onTheWay]
  }

  /** The offsets after a commit, to go with it into the queue; throws when they go back. */
  offsetsAfter({ offsets: given, force }: CommitRequest): Job['offsets'] {
    if (given.size > 0 && this.#isUncertain()) return (before) => mergeOffsets(before, given, force)
    this.#offsets = mergeOffsets(this.#offsets, given, force)
    return given.size > 0 ? this.#offsets : undefined
  }

  /** Whether the offsets after all that is on its way are not known yet. */
  #isUncertain(): boolean {
    return [...this.#inFlight, ...this.#waiting].some(isUncertain)
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
    const joins = ({ request, offsets }: Job): boolean =>
      request !== undefined && offsets === undefined && request.label === undefined && request.meta === undefined
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
    if (done.some(isUncertain) && !this.#isUncertain()) this.#offsets = this.#committed()
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
    this.moved()
    return [...fallen]
  }

  /** The committed offsets are others by now. */
  moved(): void {
    const known = this.#waiting.findLast(({ offsets }) => typeof offsets === 'object')
    this.#offsets = (known?.offsets as OffsetMap | undefined) ?? this.#committed()
  }
}

/** Whether the offsets after it are known only at its turn. */
function isUncertain({ request, isVersion, offsets }: Job): boolean {
  return (isVersion && request === undefined) || typeof offsets === 'function'
}
