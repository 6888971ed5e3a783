/** The part of the types of workers that is used here, so that no package of types is needed. */

/** A bucket, as the binding of a worker gives it. */
export interface R2BucketLike {
  /** The facts about an object; `null` when there is none. */
  head(key: string): Promise<R2ObjectLike | null>
  /** An object, or a range of it; `null` when there is none. */
  get(key: string, options?: { range?: { offset: number; length: number } }): Promise<R2BodyLike | null>
  /** Stores an object. `null`: `onlyIf` did not hold, and nothing was stored. */
  put(key: string, value: Uint8Array, options?: { onlyIf?: R2Condition }): Promise<R2ObjectLike | null>
  /** Removes up to 1,000 objects. */
  delete(keys: string | string[]): Promise<void>
  /** Lists a page of objects by their keys, ascending. */
  list(options?: { prefix?: string; limit?: number; startAfter?: string; cursor?: string }): Promise<R2ListLike>
}

/** The condition of a put. */
export interface R2Condition {
  /** The object is there, with this etag. */
  etagMatches?: string
  /** The object has another etag; with `*` there is none. */
  etagDoesNotMatch?: string
}

/** An object without its bytes. */
export interface R2ObjectLike {
  /** Its key in the bucket. */
  readonly key: string
  /** Its length in bytes. */
  readonly size: number
  /** Names its present bytes. */
  readonly etag: string
  /** When it was stored. */
  readonly uploaded: Date
}

/** An object with its bytes. */
export interface R2BodyLike extends R2ObjectLike {
  /** Its bytes, or the range of them that was asked for. */
  arrayBuffer(): Promise<ArrayBuffer>
}

/** A page of a list. */
export interface R2ListLike {
  /** The objects of the page. */
  readonly objects: R2ObjectLike[]
  /** Whether other pages follow. */
  readonly truncated: boolean
  /** The place from which the next page goes on. */
  readonly cursor?: string
}
