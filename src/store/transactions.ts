/** The transactions of a handle, which are loaded when the first one is called (transaction.ts). */
import type { Key } from '../bytes/keys.js'
import type { TidemarkError } from '../errors.js'
import { Part } from '../part.js'
import type { StoreHost } from './store-host.js'
import type { TableSpec } from './table-spec.js'
import type { Transaction, TransactionOptions, TransactionQueue } from './transaction.js'

const part = new Part(() => import('./transaction.js'))

export class Transactions {
  readonly #handle: StoreHost
  #queue: TransactionQueue | undefined
  /** How many were called before there was a queue: what is called meanwhile comes after them. */
  #early = 0

  constructor(handle: StoreHost) {
    this.#handle = handle
  }

  async run<K extends Key, V, T>(
    spec: TableSpec,
    body: (tx: Transaction<K, V>) => Promise<T> | T,
    options: TransactionOptions,
  ): Promise<T> {
    const { fallenOffsets } = this.#handle.changes
    let { loaded } = part
    if (loaded === undefined || this.#early > 0) {
      this.#early++
      try {
        loaded = await part.load()
      } finally {
        this.#early--
      }
    }
    this.#queue ??= new loaded.TransactionQueue(this.#handle)
    return this.#queue.run(spec, body, options, fallenOffsets)
  }

  /** Ends what waits, and what runs as long as it is not being committed. */
  stop(error: TidemarkError): void {
    this.#queue?.stop(error)
  }
}
