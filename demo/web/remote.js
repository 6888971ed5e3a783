/** The same state in a bucket: pushed to the S3 server that runs beside the page, and pulled back. */
import { s3Fetch } from 'tidemark/s3-fetch'
import { retrying } from 'tidemark'
import { pull, push } from 'tidemark/transfer'
import { compareWithMemory } from './compare.js'
import { bytes, n, plural } from './format.js'
import { withoutJob } from './job.js'
import { place, whileClosed } from './opened.js'
import { NAME } from './place.js'
import { signal } from './signal.js'

/** The last transfer. */
export const moved = signal(undefined)

let finding
function remote() {
  finding ??= fetch('/config.json')
    .then((response) => response.json())
    .then(({ s3 }) => ({ storage: retrying(s3Fetch({ fetch: throughGate, url: s3 })), name: NAME }))
  return finding
}

/** The page holds no keys: the gate before the bucket signs what it passes on. It gives the bucket's status in a header. */
async function throughGate(url, init) {
  const answer = await fetch(url, init)
  const { headers } = answer
  const bytes = await answer.arrayBuffer()
  return { status: Number(headers.get('x-status')), headers, arrayBuffer: async () => bytes }
}

/** Whatever was pushed last is what the bucket has; what was there before stays in its history. */
export async function pushAway() {
  const result = await push(place, await remote(), { force: true })
  moved.set({ way: 'pushed', ...result })
  if (result.bytes === 0) return `Version ${n(result.from)} is in the bucket already. Nothing had to travel.`
  return `Version ${n(result.from)} is in the bucket, as version ${n(result.version)} there: ${plural(result.copied, 'segment')} sent, ${n(result.reused)} already there, ${bytes(result.bytes)} written.`
}

export const pullBack = () =>
  withoutJob(async () => {
    const from = await remote()
    const result = await whileClosed(() => pull(place, from, { force: true }))
    moved.set({ way: 'pulled', ...result })
    const { counted, values } = await compareWithMemory()
    const travelled =
      result.bytes === 0
        ? 'Nothing had to travel'
        : `${plural(result.copied, 'segment')} fetched, ${n(result.reused)} already here`
    return `The bucket’s version ${n(result.from)} is here, with ${n(counted)} flights counted. ${travelled}. All ${n(values)} values are right.`
  })
