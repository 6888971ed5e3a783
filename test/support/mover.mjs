/** A page whose store moves to a bucket and back, for test/adapters/move.test.ts, which calls these by their names. */
import { AwsClient } from 'aws4fetch'
import { metered, openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { s3Fetch } from 'tidemark/s3-fetch'
import { pull, push } from 'tidemark/transfer'
import { OPTIONS, commitRounds, contentsOf, textOf, toldOf } from './moved-life.mjs'

const browser = metered(indexedDb('moved'))
let bucket
let store
const changed = []

/** @param {import('./s3-clients.js').S3Place} place Here as well, the requests are signed by the page. */
function connect({ endpoint, bucket: name, accessKeyId, secretAccessKey }) {
  const aws = new AwsClient({ accessKeyId, secretAccessKey, region: 'auto', service: 's3', retries: 0 })
  bucket = metered(s3Fetch({ fetch: (url, init) => aws.fetch(url, init), url: `${endpoint}/${name}` }))
}

/** Runs, and answers what it cost here and at the bucket, or the code of its error. */
async function measured(run) {
  const before = [browser.usage(), bucket.usage()]
  const outcome = await run().then(
    (result) => ({ result }),
    ({ code }) => ({ code }),
  )
  const [here, there] = [browser.usage(), bucket.usage()].map((after, i) => ({
    written: after.bytesWritten - before[i].bytesWritten,
    read: after.bytesRead - before[i].bytesRead,
  }))
  return { ...outcome, here, there }
}

const moved = { storage: browser, name: 'moved' }
const remote = () => ({ storage: bucket, name: 'moved' })

const page = {
  connect,
  open: async () => void (store = await openStore({ ...moved, ...OPTIONS })),
  /** Opens the store of the bucket to read it, without a permission to write. */
  async follow(name) {
    store = await openStore({ storage: bucket, name, mode: 'follower', followMs: 100 })
    changed.length = 0
    store.watch({}, (changes) => changed.push(...toldOf(changes)))
  },
  write: (from, to) => commitRounds(store, from, to),
  checkpoint: () => store.checkpoint(),
  push: () => measured(() => push(moved, remote())),
  pull: (options) => measured(() => pull(moved, remote(), options)),
  row: async (i) => textOf(await store.get(['row', i])),
  contents: async () => ({ offsets: store.offsets, entries: await contentsOf(store) }),
  async contentsAt(version) {
    const past = await store.at(version)
    return contentsOf(past).finally(() => past.close())
  },
  async reached(version) {
    while (store.version < version) await new Promise((resolve) => store.on('version', resolve))
    return { version: store.version, offsets: store.offsets, changed }
  },
  refusal: () =>
    store.set('x', 1).then(
      () => undefined,
      ({ code }) => code,
    ),
  close: () => store.close(),
}
globalThis.page = page
