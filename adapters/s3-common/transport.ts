/** The interface between S3 objects and the two ways to send requests. A transport knows nothing of stores. */

export type S3Request =
  | { readonly op: 'get'; readonly key: string; readonly range?: string | undefined }
  | {
      readonly op: 'put'
      readonly key: string
      readonly bytes: Uint8Array
      /** The MD5 of the body in base64, for the header `Content-MD5`. */
      readonly md5: string
      readonly ifMatch?: string | undefined
      readonly ifNoneMatch?: '*' | undefined
    }
  | { readonly op: 'delete'; readonly key: string }
  | { readonly op: 'deleteMany'; readonly keys: readonly string[] }
  | {
      readonly op: 'list'
      readonly prefix: string
      readonly after: string | undefined
      readonly limit: number
      readonly continuation: string | undefined
    }

export interface S3Reply {
  readonly status: number
  /** A header of the reply, by its name in lower case; `undefined` when it was not sent or may not be seen. */
  readonly header: (name: string) => string | undefined
  /** The whole body of a get that was answered with 200 or 206. Other replies have none. */
  readonly body: Uint8Array
  /** S3's name for the error, when the request was refused. */
  readonly code?: string | undefined
  readonly message?: string | undefined
  /** The page of a list. */
  readonly listed?: ListedPage | undefined
  /** Keys that a deleteMany did not remove. */
  readonly failed?: readonly FailedKey[] | undefined
}

export interface ListedPage {
  readonly items: readonly ListedItem[]
  readonly truncated: boolean
  readonly continuation: string | undefined
}

export interface ListedItem {
  readonly key: string
  readonly size: number
  /** When it was written, in milliseconds since the epoch. */
  readonly time: number | undefined
}

export interface FailedKey {
  readonly key: string
  readonly code: string
}

export interface Transport {
  /** The name for `capabilities` and error messages. */
  readonly name: 's3' | 's3-fetch'
  /**
   * Sends the request, and resolves with whatever was answered. A put with a condition is sent only once. A `TidemarkError`
   * that it throws says that nothing was sent. After any other error the request may have been served.
   */
  send(request: S3Request, signal: AbortSignal | undefined): Promise<S3Reply>
}

/** The objects of one storage, to what asks for many of them at once. */
export interface Bucket {
  readonly name: string
  /** All keys begin with it. */
  readonly prefix: string
  /** Sends what may be repeated: whatever goes wrong is thrown. */
  readonly ask: (request: S3Request, signal: AbortSignal | undefined) => Promise<S3Reply>
  /** The same for what a cache might answer. */
  readonly askStorage: Bucket['ask']
  /** As long as the storage has not refused to delete many at once. */
  deletesMany: boolean
}
