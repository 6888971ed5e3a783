/**
 * Outputs of handlers. The store keeps them from the commit that holds their cause until they are delivered.
 *
 * - An output is stored in the same commit as the state and the offsets that it came with. An output that is not committed is
 *   never delivered; a committed one is delivered at least once, in order.
 * - Ids count up over the whole life of the store. An output that is delivered again has the id that it had before.
 * - The next commit deletes the outputs that were delivered. After a crash before it they are delivered again.
 */
import { invalid } from '../errors.js'
import { internalTable } from '../engine/slot.js'
import type { StoreHandle } from '../store/handle.js'
import type { TableHost } from '../store/table-host.js'
import { Table } from '../store/table.js'

/** An output as a sink gets it. */
export interface Output<O = unknown> {
  /** A number that counts up over the life of the store, as text. It is the same whenever this output is delivered again. */
  readonly id: string
  /** The output as the handler emitted it. */
  readonly value: O
}

/** The way out of a run, such as a queue or a web service. */
export interface Sink<O = unknown> {
  /**
   * Takes outputs that are committed, in order. The next commit deletes them, so resolve only when they are safe. After
   * a crash, or an error of this function, the same outputs come again in the next run, with the same ids. `version` is the
   * one that holds their cause.
   */
  deliver(outputs: readonly Output<O>[], context: { readonly version: number }): void | Promise<void>
}

/** The key of the next id. Outputs have numbers as keys. */
const NEXT_ID = 'next'

export class Outbox<O> {
  readonly #handle: StoreHandle
  readonly #sink: Sink<O> | undefined
  readonly #table: Table
  #nextId = 1
  /** Numbers of outputs that wait. Their values are read from the store, so that each delivery gives the same. */
  #waiting: number[] = []
  /** The outputs that were delivered and whose deletion is not committed. */
  #delivered: { readonly gte: number; readonly lt: number } | undefined
  #closed = false

  constructor(handle: StoreHandle, host: TableHost, sink: Sink<O> | undefined) {
    this.#handle = handle
    this.#sink = sink
    this.#table = new Table(host, handle.spec('outbox', {}, internalTable('outbox')), 0)
  }

  /** Loads the outputs that an earlier run left undelivered; `deliver` delivers them. */
  async open(): Promise<void> {
    if (this.#sink === undefined) return
    await this.#count()
    for await (const id of this.#table.keys({ lt: this.#nextId })) this.#waiting.push(id as number)
  }

  async #count(): Promise<void> {
    this.#nextId = ((await this.#table.get(NEXT_ID)) as number | undefined) ?? 1
  }

  /** Begins anew after the buffer was dropped: the events since the last commit are handled again, and emit again. */
  async again(): Promise<void> {
    this.#waiting = []
    if (this.#sink !== undefined) await this.#count()
  }

  /** Whether delivered outputs are still in the store. */
  get isDirty(): boolean {
    return this.#delivered !== undefined
  }

  emit(output: O): void {
    if (this.#sink === undefined) throw invalid('emit: consume() was given no sink to deliver outputs to.')
    if (this.#closed) throw invalid('emit: the run has ended; emit before the handler resolves.')
    this.#table.put(this.#nextId, output)
    this.#waiting.push(this.#nextId++)
  }

  /** Ends emitting. */
  close(): void {
    this.#closed = true
  }

  /** Call it before each commit. */
  seal(): void {
    if (this.#waiting.length > 0) this.#table.put(NEXT_ID, this.#nextId)
    if (this.#delivered !== undefined) this.#table.deleteRange(this.#delivered)
  }

  /** Call it after each commit. */
  settle(): void {
    this.#delivered = undefined
  }

  /** Hands committed outputs to the sink; the next commit deletes them. Errors of the sink come as they are. */
  async deliver(version: number): Promise<void> {
    if (this.#waiting.length === 0) return
    // A power loss must not take back outputs that were seen outside, and give their ids to others.
    if (this.#handle.options.durability === 'relaxed') await this.#handle.shard.log.log.sync()
    const values = await this.#table.getMany(this.#waiting)
    // In shared mode another run may have delivered some, and deleted them.
    const outputs = this.#waiting.flatMap((id, i) =>
      values[i] === undefined ? [] : [{ id: String(id), value: values[i] as O }],
    )
    if (outputs.length > 0) await this.#sink!.deliver(outputs, { version })
    this.#delivered = { gte: this.#waiting[0]!, lt: this.#nextId }
    this.#waiting = []
  }
}
