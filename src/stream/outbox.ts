/**
 * What handlers emit, kept in the store from the commit that holds its cause until it is delivered.
 *
 * - An output is stored in the same commit as the state and the offsets that it came with; what is not committed is never
 *   delivered, and what is committed is delivered at least once, in order.
 * - Ids count up over the whole life of the store. An output that is delivered again has the id that it had before.
 * - Delivered outputs are deleted by the next commit: until then a crash has them delivered again.
 */
import { invalid } from '../errors.js'
import { internalTable } from '../engine/slot.js'
import type { StoreHandle } from '../store/handle.js'
import type { TableHost } from '../store/table-host.js'
import { Table } from '../store/table.js'

export interface Output<O = unknown> {
  /** The same whenever this output is delivered again: a number that counts up over the life of the store, as text. */
  readonly id: string
  readonly value: O
}

export interface Sink<O = unknown> {
  /**
   * Takes outputs that are committed, in order. The next commit deletes them, so resolve only when they are safe. After
   * a crash, or an error of this function, the same outputs come again in the next run, with the same ids.
   */
  deliver(outputs: readonly Output<O>[], context: { readonly version: number }): void | Promise<void>
}

/** Beside the outputs, which have numbers as keys. */
const NEXT_ID = 'next'

export class Outbox<O> {
  readonly #handle: StoreHandle
  readonly #sink: Sink<O> | undefined
  readonly #table: Table
  #nextId = 1
  /** Numbers of outputs: what is delivered is what is stored, the first time as any other. */
  #waiting: number[] = []
  /** The numbers of the outputs that were delivered and whose deletion is not committed. */
  #delivered: { readonly gte: number; readonly lt: number } | undefined
  #closed = false

  constructor(handle: StoreHandle, host: TableHost, sink: Sink<O> | undefined) {
    this.#handle = handle
    this.#sink = sink
    this.#table = new Table(host, handle.spec('outbox', {}, internalTable('outbox')), 0)
  }

  /** Loads what an earlier run left undelivered; `deliver` delivers it. */
  async open(): Promise<void> {
    if (this.#sink === undefined) return
    await this.#count()
    for await (const id of this.#table.keys({ lt: this.#nextId })) this.#waiting.push(id as number)
  }

  async #count(): Promise<void> {
    this.#nextId = ((await this.#table.get(NEXT_ID)) as number | undefined) ?? 1
  }

  /** The buffer was dropped, and others have written: what was emitted since the last commit is emitted again. */
  async again(): Promise<void> {
    this.#waiting = []
    if (this.#sink !== undefined) await this.#count()
  }

  /** Whether something was delivered that is still there. */
  get isDirty(): boolean {
    return this.#delivered !== undefined
  }

  emit(output: O): void {
    if (this.#sink === undefined) throw invalid('emit: consume() was given no sink to deliver outputs to.')
    if (this.#closed) throw invalid('emit: the run has ended; emit before the handler resolves.')
    this.#table.put(this.#nextId, output)
    this.#waiting.push(this.#nextId++)
  }

  /** Nothing may be emitted any more. */
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

  /** Hands over what is committed; the next commit deletes it. Errors: those of the sink, as they are. */
  async deliver(version: number): Promise<void> {
    if (this.#waiting.length === 0) return
    // What power loss could take back, and number anew, must not be seen outside.
    if (this.#handle.options.durability === 'relaxed') await this.#handle.shard.log.log.sync()
    const values = await this.#table.getMany(this.#waiting)
    // Beside other writers, what is gone by now another run has delivered.
    const outputs = this.#waiting.flatMap((id, i) =>
      values[i] === undefined ? [] : [{ id: String(id), value: values[i] as O }],
    )
    if (outputs.length > 0) await this.#sink!.deliver(outputs, { version })
    this.#delivered = { gte: this.#waiting[0]!, lt: this.#nextId }
    this.#waiting = []
  }
}
