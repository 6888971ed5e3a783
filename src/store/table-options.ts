/** The options of a table's writes. */

/** Options of `put`. */
export interface PutOptions {
  /**
   * How long the value lives from now on, in milliseconds.
   * @default the `ttlMs` of the table
   */
  readonly ttlMs?: number | undefined
}

/** A change of a `batch`: a value to put, or a key to delete. */
export type BatchChange<K, V> =
  | {
      readonly type: 'put'
      readonly key: K
      readonly value: V
      /**
       * How long the value lives from now on, in milliseconds.
       * @default the `ttlMs` of the table
       */
      readonly ttlMs?: number | undefined
    }
  | { readonly type: 'del'; readonly key: K }
