/**
 * Epochs of a source. A run commits, with a label, when an epoch is over: so that a version has all events up to it and none of a later one,
 * in every shard (docs/groups.md). Partitions that are ahead wait for the others; one that is silent is waited for as long as an event
 * may stay uncommitted.
 */
import type { Clock } from '../clock.js'
import { invalid, show } from '../errors.js'
import { internalTable } from '../engine/slot.js'
import type { PartitionRange } from '../manifest/clip.js'
import { epochLabel } from '../store/epochs.js'
import type { StoreHandle } from '../store/handle.js'
import type { TableHost } from '../store/table-host.js'
import { Table } from '../store/table.js'
import { eachPartition } from './own-tables.js'
import type { Reader } from './readers.js'
import type { SourceEvent } from './source.js'

type Kept = readonly [epoch: number, isOver: boolean]

/** Where the epochs of a run are kept. */
interface EpochPlace {
  readonly source: string
  readonly handle: StoreHandle
  readonly host: TableHost
  /** The partitions of the shard. */
  readonly range: PartitionRange
}

/**
 * The row of a source that says in which epoch its newest committed event was, beside those of its partitions. Each partition of the
 * shard has it, as a split or a merge may put it beside others that are less far.
 */
const ROW = 'epoch'

export class Epochs {
  readonly #of: (event: SourceEvent) => number
  readonly #source: string
  readonly #clock: Clock
  readonly #waitMs: number
  readonly #handle: StoreHandle
  readonly #range: PartitionRange
  readonly #tableOf: (partition: number) => Table
  readonly #wake: () => void
  #present: number | undefined
  /** What the store says, by its partitions. */
  readonly #kept = new Map<number, Kept>()
  #held: Reader[] = []
  /** Events of the present epoch have come since it was labelled. */
  #hasMoved = false
  #isLate = false
  #cancel = (): void => undefined

  constructor(
    of: (event: SourceEvent) => number,
    { source, handle, host, range }: EpochPlace,
    { waitMs, wake }: { readonly waitMs: number; readonly wake: () => void },
  ) {
    this.#of = of
    this.#source = source
    this.#handle = handle
    this.#range = range
    this.#clock = handle.options.clock
    this.#waitMs = waitMs
    this.#wake = wake
    const spec = handle.spec('sources', {}, internalTable('sources'))
    this.#tableOf = (partition) => new Table(host, spec, partition)
  }

  /** Goes on in the epoch in which the store is; of a shard that was merged the earliest one of its parents. */
  async open(): Promise<void> {
    await this.again()
    const all = [...this.#kept.values()]
    if (all.length === 0) return
    this.#present = Math.min(...all.map(([epoch]) => epoch))
    this.#hasMoved = all.some(([epoch, isOver]) => epoch === this.#present && !isOver)
  }

  /** The label of the present epoch, unless there is nothing new in it, or some partitions have events of a later one already. */
  get label(): string | undefined {
    const isExact = [...this.#kept.values()].every(([epoch]) => epoch <= this.#present!)
    return this.#hasMoved && isExact ? epochLabel(this.#present!) : undefined
  }

  /** Takes an event of a later epoch out of the way, until this one is over. */
  holds(reader: Reader): boolean {
    const epoch = this.#of(reader.event!)
    if (typeof epoch !== 'number' || !Number.isFinite(epoch)) {
      throw invalid(`epoch: a number is expected for each event, and not ${show(epoch)}.`)
    }
    this.#present ??= epoch
    if (epoch <= this.#present) {
      this.#hasMoved = true
      return false
    }
    if (this.#held.push(reader) === 1 && Number.isFinite(this.#waitMs)) {
      this.#cancel = this.#clock.timer(this.#waitMs, () => {
        this.#isLate = true
        this.#wake()
      })
    }
    return true
  }

  /** Whether this epoch is over: all that may still bring events hold one of a later epoch, or have been silent for too long. */
  isOver(open: number): boolean {
    this.#held = this.#held.filter(({ isDropped }) => !isDropped)
    return this.#held.length > 0 && (this.#isLate || this.#held.length === open)
  }

  /** Begins the next epoch, once this one is committed, and gives back what was held. */
  next(): readonly Reader[] {
    this.end()
    const held = this.#held
    this.#held = []
    this.#isLate = this.#hasMoved = false
    this.#present = Math.min(...held.map(({ event }) => this.#of(event!)))
    return held
  }

  /** Call it before each commit, and say whether the epoch is over with it. */
  seal(isOver: boolean): void {
    if (this.#present === undefined) return
    const now: Kept = [this.#present, isOver]
    for (let partition = this.#range[0]; partition <= this.#range[1]; partition++) {
      const [epoch, wasOver] = this.#kept.get(partition) ?? []
      if (epoch !== undefined && (epoch > now[0] || (epoch === now[0] && wasOver === isOver))) continue
      this.#kept.set(partition, now)
      this.#tableOf(partition).put([this.#source, ROW], now)
    }
  }

  /** Reads what is kept; what was in the buffer of it was dropped. */
  async again(): Promise<void> {
    this.#kept.clear()
    const load = async (partition: number): Promise<void> => {
      const kept = (await this.#tableOf(partition).get([this.#source, ROW])) as Kept | undefined
      if (kept) this.#kept.set(partition, kept)
    }
    const [first, last] = this.#range
    await load(first)
    await eachPartition(this.#handle.state, 'sources', [first + 1, last], load)
  }

  end(): void {
    this.#cancel()
  }
}
