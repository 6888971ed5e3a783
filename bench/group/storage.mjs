/** Storages on the S3 server of the tests, which count requests, and the bytes of segments apart from all others. */
import { AwsClient } from 'aws4fetch'
import { metered, retrying } from 'tidemark'
import { s3Fetch } from 'tidemark/s3-fetch'

const isSegment = (url) => /\/seg\//.test(String(url))

/** `counts()` tells what was asked for since it was called last. */
export function countedStorage(url) {
  const aws = new AwsClient({ accessKeyId: 'bench', secretAccessKey: 'bench', service: 's3', region: 'b', retries: 0 })
  const segments = { written: 0, read: 0 }
  const fetch = async (request, init = {}) => {
    const answer = await aws.fetch(request, init)
    if (isSegment(request) && init.method === 'PUT') segments.written += init.body.byteLength
    if (isSegment(request) && (init.method ?? 'GET') === 'GET' && answer.ok)
      segments.read += Number(answer.headers.get('content-length'))
    return answer
  }
  const counted = metered(s3Fetch({ fetch, url }))
  let before = counted.usage()
  let known = { ...segments }
  return {
    storage: retrying(counted),
    counts: () => {
      const now = counted.usage()
      const { put, get, list } = now.requests
      const taken = {
        requests: put + get + list - before.requests.put - before.requests.get - before.requests.list,
        put: put - before.requests.put,
        get: get - before.requests.get,
        written: now.bytesWritten - before.bytesWritten,
        read: now.bytesRead - before.bytesRead,
        segmentsWritten: segments.written - known.written,
        segmentsRead: segments.read - known.read,
      }
      before = now
      known = { ...segments }
      return taken
    },
  }
}

/** Events of each partition without end, so many a second. */
export function ticks(partitions, { everyMs }) {
  return {
    name: 'ticks',
    partitions,
    async *read(_partition, from, { signal }) {
      for (let offset = Number(from ?? 0); !signal.aborted; offset++) {
        yield { offset, value: offset }
        await new Promise((resolve) => setTimeout(resolve, everyMs))
      }
    },
  }
}

/** Counts the events of its partition. */
export async function countTick(_event, state) {
  const counts = state.table('counts')
  counts.put('ticks', ((await counts.get('ticks')) ?? 0) + 1)
}
