/**
 * The merge of sorted sources, newest first: for every key the record of the newest source that has one, unless a newer
 * source deleted a range around it. Tombstones come through: whether they still matter is for the caller to say.
 */
import { compareBytes } from '../bytes/compare.js'
import type { Cursor } from './cursor.js'
import { isCovered } from './ranges.js'
import type { KeyedRecord, KeyRange } from './record.js'

export interface MergeSource {
  readonly cursor: Cursor
  /** Ranges that this source deletes in all older ones; sorted and apart. */
  readonly ranges: readonly KeyRange[]
}

export class MergeCursor implements Cursor {
  readonly #sources: readonly MergeSource[]
  readonly #sign: number
  #started = false
  current: KeyedRecord | undefined

  constructor(sources: readonly MergeSource[], reverse = false) {
    this.#sources = sources
    this.#sign = reverse ? -1 : 1
  }

  next(): Promise<void> | undefined {
    for (;;) {
      const loading = this.#advance()
      if (loading !== undefined) return loading.then(() => (this.#pick() ? undefined : this.next()))
      if (this.#pick()) return undefined
    }
  }

  /** Moves every source past the current key. */
  #advance(): Promise<unknown> | undefined {
    const last = this.#last
    let waits: Promise<void>[] | undefined
    for (const { cursor } of this.#sources) {
      const at = cursor.current
      if (this.#started && (at === undefined || last === undefined || compareBytes(at.key, last) !== 0)) continue
      const wait = cursor.next()
      if (wait !== undefined) (waits ??= []).push(wait)
    }
    this.#started = true
    return waits && Promise.all(waits)
  }

  #last: Uint8Array | undefined

  /** Settles on the next key; false when a newer range delete hides it, so that the caller has to move on. */
  #pick(): boolean {
    let best: KeyedRecord | undefined
    let source = 0
    for (let i = 0; i < this.#sources.length; i++) {
      const at = this.#sources[i]!.cursor.current
      if (at === undefined) continue
      if (best === undefined || compareBytes(at.key, best.key) * this.#sign < 0) {
        best = at
        source = i
      }
    }
    this.#last = best?.key
    this.current = best
    if (best === undefined) return true
    for (let i = 0; i < source; i++) if (isCovered(this.#sources[i]!.ranges, best.key)) return false
    return true
  }
}
