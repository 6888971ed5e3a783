/**
 * What a run reads and changes beside other writers: a buffer of its own over what is committed or on its way, as a
 * transaction has. It can be dropped and made again, and what the program itself has buffered is neither read nor committed.
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
  #layer = new Layer()
  /** How often others had written when it was begun: it stands only while they do not. */
  #others: number

  constructor(engine: Engine) {
    this.#engine = engine
    this.#others = engine.changes.others
  }

  /** Drops what is in it; from here on it stands on what is known now. */
  discard(): void {
    this.#layer = new Layer()
    this.#others = this.#engine.changes.others
  }

  /** Commits what is in it, which is gone then, whatever happens. Whatever others have written meanwhile is a `CONFLICT`. */
  async commit(options: CommitOptions): Promise<void> {
    const { changes } = this.#engine
    const layer = this.writable()
    this.#layer = new Layer()
    if (changes.others !== this.#others) {
      throw new TidemarkError('CONFLICT', `Others have written to store "${this.#engine.options.name}" meanwhile.`)
    }
    await changes.commit(layer, parseCommit(options), false)
  }

  writable(): Layer {
    this.#engine.assertWritable()
    return this.#layer
  }

  view(): View {
    this.#engine.assertOpen()
    return this.#engine.shard.view([this.#layer])
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  get room(): number {
    return this.#engine.room
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
