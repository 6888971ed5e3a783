import type { Cursor } from './cursor.js'
import type { KeyedRecord } from './record.js'

/** Walks what `sift` makes of the records of another cursor; it leaves out those of which it makes nothing. */
export class SiftingCursor implements Cursor {
  readonly #from: Cursor
  readonly #sift: (record: KeyedRecord) => KeyedRecord | undefined
  current: KeyedRecord | undefined

  constructor(from: Cursor, sift: (record: KeyedRecord) => KeyedRecord | undefined) {
    this.#from = from
    this.#sift = sift
  }

  next(): Promise<void> | undefined {
    for (;;) {
      const loading = this.#from.next()
      if (loading) return loading.then(() => (this.#settle() ? undefined : this.next()))
      if (this.#settle()) return undefined
    }
  }

  /** Whether the cursor stands on a record, or is at its end. */
  #settle(): boolean {
    const record = this.#from.current
    this.current = record && this.#sift(record)
    return record === undefined || this.current !== undefined
  }
}
