/** What a program has changed and not committed yet, and what becomes of what it commits. */
import { invalid } from '../errors.js'
import type { CommitResult } from '../shard/committer.js'
import { Layer } from '../shard/layer.js'
import type { CommitParts } from './commit.js'
import type { Engine } from './engine.js'
import { Latencies } from './metrics.js'
import { encodeLayer } from './table.js'

export class Changes {
  readonly #engine: Engine
  /** Layers of transactions: what fails of them is dropped. */
  readonly #own = new WeakSet<Layer>()
  readonly latencies = new Latencies()
  #buffer = new Layer()
  #generation = 0
  #newest = Promise.resolve(true)

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** The layer that takes changes. */
  get buffer(): Layer {
    return this.#buffer
  }

  /** Another number whenever what was committed or on its way has become something else. */
  get generation(): number {
    return this.#generation
  }

  /** Whether the newest commit came about, and with it all before. */
  get newest(): Promise<boolean> {
    return this.#newest
  }

  /** What was committed or on its way has become something else. */
  changed(): void {
    this.#generation++
  }

  assertNone(what: string): void {
    if (this.#buffer.empty) return
    const { name } = this.#engine.options
    throw invalid(`${what}: store "${name}" has uncommitted changes; commit() or discard() them first.`)
  }

  commitBuffer(parts: CommitParts): Promise<CommitResult> {
    const committing = this.commit(this.#buffer, parts, true)
    this.#buffer = new Layer()
    return committing
  }

  /**
   * Throws in this very turn and takes nothing, or takes the layer. What surely did not happen of a layer to `keep` goes back
   * into the buffer.
   */
  commit(layer: Layer, parts: CommitParts, keep: boolean): Promise<CommitResult> {
    const engine = this.#engine
    encodeLayer(layer, (table) => engine.specs.of(table))
    const started = engine.monotonic()
    const committing = engine.shard.commit({ layer, ...parts })
    if (!keep) this.#own.add(layer)
    if (!layer.empty || parts.offsets.size > 0) this.#generation++
    this.#newest = committing.then(
      () => true,
      () => false,
    )
    return committing.then((result) => {
      this.latencies.add(engine.monotonic() - started)
      return result
    })
  }

  /** Takes back what surely did not happen, beneath what came since. */
  giveBack(layers: readonly Layer[]): void {
    this.#generation++
    const buffer = new Layer()
    for (const layer of layers) if (!this.#own.has(layer)) buffer.absorb(layer)
    buffer.absorb(this.#buffer)
    this.#buffer = buffer
  }

  discard(): void {
    this.#buffer = new Layer()
  }

  /** Drops what is buffered, and says so. */
  drop(by: string): void {
    if (this.#buffer.empty) return
    const { name } = this.#engine.options
    this.#engine.report(`${by} dropped uncommitted changes of store "${name}"; commit() them before.`)
    this.discard()
  }
}
