/**
 * State in an S3 bucket through any `fetch` that signs, such as that of aws4fetch: 3 KB, for browsers, edge functions and
 * servers. Everything else is as in `tidemark/s3`.
 *
 *     const aws = new AwsClient({ accessKeyId, secretAccessKey, service: 's3', region, retries: 0 })
 *     s3Fetch({ fetch: (url, init) => aws.fetch(url, init), url: 'https://my-bucket.s3.eu-central-1.amazonaws.com' })
 */
import { checkFields, invalid } from '../../src/errors.js'
import type { Storage } from '../../src/storage/contract.js'
import { s3Storage } from '../s3-common/objects.js'
import { keyPrefix } from '../s3-common/prefix.js'
import { sharedTurns } from '../s3-common/turns.js'
import { fetchTransport, type SigningFetch } from './transport.js'

export type { FetchedResponse, SigningFetch, SigningInit } from './transport.js'

export interface S3FetchOptions {
  readonly fetch: SigningFetch
  /** The bucket's: `https://bucket.host` or `https://host/bucket`. */
  readonly url: string
  /** All keys begin with it, so that a bucket can hold other things too. Default: nothing. */
  readonly prefix?: string | undefined
}

/** A browser has six connections to a host of S3, and more to one that speaks HTTP/2. */
const AT_ONCE = 16
const FIELDS = new Set(['fetch', 'url', 'prefix'])

/** A storage in a bucket, which has to exist; several stores may share it. */
export function s3Fetch(options: S3FetchOptions): Storage {
  checkFields('s3Fetch', options, FIELDS)
  const { fetch, url, prefix } = options
  if (typeof fetch !== 'function') {
    throw invalid('s3Fetch: fetch must be a function that signs requests: (url, init) => aws.fetch(url, init).')
  }
  return s3Storage(fetchTransport(fetch, bucketUrl(url)), keyPrefix('s3Fetch', prefix), sharedTurns(AT_ONCE))
}

/** The URL is not shown when it is refused: it might hold a secret. */
function bucketUrl(given: unknown): string {
  const match = typeof given === 'string' ? /^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/.exec(given) : null
  if (match === null || !isUrl(match[0])) {
    throw invalid(
      's3Fetch: url must be that of the bucket, with http or https and without user, query and fragment: https://host/bucket.',
    )
  }
  return match[0].replace(/\/+$/, '')
}

/** A port or an address may be none. */
function isUrl(text: string): boolean {
  try {
    return Boolean(new URL(text))
  } catch {
    return false
  }
}
