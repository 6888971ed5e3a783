/**
 * Counts what a storage is asked for: requests, bytes and, given prices, money.
 *
 * Each call is one request, however it ends; placed under `retrying`, repetitions count too. Long lists and large deletes
 * may take the adapter several requests, of which this sees one. `sync`, `close` and `probe` count as none.
 */
import type { Storage, TailRead } from './contract.js'
import { intercept, type Call, type Requests } from './intercept.js'
import type { Run } from './turns.js'

/**
 * The price of one request of each kind, in any currency, and of one byte each way.
 * @default 0 for each
 */
export type Prices = { readonly [R in keyof Requests]?: Requests[R] | undefined } & {
  /**
   * The price of a byte that is written.
   * @default 0
   */
  readonly byteWritten?: number | undefined
  /**
   * The price of a byte that is read.
   * @default 0
   */
  readonly byteRead?: number | undefined
}

/** Options of `metered`. */
export interface MeteredOptions {
  /**
   * The prices of a request (`put`, `get`, `list`, `delete`) and of a byte (`byteWritten`, `byteRead`), by which `usage()`
   * reckons the cost.
   * @default all are 0
   * @unit your currency per request, or per byte
   * @when Set it to see what a program costs on a bucket.
   */
  readonly prices?: Prices | undefined
}

/** The use of a storage since `metered` was called. */
export interface Usage {
  /** How many requests of each kind were sent. */
  readonly requests: Requests
  /** How many bytes were to be stored. */
  readonly bytesWritten: number
  /** How many bytes were read. */
  readonly bytesRead: number
  /** The sum in the currency of the prices. */
  readonly cost: number
}

/** A storage that counts. */
export interface Metered extends Storage {
  /** The use since `metered` was called. */
  usage(): Usage
}

/**
 * Decorates `storage` so that it counts requests, bytes and, given prices, money. Answers and errors stay as they are.
 *
 * @example
 *     const storage = metered(s3(bucket), { prices: { put: 5e-6, get: 4e-7, list: 5e-6 } })
 *     const store = await openStore({ storage, name: 'orders' })
 *     console.log(storage.usage())
 */
export function metered(storage: Storage, { prices = {} }: MeteredOptions = {}): Metered {
  const requests = { put: 0, get: 0, list: 0, delete: 0 }
  let bytesWritten = 0
  let bytesRead = 0

  async function count<T>(call: Call, run: Run<T>): Promise<T> {
    const { kind } = call
    if (kind !== undefined) requests[kind]++
    bytesWritten += call.bytes?.length ?? 0
    const answer = await run(call.signal)
    if (kind === 'get') {
      const { bytes, entries = [] } = answer as { bytes?: Uint8Array } & Partial<TailRead>
      bytesRead += entries.reduce((sum, entry) => sum + entry.bytes.length, bytes?.length ?? 0)
    }
    return answer
  }

  function usage(): Usage {
    const { byteWritten = 0, byteRead = 0 } = prices
    let cost = bytesWritten * byteWritten + bytesRead * byteRead
    for (const kind of ['put', 'get', 'list', 'delete'] as const) cost += requests[kind] * (prices[kind] ?? 0)
    return { requests: { ...requests }, bytesWritten, bytesRead, cost }
  }

  return { ...intercept(storage, count), usage }
}
