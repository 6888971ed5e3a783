/**
 * Outputs of handlers. The store keeps them from the commit that holds their cause until they are delivered.
 *
 * - An output is stored in the same commit as the state and the offsets that it came with. An output that is not committed is
 *   never delivered; a committed one is delivered at least once, in order.
 * - They lie in the first partition of their shard. A shard that was merged has those of several, and a run delivers them all.
 * - Ids count up over the whole life of a partition. An output that is delivered again has the id that it had before.
 * - The next commit deletes the outputs that were delivered. After a crash before it they are delivered again.
 */
import { invalid } from '../errors.js'
import { internalTable } from '../engine/slot.js'
import type { PartitionRange } from '../manifest/clip.js'
import type { StoreHandle } from '../store/handle.js'
import type { TableHost } from '../store/table-host.js'
import { Table } from '../store/table.js'
import { eachPartition } from './own-tables.js'

/** An output as a sink gets it. */
export interface Output<O = unknown> {
  /**
   * Names the output for ever. It is a number that counts up over the life of the store, as text; of a shard without partition 0 the
   * number of its first partition and a dash come before that.
   */
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

/** The outputs of one partition that are to be delivered. */
class Box<O> {
  readonly partition: number
  readonly table: Table
  /** Numbers of outputs that wait. Their values are read from the store, so that each delivery gives the same. */
  waiting: number[] = []
  /** The outputs that were delivered and whose deletion is not committed. */
  delivered: { readonly gte: number; readonly lt: number } | undefined

  constructor(handle: StoreHandle, host: TableHost, partition: number) {
    this.partition = partition
    this.table = new Table(host, handle.spec('outbox', {}, internalTable('outbox')), partition)
  }

  async load(below: number): Promise<void> {
    for await (const id of this.table.keys({ lt: below })) this.waiting.push(id as number)
  }

  async outputs(): Promise<readonly Output<O>[]> {
    const values = await this.table.getMany(this.waiting)
    const prefix = this.partition === 0 ? '' : `${this.partition}-`
    // In shared mode another run may have delivered some, and deleted them.
    return this.waiting.flatMap((id, i) =>
      values[i] === undefined ? [] : [{ id: `${prefix}${id}`, value: values[i] as O }],
    )
  }

  settle(): void {
    const { waiting } = this
    if (waiting.length > 0) this.delivered = { gte: waiting[0]!, lt: waiting.at(-1)! + 1 }
    this.waiting = []
  }
}

export class Outbox<O> {
  readonly #handle: StoreHandle
  readonly #host: TableHost
  readonly #sink: Sink<O> | undefined
  readonly #range: PartitionRange
  readonly #own: Box<O>
  /** Those of other partitions in which outputs were found. */
  #others: readonly Box<O>[] = []
  #nextId = 1
  #closed = false

  /** `range`: the partitions of the shard. */
  constructor(handle: StoreHandle, host: TableHost, sink: Sink<O> | undefined, range: PartitionRange) {
    this.#handle = handle
    this.#host = host
    this.#sink = sink
    this.#range = range
    this.#own = new Box(handle, host, range[0])
  }

  /** Loads the outputs that an earlier run left undelivered; `deliver` delivers them. */
  async open(): Promise<void> {
    if (this.#sink === undefined) return
    await this.#count()
    await this.#own.load(this.#nextId)
    const others: Box<O>[] = []
    await eachPartition(this.#handle.state, 'outbox', [this.#range[0] + 1, this.#range[1]], async (partition) => {
      const box = new Box<O>(this.#handle, this.#host, partition)
      await box.load(Number.MAX_SAFE_INTEGER)
      if (box.waiting.length > 0) others.push(box)
    })
    this.#others = others.sort((a, b) => a.partition - b.partition)
  }

  async #count(): Promise<void> {
    this.#nextId = ((await this.#own.table.get(NEXT_ID)) as number | undefined) ?? 1
  }

  /** Begins anew after the buffer was dropped: the events since the last commit are handled again, and emit again. */
  async again(): Promise<void> {
    this.#own.waiting = []
    if (this.#sink !== undefined) await this.#count()
  }

  get #boxes(): readonly Box<O>[] {
    return [this.#own, ...this.#others]
  }

  /** Whether delivered outputs are still in the store. */
  get isDirty(): boolean {
    return this.#boxes.some(({ delivered }) => delivered !== undefined)
  }

  emit(output: O): void {
    if (this.#sink === undefined) throw invalid('emit: consume() was given no sink to deliver outputs to.')
    if (this.#closed) throw invalid('emit: the run has ended; emit before the handler resolves.')
    this.#own.table.put(this.#nextId, output)
    this.#own.waiting.push(this.#nextId++)
  }

  /** Ends emitting. */
  close(): void {
    this.#closed = true
  }

  /** Call it before each commit. */
  seal(): void {
    if (this.#own.waiting.length > 0) this.#own.table.put(NEXT_ID, this.#nextId)
    for (const { table, delivered } of this.#boxes) if (delivered) table.deleteRange(delivered)
  }

  /** Call it after each commit. */
  settle(): void {
    this.#own.delivered = undefined
    this.#others = this.#others.filter(({ delivered }) => delivered === undefined)
  }

  /** Hands committed outputs to the sink; the next commit deletes them. Errors of the sink come as they are. */
  async deliver(version: number): Promise<void> {
    const boxes = this.#boxes.filter(({ waiting }) => waiting.length > 0)
    if (boxes.length === 0) return
    // A power loss must not take back outputs that were seen outside, and give their ids to others.
    if (this.#handle.options.durability === 'relaxed') await this.#handle.shard.log.log.sync()
    const outputs: Output<O>[] = []
    for (const box of boxes) outputs.push(...(await box.outputs()))
    if (outputs.length > 0) await this.#sink!.deliver(outputs, { version })
    for (const box of boxes) box.settle()
  }
}
