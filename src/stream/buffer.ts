/**
 * What a run reads and changes: a buffer of its own, so that nobody else commits half of a batch. Where one handle owns the
 * store, what the program has buffered lies beneath it and goes with each commit. Beside other writers a batch is like a
 * transaction: it reads one state from its beginning to its end, and is dropped and made again when anything else was
 * committed meanwhile; what the program has buffered is neither read nor committed.
 */
import { TidemarkError } from '../errors.js'
import { Layer } from '../engine/memtable.js'
import type { View } from '../engine/read.js'
import type { ShardState } from '../engine/state.js'
import { parseCommit, type CommitOptions } from '../store/commit.js'
import type { Engine } from '../store/handle.js'
import type { Hold } from '../store/holds.js'
import type { TableHost } from '../store/table.js'
import { TransactionHost } from '../store/transaction-host.js'

export class OwnBuffer implements TableHost {
  readonly #engine: Engine
  #layer = new Layer()
  /** Beside other writers: what the batch reads and changes, and what it stands on. */
  #batch: { readonly host: TransactionHost; readonly generation: number } | undefined

  constructor(engine: Engine) {
    this.#engine = engine
    this.#begin()
  }

  /** From here on it stands on what is known now. */
  #begin(): void {
    const { options, changes } = this.#engine
    this.#batch?.host.end()
    if (options.mode !== 'shared') this.#layer = new Layer()
    else this.#batch = { host: new TransactionHost(this.#engine, undefined), generation: changes.generation }
  }

  /** Drops what is in it, and what goes with it. */
  discard(): void {
    if (!this.#batch) this.#engine.discard()
    this.#begin()
  }

  /** The run is over: nothing of it is read any more. */
  end(): void {
    this.#batch?.host.end()
  }

  /** Commits what is in it, which is gone then, whatever happens. Whatever was committed meanwhile is a `CONFLICT`. */
  async commit(options: CommitOptions): Promise<void> {
    const { changes } = this.#engine
    const layer = this.writable()
    const parts = parseCommit(options)
    if (this.#batch) {
      const isOvertaken = this.isOvertaken
      try {
        if (isOvertaken) throw overtaken(this.#engine)
        await changes.commit(layer, parts, false)
      } finally {
        this.#begin()
      }
      return
    }
    this.#layer = new Layer()
    if (changes.buffer.empty) return void (await changes.commit(layer, parts, true))
    changes.buffer.absorb(layer)
    await changes.commitBuffer(parts)
  }

  /** Whether something else was committed since it began, beside other writers. */
  get isOvertaken(): boolean {
    return this.#batch !== undefined && this.#batch.generation !== this.#engine.changes.generation
  }

  get isEmpty(): boolean {
    return this.#batch ? this.#batch.host.layer.empty : this.#layer.empty && this.#engine.changes.buffer.empty
  }

  writable(): Layer {
    this.#engine.assertWritable()
    return this.#batch ? this.#batch.host.writable() : this.#layer
  }

  view(): View {
    if (this.#batch) return this.#batch.host.view()
    this.#engine.assertOpen()
    return this.#engine.shard.view([this.#layer, this.#engine.changes.buffer])
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  get room(): number {
    return this.#engine.room - (this.#batch ? 0 : this.#engine.changes.buffer.size)
  }

  monotonic(): number {
    return this.#engine.monotonic()
  }

  now(): number {
    return this.#engine.now()
  }

  catchUp(): Promise<void> {
    return this.#batch ? this.#batch.host.catchUp() : this.#engine.catchUp()
  }

  assertOpen(): void {
    ;(this.#batch?.host ?? this.#engine).assertOpen()
  }

  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    return (this.#batch?.host ?? this.#engine).hold(state, waiting)
  }

  mend(view: View, error: unknown): Promise<View> {
    return (this.#batch?.host ?? this.#engine).mend(view, error)
  }
}

function overtaken({ options }: Engine): TidemarkError {
  return new TidemarkError('CONFLICT', `Something else was committed to store "${options.name}" meanwhile.`)
}
