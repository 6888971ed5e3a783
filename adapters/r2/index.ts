/**
 * State in a Cloudflare R2 bucket, through the binding that a worker has.
 *
 * - Creates and swaps are conditional puts. `null` says that the condition did not hold; an exception leaves the outcome open.
 * - R2 is consistent: an object that was put is read and listed from everywhere at once.
 * - The time of the storage is known from puts alone: it is the moment at which R2 stored the object.
 */
import { TidemarkError, aborted, checkFields, invalid, isTidemarkError, throwIfAborted } from '../../src/errors.js'
import type { Answer, BlobInfo, ByteRange, CallOptions, Outcome, Storage } from '../../src/storage/contract.js'
import type { ObjectStore } from '../../src/storage/object-store.js'
import { overObjects } from '../../src/storage/objects.js'
import { keyPrefix } from '../s3-common/prefix.js'
import { ownTurns } from '../s3-common/turns.js'
import type { R2BucketLike, R2ObjectLike } from './binding.js'

export type { R2BucketLike, R2BodyLike, R2Condition, R2ListLike, R2ObjectLike } from './binding.js'

/** Options of `r2`. */
export interface R2Options {
  /**
   * Begins all keys, so that the bucket can hold other things, too.
   * @default '': keys begin with the name of a store
   * @when Set it when the bucket holds other things as well.
   */
  readonly prefix?: string | undefined
}

const FIELDS = new Set(['prefix'])

/**
 * A storage in the bucket of a binding. Several stores may share it. A handle sends five requests at once, besides commits.
 *
 * Open stores with `mode: 'shared'`, as any number of isolates write at once. Each request opens a handle of its own and closes
 * it: in a worker no request may wait for what another one began, so a handle that is kept for the next requests makes them hang.
 *
 * @throws `INVALID_ARGUMENT` when the binding is none of a bucket, or an option is wrong
 * @example
 *     async fetch(request, env) {
 *       await using store = await openStore<string, number>({ storage: r2(env.BUCKET), name: 'visits', mode: 'shared' })
 *       return new Response(`Visit ${await store.update('all', (n = 0) => n + 1)}`)
 *     }
 */
export function r2(bucket: R2BucketLike, options: R2Options = {}): Storage {
  checkFields('r2', options, FIELDS)
  const { put, head } = (bucket ?? {}) as Partial<R2BucketLike>
  // A KV namespace has a put as well, but no head.
  if (typeof put !== 'function' || typeof head !== 'function') {
    throw invalid('r2: a bucket binding is expected, such as env.BUCKET; elsewhere use tidemark/s3-fetch.')
  }
  return overObjects(objectsIn(bucket, keyPrefix('r2', options.prefix)), {
    name: 'r2',
    trim: 'writer',
    isRemote: true,
    turns: ownTurns,
  })
}

function objectsIn(bucket: R2BucketLike, prefix: string): ObjectStore {
  /** Makes a call that may be repeated. */
  async function ask<T>(doing: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    try {
      return await untilAborted(call(), signal)
    } catch (error) {
      throw isTidemarkError(error) ? error : failed(doing, error)
    }
  }

  async function conditional(
    key: string,
    bytes: Uint8Array,
    onlyIf: { etagMatches: string } | { etagDoesNotMatch: string },
    signal: AbortSignal | undefined,
  ): Promise<Outcome & Answer> {
    throwIfAborted(signal)
    try {
      const stored = await untilAborted(bucket.put(prefix + key, bytes, { onlyIf }), signal)
      return stored === null ? { outcome: 'lost' } : { outcome: 'committed', token: stored.etag, time: timeOf(stored) }
    } catch (error) {
      if (isTooLarge(error)) throw failed(`write ${key}`, error)
      return { outcome: 'unknown', settle: true, cause: failed(`write ${key}`, error) }
    }
  }

  async function get(
    key: string,
    { range, signal }: CallOptions & { readonly range?: ByteRange | undefined } = {},
  ): Promise<Answer & { bytes: Uint8Array | undefined; token: string | undefined }> {
    return ask(`read ${key}`, signal, async () => {
      const nothing = { bytes: undefined, token: undefined }
      let found
      try {
        // R2 takes no empty range.
        found = await bucket.get(prefix + key, range && { range: { ...range, length: Math.max(range.length, 1) } })
      } catch (error) {
        if (range === undefined) throw error
        // R2 refuses a range that begins beyond the end; the contract answers it with no bytes.
        const head = await bucket.head(prefix + key)
        if (head === null) return nothing
        if (head.size > range.offset) throw error
        return { bytes: new Uint8Array(0), token: head.etag }
      }
      if (found === null) return nothing
      const bytes = new Uint8Array(await found.arrayBuffer())
      const rest = range ? Math.max(0, Math.min(Math.max(range.length, 1), found.size - range.offset)) : found.size
      if (bytes.length !== rest) throw new Error(`${bytes.length} bytes came instead of ${rest}.`)
      return { bytes: range && range.length < rest ? bytes.slice(0, range.length) : bytes, token: found.etag }
    })
  }

  async function list(
    within: string,
    { after, limit, signal }: CallOptions & { after: string | undefined; limit: number },
  ): Promise<Answer & { items: BlobInfo[]; more: boolean }> {
    for (let cursor: string | undefined; ;) {
      const startAfter = cursor === undefined && after !== undefined ? { startAfter: prefix + after } : {}
      const page = await ask(`list ${within}`, signal, () =>
        bucket.list({ prefix: prefix + within, limit, ...startAfter, ...(cursor === undefined ? {} : { cursor }) }),
      )
      const items = page.objects.map((object): BlobInfo => {
        return { name: object.key.slice(prefix.length), size: object.size, time: timeOf(object) }
      })
      if (items.length > 0 || !page.truncated) return { items, more: page.truncated }
      // An empty page may be followed by others.
      cursor = page.cursor
    }
  }

  return {
    create: (key, bytes, _guard, options) => conditional(key, bytes, { etagDoesNotMatch: '*' }, options?.signal),
    swap: (key, token, bytes, _trim, options) =>
      conditional(
        key,
        bytes,
        token === undefined ? { etagDoesNotMatch: '*' } : { etagMatches: token },
        options?.signal,
      ),
    put: (key, bytes, options) =>
      ask(`write ${key}`, options?.signal, async () => {
        const stored = await bucket.put(prefix + key, bytes)
        return { time: stored === null ? undefined : timeOf(stored) }
      }),
    get,
    list,
    delete: (keys, options) =>
      ask(`delete ${keys[0] ?? ''}`, options?.signal, async () => {
        if (keys.length > 0) await bucket.delete(keys.map((key) => prefix + key))
        return {}
      }),
  }
}

function timeOf({ uploaded }: R2ObjectLike): number | undefined {
  const time = (uploaded as Date | undefined)?.getTime()
  return Number.isNaN(time) ? undefined : time
}

/** Stops waiting when the signal aborts. R2 knows no signals, so the call itself goes on. */
function untilAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    signal.addEventListener('abort', abort, { once: true })
    answer.finally(() => signal.removeEventListener('abort', abort)).then(resolve, reject)
  })
}

/** Whether R2 refused an object as too large, by the number of that error. Nothing was stored then. */
function isTooLarge(error: unknown): boolean {
  return /\(100(?:34|11)\)/.test(String((error as Error | undefined)?.message))
}

function failed(doing: string, error: unknown): TidemarkError {
  const said = String((error as Error | undefined)?.message ?? error)
  if (isTooLarge(error))
    return invalid(`r2 could not ${doing} (${said}): it is too large. Use smaller segments.`, error)
  return new TidemarkError('STORAGE_UNAVAILABLE', `r2 could not ${doing} (${said}). Try again.`, { cause: error })
}
