/** The requests and bytes by which small commits, one after the other, are kept on S3 and R2, folds and merges included. */
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { metered, openStore } from 'tidemark'
import { r2 } from 'tidemark/r2'
import { intercept } from '../../src/storage/intercept.js'
import { Random } from '../../src/testing/random.js'
import { eachAdapter, type AdapterRow } from '../support/counting.js'
import { WHOLE } from '../support/extent.js'
import { bucketInMemory } from '../support/r2-bucket.js'
import { byFetch, bySdk, placeAt } from '../support/s3-clients.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'

let server!: S3Server
beforeAll(async () => {
  server = await startS3Server()
})
afterAll(() => server.close())

/** The transport makes no difference to what is sent: a quick run takes the faster one. */
const adapters: readonly AdapterRow[] = [
  { adapter: 's3', make: () => bySdk(placeAt(server.url), 'sdk') },
  { adapter: 's3Fetch', make: () => byFetch(placeAt(server.url), 'fetch') },
  { adapter: 'r2', make: () => r2(bucketInMemory()) },
]

/** More than eight folds of the tail, so that runs are merged as well. */
const EPOCHS = 600
const ROWS = 5_000

const row = (i: number, version: number): object => ({
  id: i,
  name: `customer ${i}`,
  city: ['Lisbon', 'Porto', 'Nairobi', 'Osaka', 'Quito'][i % 5],
  balance: ((i * 7919 + version * 104_729) % 1_000_000) / 100,
  visits: version,
  tags: i % 2 === 0 ? ['new', 'web'] : ['old'],
})
const keyOf = (i: number): string => `k${String((i * 7_368_787) % 1_000_000_007).padStart(15, '0')}`

eachAdapter(WHOLE ? adapters : adapters.slice(1), 'epochs of 1 % of the rows by %s', (make) => {
  test('upload at most 3 times the deflated changes, in at most 1.2 requests each', async () => {
    /** The bytes and the number of calls, by what they are for. */
    const calls = new Map<string, number>()
    const storage = metered(
      intercept(make(), (call, run) => {
        const what = `${call.target} ${call.kind}`
        calls.set(what, (calls.get(what) ?? 0) + 1)
        return run(call.signal)
      }),
    )
    const store = await openStore({ storage, name: 'epochs' })
    for (let i = 0; i < ROWS; i++) store.put(keyOf(i), row(i, 0))
    await store.commit()
    await store.checkpoint()
    const random = new Random(21)
    const before = storage.usage()
    calls.clear()
    let deflated = 0
    for (let epoch = 1; epoch <= EPOCHS; epoch++) {
      const changes = Array.from({ length: ROWS / 100 }, () => random.below(ROWS))
      for (const i of changes) store.put(keyOf(i), row(i, epoch))
      deflated += deflateRawSync(JSON.stringify(changes.map((i) => [keyOf(i), row(i, epoch)]))).length
      await store.commit({ offsets: { events: epoch * 1_000 } })
    }
    await store.close()
    const { requests, bytesWritten } = storage.usage()
    const sent =
      requests.put + requests.get + requests.list - before.requests.put - before.requests.get - before.requests.list
    const [perEpoch, times] = [sent / EPOCHS, (bytesWritten - before.bytesWritten) / deflated]
    const told = `${perEpoch} requests, ${times} times the deflated changes: ${JSON.stringify([...calls])}`
    console.log(told)
    const { folds, compactions } = store.metrics()
    expect(folds, told).toBeGreaterThan(8)
    expect(compactions, told).toBeGreaterThan(0)
    expect(times, told).toBeLessThanOrEqual(3)
    expect(perEpoch, told).toBeLessThanOrEqual(1.2)
    // The anchor is read and swapped for a fold, and for nothing else.
    expect(calls.get('anchor put'), told).toBeLessThanOrEqual(folds)
    expect(calls.get('anchor get'), told).toBeLessThanOrEqual(folds)
  })
})
