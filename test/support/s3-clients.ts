/** Clients for the S3 servers of the tests, and a real one in miniflare. */
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { AwsClient } from 'aws4fetch'
import { Miniflare } from 'miniflare'
import type { Storage } from 'tidemark'
import { s3 } from 'tidemark/s3'
import { s3Fetch } from 'tidemark/s3-fetch'
import type { AdapterRow } from './counting.js'

export interface S3Place {
  /** Without the bucket. */
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region?: string
}

export const SECRET = 'sEcReT-kEy-0123456789'

export function placeAt(endpoint: string): S3Place {
  return { endpoint, bucket: 'bucket', accessKeyId: 'AKIDTIDEMARK', secretAccessKey: SECRET }
}

export function clientFor(place: S3Place, config: S3ClientConfig = {}): S3Client {
  const { endpoint, accessKeyId, secretAccessKey, region = 'auto' } = place
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    ...config,
  })
}

export function awsFor({ accessKeyId, secretAccessKey, region = 'auto' }: S3Place): AwsClient {
  return new AwsClient({ accessKeyId, secretAccessKey, region, service: 's3', retries: 0 })
}

export function bySdk(place: S3Place, prefix: string, client = clientFor(place)): Storage {
  return s3({ client, bucket: place.bucket, prefix })
}

export function byFetch(place: S3Place, prefix: string, aws = awsFor(place)): Storage {
  return s3Fetch({ fetch: (url, init) => aws.fetch(url, init), url: `${place.endpoint}/${place.bucket}`, prefix })
}

export type MakeStorage = (place: S3Place, prefix: string) => Storage

/** By a default client of the SDK, and by aws4fetch. */
export const s3Adapters: readonly AdapterRow<MakeStorage>[] = [
  { adapter: 's3', make: (place, prefix) => bySdk(place, prefix) },
  { adapter: 's3Fetch', make: (place, prefix) => byFetch(place, prefix) },
]

/** The S3 API of a local R2. */
export async function startMiniflare(): Promise<{ place: S3Place; dispose(): Promise<void> }> {
  const place = placeAt('')
  const { accessKeyId, secretAccessKey } = place
  const miniflare = new Miniflare({
    modules: true,
    script: 'export default { fetch: () => new Response("") }',
    r2Buckets: { B: { id: place.bucket, s3Credentials: { accessKeyId, secretAccessKey } } },
  })
  const url = await miniflare.ready
  return {
    place: { ...place, endpoint: new URL('/cdn-cgi/local/r2/s3', url).href },
    dispose: () => miniflare.dispose(),
  }
}
