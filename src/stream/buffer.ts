/**
 * What a run reads and changes: a buffer of its own, so that nobody else commits half of a batch. Where one handle owns the
 * store, what the program has buffered lies beneath it and goes with each commit. Beside other writers it is like that of a
 * transaction, to be dropped and made again: what the program has buffered is neither read nor committed.
 */
import { TidemarkError } from '../errors.js'
import { Layer } from '../shard/layer.js'
import type { View } from '../shard/reads.js'
import type { ShardState } from '../shard/state.js'
import { parseCommit, type CommitOptions } from '../store/commit.js'
import type { Engine } from '../store/engine.js'
import type { Hold } from '../store/holds.js'
import type { TableHost } from '../store/table.js'

export class OwnBuffer implements TableHost {
  readonly #engine: Engine
  readonly #isShared: boolean
  #layer = new Layer()
  /** How often others had written when it was begun: beside them it stands only while they do not. */
  #others: number

  constructor(engine: Engine) {
    this.#engine = engine
    this.#isShared = engine.options.mode === 'shared'
    this.#others = engine.changes.others
  }

  /** Drops what is in it, and what goes with it; from here on it stands on what is known now. */
  discard(): void {
    if (!this.#isShared) this.#engine.discard()
    this.#layer = new Layer()
    this.#others = this.#engine.changes.others
  }

  /** Commits what is in it, which is gone then, whatever happens. Whatever others have written meanwhile is a `CONFLICT`. */
  async commit(options: CommitOptions): Promise<void> {
    const { changes } = this.#engine
    const layer = this.writable()
    this.#layer = new Layer()
    if (!this.#isShared) {
      const parts = parseCommit(options)
      if (changes.buffer.empty) return void (await changes.commit(layer, parts, true))
      changes.buffer.absorb(layer)
      return void (await changes.commitBuffer(parts))
    }
    if (changes.others !== this.#others) {
      throw new TidemarkError('CONFLICT', `Others have written to store "${this.#engine.options.name}" meanwhile.`)
    }
    await changes.commit(layer, parseCommit(options), false)
  }

  get isEmpty(): boolean {
    return this.#layer.empty && (this.#isShared || this.#engine.changes.buffer.empty)
  }

  writable(): Layer {
    this.#engine.assertWritable()
    return this.#layer
  }

  view(): View {
    this.#engine.assertOpen()
    return this.#engine.shard.view(this.#isShared ? [this.#layer] : [this.#layer, this.#engine.changes.buffer])
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  get room(): number {
    return this.#engine.room - (this.#isShared ? 0 : this.#engine.changes.buffer.size)
  }

  monotonic(): number {
    return this.#engine.monotonic()
  }

  now(): number {
    return this.#engine.now()
  }

  catchUp(): Promise<void> {
    return this.#engine.catchUp()
  }

  assertOpen(): void {
    this.#engine.assertOpen()
  }

  hold(state: ShardState, waiting?: Promise<unknown>): Hold {
    return this.#engine.hold(state, waiting)
  }

  mend(view: View, error: unknown): Promise<View> {
    return this.#engine.mend(view, error)
  }
}
