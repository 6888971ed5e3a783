/** The part of the types of workers that is used here, so that no package of types is needed. */

/** The storage of a Durable Object, as its `ctx.storage` is. */
export interface DurableObjectStorageLike extends KeyValueLike {
  /** The database of an object that is backed by SQLite. Others have none, or one that refuses every call. */
  readonly sql?: SqlLike | undefined
  /** Runs `closure` as one transaction of the database, which is rolled back when it throws. */
  transactionSync?<T>(closure: () => T): T
  /** Runs `closure` as one transaction of keys, while no other event reaches the object. */
  transaction<T>(closure: (transaction: KeyValueLike) => Promise<T>): Promise<T>
  /** Resolves when all that was written before is on the disks. */
  sync(): Promise<void>
}

/** The database of an object. */
export interface SqlLike {
  /** Runs a statement, in this very turn. */
  exec(query: string, ...bindings: unknown[]): SqlCursorLike
}

/** What a statement answers. */
export interface SqlCursorLike {
  /** All its rows. */
  toArray(): Record<string, unknown>[]
}

/** Values by keys. */
export interface KeyValueLike {
  /** The values of at most 128 keys; keys without one are left out. */
  get(keys: string[]): Promise<Map<string, unknown>>
  /** Writes at most 128 values, all or none. */
  put(entries: Record<string, unknown>): Promise<void>
  /** Removes at most 128 keys. */
  delete(keys: string[]): Promise<number>
  /** Values by their keys, ascending, from `start` on and below `end`. */
  list(options: { start: string; end: string; limit: number }): Promise<Map<string, unknown>>
}
