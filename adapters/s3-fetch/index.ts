/**
 * State in an S3 bucket through any `fetch` that signs, such as that of aws4fetch, for browsers, edge functions and servers.
 * Everything else is as in `tidemark/s3`.
 */
import { checkFields, invalid } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { s3Storage } from '../s3-common/objects.js'
import { keyPrefix } from '../s3-common/prefix.js'
import { sharedTurns } from '../s3-common/turns.js'
import { fetchTransport, type SigningFetch } from './transport.js'

export type { FetchedResponse, SigningFetch, SigningInit } from './transport.js'

/** Options of `s3Fetch`. */
export interface S3FetchOptions {
  /**
   * Signs a request and sends it, once.
   * @when Give it the `fetch` of a client that signs, such as aws4fetch.
   */
  readonly fetch: SigningFetch
  /**
   * The URL of the bucket: `https://bucket.host` or `https://host/bucket`.
   * @when One bucket may hold many stores.
   */
  readonly url: string
  /**
   * Begins all keys, so that the bucket can hold other things, too.
   * @default '': keys begin with the name of a store
   * @when Set it when the bucket holds other things as well.
   */
  readonly prefix?: string | undefined
}

/** How many requests are sent at once. A browser has six connections to a host of S3, and no such limit by HTTP/2. */
const AT_ONCE = 16
const FIELDS = new Set(['fetch', 'url', 'prefix'])

/**
 * A storage in a bucket, which has to exist. Several stores may share it. It repeats nothing by itself; `retrying` does.
 *
 * @throws `INVALID_ARGUMENT` for a wrong option
 * @throws `STORAGE_UNSAFE` by `openStore` when it creates a store and the bucket does not enforce conditions
 * @example
 *     const aws = new AwsClient({ accessKeyId, secretAccessKey, service: 's3', region, retries: 0 })
 *     const url = 'https://my-bucket.s3.eu-central-1.amazonaws.com'
 *     const storage = retrying(s3Fetch({ fetch: (url, init) => aws.fetch(url, init), url }))
 */
export function s3Fetch(options: S3FetchOptions): Storage {
  checkFields('s3Fetch', options, FIELDS)
  const { fetch, url, prefix } = options
  if (typeof fetch !== 'function') {
    throw invalid('s3Fetch: fetch must be a function that signs requests: (url, init) => aws.fetch(url, init).')
  }
  return s3Storage(fetchTransport(fetch, bucketUrl(url)), keyPrefix('s3Fetch', prefix), sharedTurns(AT_ONCE))
}

/** Checks the URL. The error does not show it, as it might hold a secret. */
function bucketUrl(given: unknown): string {
  const match = typeof given === 'string' ? /^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/.exec(given) : null
  if (match === null || !isUrl(match[0])) {
    throw invalid(
      's3Fetch: url must be that of the bucket, with http or https and without user, query and fragment: https://host/bucket.',
    )
  }
  return match[0].replace(/\/+$/, '')
}

/** Whether the text is a URL. The pattern before allows ports and addresses that there are not. */
function isUrl(text: string): boolean {
  try {
    return Boolean(new URL(text))
  } catch {
    return false
  }
}
