/** Views of a database that stay as they are: snapshots, and the iterators on them. */
import { AbstractIterator, AbstractSnapshot } from 'abstract-level'
import type { Codec, RangeOptions, ScanOptions, Snapshot, Table } from '../../src/index.js'
import { failing } from './errors.js'

export type Bytes = Table<Uint8Array, Uint8Array>

/** Values are the bytes that the encodings of abstract-level make. */
export const rawBytes: Codec<Uint8Array> = { id: 'bytes', encode: (bytes) => bytes, decode: (bytes) => bytes }

/** What abstract-level hands to iterators and `_clear`; a negative `limit` is none. */
export interface IteratorOptions extends RangeOptions<Uint8Array> {
  readonly reverse: boolean
  readonly limit: number
  readonly keys?: boolean
  readonly values?: boolean
  readonly snapshot?: TidemarkSnapshot | undefined
  readonly signal?: AbortSignal | null | undefined
}

/** Where two bounds of a side are given, the one that takes its own key along counts. */
export function rangeOf({ gt, gte, lt, lte }: IteratorOptions): RangeOptions<Uint8Array> {
  return { gt: gte ? undefined : gt, gte, lt: lte ? undefined : lt, lte }
}

export function scanOf(options: IteratorOptions): ScanOptions<Uint8Array> {
  const { reverse, limit, signal } = options
  return { ...rangeOf(options), reverse, limit: limit < 0 ? undefined : limit, signal: signal ?? undefined }
}

/** The table as it was when the snapshot of its store was taken. */
export class View {
  readonly #snapshot: Promise<Snapshot>
  readonly table: Promise<Bytes>
  /** The same, once it is there. */
  now: Bytes | undefined

  constructor(taken: Promise<Snapshot>, name: string) {
    this.#snapshot = taken
    this.table = taken.then((snapshot) => (this.now = snapshot.table(name)))
    // It is heard by whoever reads.
    this.table.catch(() => undefined)
  }

  async close(): Promise<void> {
    const snapshot = await this.#snapshot.catch(() => undefined)
    await snapshot?.close()
  }
}

export class TidemarkSnapshot extends AbstractSnapshot {
  readonly view: View

  constructor(options: object, view: View) {
    // @ts-expect-error The declarations of abstract-level leave out what only databases hand on.
    super(options)
    this.view = view
  }

  /** @internal */
  _close(): Promise<void> {
    return this.view.close()
  }
}

type Entry = [key: Uint8Array | undefined, value: Uint8Array | undefined]

/** How many entries `next()` has read ahead, of a view that does not change. */
const AHEAD = 64

export class TidemarkIterator<TDatabase, K, V> extends AbstractIterator<TDatabase, K, V> {
  readonly #options: IteratorOptions
  readonly #view: View
  /** Where it goes on from; `undefined`: nowhere. */
  #range: ScanOptions<Uint8Array> | undefined
  #scan: AsyncIterator<unknown> | undefined
  /** Read ahead, the next one last. */
  #ahead: Entry[] = []

  constructor(db: TDatabase, options: IteratorOptions, view: View) {
    super(db, options as never)
    this.#options = options
    this.#view = view
    this.#range = scanOf(options)
  }

  /** @internal */
  async _next(): Promise<Entry | undefined> {
    if (this.#ahead.length === 0) this.#ahead = (await this._nextv(Math.min(AHEAD, this.limit - this.count))).reverse()
    return this.#ahead.pop()
  }

  /** @internal */
  async _nextv(size: number): Promise<Entry[]> {
    const entries = this.#ahead.splice(-size).reverse()
    if (entries.length < size) await failing(this.#read(entries, size))
    return entries
  }

  /** @internal */
  _all(): Promise<Entry[]> {
    return this._nextv(this.limit - this.count)
  }

  async #read(entries: Entry[], size: number): Promise<void> {
    if (this.#range === undefined) return
    const { keys, values } = this.#options
    const scan = (this.#scan ??= this.#begin(await this.#view.table, this.#range))
    while (entries.length < size) {
      const { done, value } = await scan.next()
      if (done) return
      if (values === false) entries.push([value as Uint8Array, undefined])
      else entries.push(keys === false ? [undefined, value as Uint8Array] : (value as Entry))
    }
  }

  #begin(table: Bytes, range: ScanOptions<Uint8Array>): AsyncIterator<unknown> {
    const { keys, values } = this.#options
    if (values === false) return table.keys(range)
    return keys === false ? table.values(range) : table.entries(range)
  }

  /** @internal */
  _seek(target: Uint8Array): void {
    // The former scan holds nothing of its own: the snapshot does.
    this.#scan = undefined
    this.#ahead = []
    const range = scanOf(this.#options)
    // Both bounds of the side that it comes from give way to the target.
    const from = range.reverse ? { lt: undefined, lte: target } : { gt: undefined, gte: target }
    this.#range = isWithin(target, range) ? { ...range, ...from } : undefined
  }

  /** @internal */
  async _close(): Promise<void> {
    await this.#scan?.return?.()
    if (!this.#options.snapshot) await this.#view.close()
  }
}

function isWithin(key: Uint8Array, { gt, gte, lt, lte }: RangeOptions<Uint8Array>): boolean {
  if (gt && compare(key, gt) <= 0) return false
  if (gte && compare(key, gte) < 0) return false
  if (lt && compare(key, lt) >= 0) return false
  return !lte || compare(key, lte) <= 0
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? a.length - b.length : a[at]! - (b[at] ?? -1)
}
