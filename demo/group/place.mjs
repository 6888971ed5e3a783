// @ts-check
/** Where the group keeps its state: a folder, or a bucket of the S3 server of the tests. Members have nothing else in common. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AwsClient } from 'aws4fetch'
import { metered, retrying } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { s3Fetch } from 'tidemark/s3-fetch'
import { startS3 } from '../../test/support/start-s3.mjs'

/** What S3 takes for a request, in dollars. */
export const PRICES = { put: 5e-6, list: 5e-6, get: 4e-7 }

/**
 * @param {boolean} isS3
 * @returns {Promise<{ place: string, close(): Promise<void> }>}
 */
export async function makePlace(isS3) {
  if (isS3) {
    const server = await startS3()
    return { place: `${server.url}/bucket`, close: () => server.close() }
  }
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-group-'))
  return { place: folder, close: async () => rmSync(folder, { recursive: true, force: true }) }
}

/**
 * The storage at a place, which counts what it is asked for; on a folder, too, it tells what S3 would take for that.
 *
 * @param {string} place
 */
export function storageAt(place) {
  const counted = metered(place.startsWith('http') ? bucketAt(place) : nodeFs(place), {
    prices: PRICES,
  })
  return { storage: retrying(counted), usage: () => counted.usage() }
}

/** @param {string} url */
function bucketAt(url) {
  const aws = new AwsClient({ accessKeyId: 'demo', secretAccessKey: 'demo', service: 's3', region: 'demo', retries: 0 })
  return s3Fetch({ fetch: (request, init) => aws.fetch(request, init), url })
}
