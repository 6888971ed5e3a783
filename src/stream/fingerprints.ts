/**
 * Fingerprints by which a source recognises the place where it is read on. The commit that moves a position keeps its
 * fingerprint in the store. A fingerprint of another position counts for nothing: offsets can be committed by hand, and
 * put back.
 */
import { internalTable } from '../engine/slot.js'
import type { Position } from '../log/offsets.js'
import type { StoreHandle } from '../store/handle.js'
import type { TableHost } from '../store/table-host.js'
import { Table } from '../store/table.js'
import type { PartitionRange } from '../manifest/clip.js'
import { eachPartition } from './own-tables.js'
import type { SourceEvent } from './source.js'

type Kept = readonly [next: Position, fingerprint: string]

export class Fingerprints {
  readonly #source: string
  readonly #handle: StoreHandle
  readonly #range: PartitionRange
  readonly #tableOf: (partition: number) => Table
  /** By the partitions of the source. A shard that was merged has those of several. */
  readonly #known = new Map<number, Kept[]>()
  /** The last event of each partition since the last commit, if it has a fingerprint. */
  readonly #newest = new Map<number, readonly [next: Position, event: SourceEvent]>()

  /** `range`: the partitions of the shard. They are kept in the first one. */
  constructor(handle: StoreHandle, host: TableHost, source: string, range: PartitionRange) {
    this.#source = source
    this.#handle = handle
    this.#range = range
    const spec = handle.spec('sources', {}, internalTable('sources'))
    this.#tableOf = (partition) => new Table(host, spec, partition)
  }

  async open(): Promise<void> {
    const [first, last] = this.#range
    await this.#load(first)
    await eachPartition(this.#handle.state, 'sources', [first + 1, last], (partition) => this.#load(partition))
  }

  async #load(from: number): Promise<void> {
    for await (const [key, kept] of this.#tableOf(from).entries({ prefix: [this.#source] })) {
      const [, partition] = key as [string, number | string]
      // What the source has besides (epochs.ts).
      if (typeof partition !== 'number') continue
      const all = this.#known.get(partition)
      if (all) all.push(kept as Kept)
      else this.#known.set(partition, [kept as Kept])
    }
  }

  at(partition: number, position: Position | undefined): string | undefined {
    return this.#known.get(partition)?.find(([next]) => next === position)?.[1]
  }

  /** Takes note of an event that was handled. */
  move(partition: number, next: Position, event: SourceEvent): void {
    if (event.fingerprint) this.#newest.set(partition, [next, event])
  }

  /** Call it before each commit. */
  seal(): void {
    const table = this.#tableOf(this.#range[0])
    for (const [partition, [next, event]] of this.#newest) {
      table.put([this.#source, partition], [next, event.fingerprint!()])
    }
    this.#newest.clear()
  }
}
