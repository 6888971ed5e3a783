/**
 * Transactions: reads and writes on a buffer of their own over what is committed or on its way, one after another. One is
 * valid when nothing was committed between the moment from which it reads and its own place in the log; else it is run again.
 */
import type { Key } from '../bytes/keys.js'
import { TidemarkError, aborted, checkFields, invalid, throwIfAborted } from '../errors.js'
import type { Offsets } from '../log/offsets.js'
import { Layer } from '../shard/layer.js'
import type { View } from '../shard/reads.js'
import { parseCommit } from './commit.js'
import type { Engine } from './engine.js'
import { checkSignal, whole } from './options.js'
import type { AnyTableOptions, TableSpec } from './table-spec.js'
import { Tables, type TablesHost } from './tables.js'

export interface TransactionOptions {
  /** Where each source is to be read from next; committed in the same entry as the changes. */
  readonly offsets?: Offsets | undefined
  /** How often it is run before it fails with `CONFLICT`. Default: 16. */
  readonly tries?: number | undefined
  /** Ends the waiting, and the transaction as long as it is not being committed. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS = new Set(['offsets', 'tries', 'signal'])

/** The reads and writes of a store inside a transaction. */
export class Transaction<K extends Key = Key, V = unknown> extends Tables<K, V> {}

/** @internal */
class TransactionHost implements TablesHost {
  readonly layer = new Layer()
  readonly #engine: Engine
  readonly #signal: AbortSignal | undefined
  /** What was committed or on its way when it began. */
  readonly #under: View
  readonly #unpin: () => void
  #ended = false

  constructor(engine: Engine, signal: AbortSignal | undefined) {
    this.#engine = engine
    this.#signal = signal
    this.#under = engine.shard.view([])
    this.#unpin = engine.pin()
  }

  get partitions(): number {
    return this.#engine.partitions
  }

  get maxUncommittedBytes(): number {
    return this.#engine.maxUncommittedBytes
  }

  monotonic(): number {
    return this.#engine.monotonic()
  }

  now(): number {
    return this.#engine.now()
  }

  #assertRunning(): void {
    this.#engine.assertOpen()
    if (this.#ended) {
      throw new TidemarkError('CLOSED', 'The transaction has ended: await everything inside its function.')
    }
    throwIfAborted(this.#signal)
  }

  writable(): Layer {
    this.#assertRunning()
    this.#engine.shard.assertWritable()
    return this.layer
  }

  view(): View {
    this.#assertRunning()
    const { layer } = this
    return layer.empty ? this.#under : { ...this.#under, layers: [layer, ...this.#under.layers] }
  }

  spec(name: string, options: AnyTableOptions): TableSpec {
    this.#assertRunning()
    return this.#engine.spec(name, options)
  }

  end(): void {
    this.#ended = true
    this.#unpin()
  }
}

export class Transactions {
  readonly #engine: Engine
  /** Settles when the last one in the queue has had its turn. */
  #last: Promise<unknown> = Promise.resolve()
  /** The function of one is being called in this very turn of the program. */
  #calling = false

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async run<K extends Key, V, T>(
    spec: TableSpec,
    body: (tx: Transaction<K, V>) => Promise<T> | T,
    options: TransactionOptions,
  ): Promise<T> {
    if (typeof body !== 'function') throw invalid('transaction: a function is expected.')
    checkFields('transaction', options, OPTIONS)
    const { signal } = options
    checkSignal(signal)
    const parts = parseCommit({ offsets: options.offsets })
    const tries = whole('tries', options.tries, 16, 1)
    throwIfAborted(signal)
    this.#engine.assertWritable()
    if (this.#calling) {
      throw invalid('transaction: one inside another would wait for itself; use the `tx` that is there.')
    }
    const turn = this.#last
    let leave = (): void => undefined
    const left = new Promise<void>((resolve) => {
      leave = resolve
    })
    this.#last = turn.then(() => left)
    try {
      await waitFor(turn, signal)
      for (let attempt = 1; ; attempt++) {
        throwIfAborted(signal)
        this.#engine.assertWritable()
        const { generation } = this.#engine
        const host = new TransactionHost(this.#engine, signal)
        const result = await this.#call(host, new Transaction<K, V>(host, spec), body)
        throwIfAborted(signal)
        this.#engine.assertWritable()
        const { layer } = host
        if (layer.empty && parts.offsets.size === 0) return result
        if (generation === this.#engine.generation) {
          const committing = this.#engine.commitLayer(layer, parts, false)
          // The next one may begin: it sees this one on its way.
          leave()
          await committing
          return result
        }
        if (attempt >= tries) {
          throw new TidemarkError(
            'CONFLICT',
            `The transaction was run ${attempt} times, and each time something else was committed meanwhile.`,
          )
        }
      }
    } finally {
      leave()
    }
  }

  async #call<K extends Key, V, T>(
    host: TransactionHost,
    tx: Transaction<K, V>,
    body: (tx: Transaction<K, V>) => Promise<T> | T,
  ): Promise<T> {
    try {
      this.#calling = true
      let running: Promise<T> | T
      try {
        running = body(tx)
      } finally {
        this.#calling = false
      }
      return await running
    } finally {
      host.end()
    }
  }
}

/** Rejects with `ABORTED` when the signal fires first. */
async function waitFor(turn: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) {
    await turn
    return
  }
  let stop = (): void => undefined
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([turn, abort])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
