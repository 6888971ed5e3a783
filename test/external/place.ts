/**
 * An S3 storage of any kind, named by TIDEMARK_S3_ENDPOINT, _BUCKET, _ACCESS_KEY, _SECRET_KEY and, where it matters, _REGION:
 * conformance, cuts, recovery and collection on it. Run by `npm run test:s3`; it leaves nothing in the bucket.
 */
import {
  CreateBucketCommand,
  ListObjectsV2Command,
  type BucketLocationConstraint,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Storage } from 'tidemark'
import { clientFor, type S3Place } from '../support/s3-clients.js'
import { MORE_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

const variable = (name: string): string => process.env[`TIDEMARK_S3_${name}`] ?? ''

const place: S3Place = {
  endpoint: variable('ENDPOINT').replace(/\/+$/, ''),
  bucket: variable('BUCKET'),
  accessKeyId: variable('ACCESS_KEY'),
  secretAccessKey: variable('SECRET_KEY'),
  region: variable('REGION') || 'us-east-1',
}

/** All suites through one transport. */
export function suitesBy(transport: string, make: (place: S3Place, prefix: string, client: S3Client) => Storage): void {
  const client = clientFor(place)
  const run = `tidemark-test/${crypto.randomUUID()}`
  let storages = 0

  beforeAll(() => makeBucket(client))
  afterAll(() => empty(make(place, run, client)), 600_000)

  describe(transport, () => {
    allSuites({
      // Those of collection share a clock that they set.
      test: (suite, name, run) => (suite === 'collection' ? test.sequential : test)(`${suite}: ${name}`, run),
      make: () => make(place, `${run}/${storages++}`, client),
      share: { writes: 1, reads: 4 },
      loss: MORE_LOSSES,
    })
  })
}

async function makeBucket(client: S3Client): Promise<void> {
  const Bucket = place.bucket
  try {
    await client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }))
    return
  } catch (error) {
    if ((error as Error).name !== 'NoSuchBucket') throw error
  }
  const named = variable('REGION')
  const elsewhere = named !== '' && named !== 'us-east-1'
  const placed = { CreateBucketConfiguration: { LocationConstraint: named as BucketLocationConstraint } }
  try {
    await client.send(new CreateBucketCommand({ Bucket, ...(elsewhere ? placed : {}) }))
  } catch (error) {
    // The tests of the other transport have made it meanwhile.
    if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error
  }
}

async function empty(all: Storage): Promise<void> {
  for (const path of (await all.logs('')).paths) {
    await all.log(path).destroy()
    await all.anchor(`${path.slice(0, path.lastIndexOf('/'))}/anchor`).remove()
  }
  for (;;) {
    const { items, more } = await all.blobs.list('')
    await all.blobs.delete(items.map(({ name }) => name))
    if (!more) return
  }
}
