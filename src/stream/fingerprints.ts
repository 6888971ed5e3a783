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
import type { SourceEvent } from './source.js'

type Kept = readonly [next: Position, fingerprint: string]

export class Fingerprints {
  readonly #source: string
  readonly #table: Table
  readonly #known = new Map<number, Kept>()
  /** The last event of each partition since the last commit, if it has a fingerprint. */
  readonly #newest = new Map<number, readonly [next: Position, event: SourceEvent]>()

  constructor(handle: StoreHandle, host: TableHost, source: string) {
    this.#source = source
    this.#table = new Table(host, handle.spec('sources', {}, internalTable('sources')), 0)
  }

  async open(): Promise<void> {
    for await (const [key, kept] of this.#table.entries({ prefix: [this.#source] })) {
      this.#known.set((key as [string, number])[1], kept as Kept)
    }
  }

  at(partition: number, position: Position | undefined): string | undefined {
    const [next, fingerprint] = this.#known.get(partition) ?? []
    return position !== undefined && next === position ? fingerprint : undefined
  }

  /** Takes note of an event that was handled. */
  move(partition: number, next: Position, event: SourceEvent): void {
    if (event.fingerprint) this.#newest.set(partition, [next, event])
  }

  /** Call it before each commit. */
  seal(): void {
    for (const [partition, [next, event]] of this.#newest) {
      this.#table.put([this.#source, partition], [next, event.fingerprint!()])
    }
    this.#newest.clear()
  }
}
