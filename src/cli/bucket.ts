/**
 * The storage at an s3:// address. Its client is that of the AWS SDK, which looks for settings in the environment, in profile
 * files and in the machine. Its words about keys are never shown, and every request has an end.
 */
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { s3 } from '../../adapters/s3/index.js'
import type { Clock } from '../clock.js'
import { TidemarkError, invalid } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { deadlines } from '../storage/deadlines.js'
import { retrying } from '../storage/retrying.js'

export interface BucketOptions {
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly clock: Clock
}

/** How long a connection may take, in milliseconds. */
const CONNECT_MS = 5_000
/** How long the first answer may take. Later ones get the time that their size needs. */
const FIRST_ANSWER_MS = 10_000
const ANSWER_MS = 30_000
const TRIES = 3
/** Most storages other than AWS take this region for theirs, R2 among them. */
const USUAL_REGION = 'us-east-1'

/** Opens a bucket, which has to be there. It is asked once, so that faults of the access show at the beginning. */
export async function inBucket(address: string, { endpoint, region, clock }: BucketOptions): Promise<Storage> {
  const { bucket, prefix } = placeIn(address)
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = process.env
  // Looks where the SDK looks. A storage other than AWS is reached by paths, as few of them have a host name for each bucket.
  const client = await connect(
    checkedEndpoint(endpoint ?? (AWS_ENDPOINT_URL_S3 || AWS_ENDPOINT_URL || undefined)),
    region,
  )
  const storage = s3({ client, bucket, prefix })
  await ask(storage, clock)
  return retrying(deadlines(storage, { timeoutMs: ANSWER_MS, clock }), { tries: TRIES, clock })
}

async function ask(storage: Storage, clock: Clock): Promise<void> {
  const controller = new AbortController()
  const cancel = clock.timer(FIRST_ANSWER_MS, () => controller.abort())
  try {
    await storage.blobs.list('', { limit: 1, signal: controller.signal })
  } catch (error) {
    if (!controller.signal.aborted) throw error
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      `The bucket did not answer within ${FIRST_ANSWER_MS / 1000} s; check the endpoint and the connection.`,
    )
  } finally {
    cancel()
  }
}

/** Takes an address apart. The error does not repeat it: it may hold a key and its secret, or a signature. */
function placeIn(address: string): { bucket: string; prefix: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,253}[a-z0-9])(?:\/([^?#]*))?$/i.exec(address)
  if (match === null) {
    throw invalid(
      'An s3:// address is s3://bucket/prefix: a name of letters, digits, dots and hyphens, and a prefix without ? and #.',
    )
  }
  return { bucket: match[1]!, prefix: match[2] ?? '' }
}

function checkedEndpoint(endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  if (!/^https?:\/\/[^/?#@\s]+(?:\/[^?#\s]*)?$/i.test(endpoint) || !URL.canParse(endpoint)) {
    throw invalid(
      '--endpoint (or AWS_ENDPOINT_URL) is the URL of an S3 storage, with http or https and without bucket, user, query and fragment: https://host.',
    )
  }
  return endpoint
}

/** Makes a client that knows its region and has found keys. */
async function connect(endpoint: string | undefined, region: string | undefined): Promise<S3Client> {
  const { S3Client } = await loadSdk()
  const make = (config: S3ClientConfig): S3Client =>
    new S3Client({
      ...config,
      requestHandler: { connectionTimeout: CONNECT_MS },
      // Storages other than AWS serve buckets by path, and not all of them know the checksums that the SDK adds.
      ...(endpoint === undefined
        ? {}
        : {
            endpoint,
            forcePathStyle: true,
            requestChecksumCalculation: 'WHEN_REQUIRED',
            responseChecksumValidation: 'WHEN_REQUIRED',
          }),
    })
  let client = make(region === undefined ? {} : { region })
  const known = await client.config.region().catch(() => undefined)
  if (known === undefined) {
    if (region !== undefined) throw invalid('--region is no name of a region.')
    if (endpoint === undefined)
      throw invalid('The region of the bucket is not known: give --region, or set AWS_REGION.')
    client = make({ region: USUAL_REGION })
  }
  await client.config.credentials().catch(() => {
    throw new TidemarkError(
      'STORAGE_UNAVAILABLE',
      'No AWS credentials could be had: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile by AWS_PROFILE.',
      { retryable: false },
    )
  })
  return client
}

async function loadSdk(): Promise<typeof import('@aws-sdk/client-s3')> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (cause) {
    throw invalid('s3:// addresses need the package @aws-sdk/client-s3: npm install @aws-sdk/client-s3', cause)
  }
}
