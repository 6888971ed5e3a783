/** The part of the types of workers that is used here, so that no package of types is needed. */

/** A bucket, as the binding of a worker gives it. */
export interface R2BucketLike {
  head(key: string): Promise<R2ObjectLike | null>
  get(key: string, options?: { range?: { offset: number; length: number } }): Promise<R2BodyLike | null>
  put(key: string, value: Uint8Array, options?: { onlyIf?: R2Condition }): Promise<R2ObjectLike | null>
  delete(keys: string | string[]): Promise<void>
  list(options?: { prefix?: string; limit?: number; startAfter?: string; cursor?: string }): Promise<R2ListLike>
}

/** The condition of a put. */
export interface R2Condition {
  etagMatches?: string
  etagDoesNotMatch?: string
}

/** An object without its bytes. */
export interface R2ObjectLike {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly uploaded: Date
}

/** An object with its bytes. */
export interface R2BodyLike extends R2ObjectLike {
  arrayBuffer(): Promise<ArrayBuffer>
}

/** A page of a list. */
export interface R2ListLike {
  readonly objects: R2ObjectLike[]
  readonly truncated: boolean
  readonly cursor?: string
}
