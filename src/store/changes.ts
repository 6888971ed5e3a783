/** What a program has changed and not committed yet, and what becomes of what it commits. */
import { invalid, isTidemarkError } from '../errors.js'
import type { CommitResult } from '../engine/write/requests.js'
import { Layer } from '../engine/memtable.js'
import type { AppliedEntry, ShardState } from '../engine/state.js'
import type { CommitParts } from './commit.js'
import type { Engine } from './handle.js'
import { Latencies } from './metrics.js'
import { encodeLayer } from './table.js'

export class Changes {
  readonly #engine: Engine
  readonly latencies = new Latencies()
  #buffer = new Layer()
  #generation = 0
  /** How often others have written. */
  #others = 0
  #fallenOffsets = 0
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

  /** The store was opened again, and others may have written in between. */
  reopened(): void {
    this.#others++
    this.changed()
  }

  /** Others have written versions. */
  met(before: ShardState, entries: readonly AppliedEntry[] | undefined): void {
    this.#others++
    this.changed()
    const { readings, specs, state } = this.#engine
    readings!.met(before, state, entries)
    specs.recheck(state)
  }

  get others(): number {
    return this.#others
  }

  /** How often offsets that were on their way did not come about. */
  get fallenOffsets(): number {
    return this.#fallenOffsets
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
   * into the buffer. Others that came first are in the way of a transaction always, of what is kept where it has read of it.
   */
  commit(layer: Layer, parts: CommitParts, keep: boolean): Promise<CommitResult> {
    const engine = this.#engine
    encodeLayer(layer, (table) => engine.specs.of(table))
    const started = engine.monotonic()
    const others = this.#others
    const withOffsets = parts.offsets.size > 0
    // What is read from here on was not read for this.
    const isRead = keep && engine.readings?.hasRead(layer) === true
    const stands = (isLate: boolean): boolean => {
      if (others === this.#others) return !keep || engine.readings!.allow(layer, withOffsets)
      if (!keep || (isLate && (isRead || withOffsets))) return false
      return engine.readings!.allow(layer, withOffsets, engine.state)
    }
    const committing = engine.shard.commit({ layer, ...parts, stands, isOwn: !keep })
    if (!layer.empty || parts.offsets.size > 0) this.#generation++
    this.#newest = committing.then(
      () => true,
      () => false,
    )
    return committing.then(
      (result) => {
        this.latencies.add(engine.monotonic() - started)
        return result
      },
      (error: unknown) => {
        if (keep && isTidemarkError(error) && error.code === 'CONFLICT') engine.readings?.told(layer, withOffsets)
        throw error
      },
    )
  }

  /** Takes back what surely did not happen, beneath what came since. */
  giveBack(layers: readonly Layer[], withOffsets: boolean): void {
    this.#generation++
    if (withOffsets) this.#fallenOffsets++
    const buffer = new Layer()
    for (const layer of layers) buffer.absorb(layer)
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
