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
  /** The source of the current record. */
  #best = 0
  /** The record that comes first among those of all other sources. */
  #rival: KeyedRecord | undefined
  /**
   * The rival comes behind the current record, so that only the source of that has to move. As long as its next records come
   * before the rival, too, no other source is looked at: most records are in the oldest run.
   */
  #isAhead = false
  #started = false
  #last: Uint8Array | undefined
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
    if (this.#isAhead) return this.#sources[this.#best]!.cursor.next()
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

  /** Settles on the next key; false when a newer range delete hides it, so that the caller has to move on. */
  #pick(): boolean {
    const next = this.#isAhead ? this.#sources[this.#best]!.cursor.current : undefined
    if (next !== undefined && (this.#rival === undefined || this.#compare(next, this.#rival) < 0)) this.current = next
    else this.#pickFromAll()
    const { current } = this
    this.#last = current?.key
    if (current === undefined) return true
    for (let i = 0; i < this.#best; i++) {
      const { ranges } = this.#sources[i]!
      if (ranges.length > 0 && isCovered(ranges, current.key)) return false
    }
    return true
  }

  #pickFromAll(): void {
    let best: KeyedRecord | undefined
    let rival: KeyedRecord | undefined
    this.#isAhead = true
    for (let i = 0; i < this.#sources.length; i++) {
      const at = this.#sources[i]!.cursor.current
      if (at === undefined) continue
      const order = best === undefined ? -1 : this.#compare(at, best)
      if (order < 0) {
        rival = best
        best = at
        this.#best = i
        this.#isAhead = true
      } else {
        if (order === 0) this.#isAhead = false
        if (rival === undefined || this.#compare(at, rival) < 0) rival = at
      }
    }
    this.#rival = rival
    this.#isAhead &&= best !== undefined
    this.current = best
  }

  #compare(a: KeyedRecord, b: KeyedRecord): number {
    return compareBytes(a.key, b.key) * this.#sign
  }
}
