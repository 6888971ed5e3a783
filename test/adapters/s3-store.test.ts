/** Stores on S3: on the S3 API of R2 in miniflare; what they cost in requests; and imitations that are refused. */
import type { AddressInfo } from 'node:net'
import { startFauxqs } from 'fauxqs'
// @ts-expect-error a package without types
import S3rver from 's3rver'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { metered, openStore, type Storage } from 'tidemark'
import { intercept, type Around } from '../../src/storage/intercept.js'
import { eachAdapter, type AdapterRow } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { byFetch, bySdk, placeAt, s3Adapters, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { startS3Server } from '../support/s3-server.js'
import { temporaryFolder } from '../support/storages.js'

let real!: { place: S3Place; dispose(): Promise<void> }
let runs = 0
beforeAll(async () => {
  real = await startMiniflare()
})
afterAll(() => real.dispose())

const realAdapters: readonly AdapterRow[] = [
  { adapter: 's3', make: () => bySdk(real.place, `run-${runs++}`) },
  { adapter: 's3Fetch', make: () => byFetch(real.place, `run-${runs++}`) },
]

eachAdapter(realAdapters, 'a store by %s in miniflare', (make) => {
  test('of several that create it at once each opens the same store', async () => {
    const storage = make()
    // By the true clock: so many probes at once keep each other waiting.
    const opened = await Promise.allSettled(
      Array.from({ length: extent(8, 4) }, () => openStore({ storage, name: 'raced' })),
    )
    const stores = opened.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : []))
    expect(stores.length).toBeGreaterThan(0)
    const logs = (await storage.logs('raced/')).paths.filter((path) => !path.includes('/probe-'))
    expect(logs.length).toBe(1)
    await Promise.all(stores.map((store) => store.close()))
  })
})

eachAdapter(s3Adapters, 'the requests of a store by %s', (make) => {
  test.each([
    ['with the time of the storage', 0],
    ['without it', undefined],
  ])('%s', async (kind, skewMs) => {
    const server = await startS3Server({ skewMs })
    const storage = metered(make(placeAt(server.url), 'x'))
    const counted = async (run: () => Promise<unknown>): Promise<Record<string, number>> => {
      const [before, sent] = [storage.usage().requests, server.requests.length]
      await run()
      const after = storage.usage().requests
      const { put, get, list, delete: deletes } = after
      const used = {
        put: put - before.put,
        get: get - before.get,
        list: list - before.list,
        delete: deletes - before.delete,
      }
      // The adapter counts one request as one.
      expect(server.requests.length - sent).toBe(used.put + used.get + used.list + used.delete)
      return used
    }

    let store = await openStore({ storage, name: 'counted' })
    for (const size of [10, 60 << 10]) {
      store.put('key', 'x'.repeat(size))
      const commit = await counted(() => store.commit())
      // Where the storage's time is not seen, nobody knows whether the create was slow: the anchor is read after each.
      expect(commit).toEqual({ put: 1, get: skewMs === undefined ? 1 : 0, list: 0, delete: 0 })
    }
    await store.checkpoint()
    store.put('key', 'last')
    await store.commit()
    expect(await counted(() => new Promise((resolve) => setTimeout(resolve, 300)))).toEqual({
      put: 0,
      get: 0,
      list: 0,
      delete: 0,
    })
    await store.close()

    const cold = layered(make(placeAt(server.url), 'x'))
    const opening = metered(cold.storage)
    store = await openStore({ storage: opening, name: 'counted' })
    const { requests } = opening.usage()
    console.log(`a cold open ${kind}: ${JSON.stringify(requests)}, ${cold.depth()} round trips deep`)
    expect(requests.list).toBeLessThanOrEqual(1)
    expect(requests.delete).toBe(0)
    // The anchor, a list, the fence; and each entry of the tail. Without the time of the storage the anchor is read once more.
    const more = skewMs === undefined ? 1 : 0
    expect(requests.put + requests.get + requests.list).toBeLessThanOrEqual(4 + store.metrics().tail + more)
    expect(cold.depth()).toBeLessThanOrEqual(4 + more)
    expect(await store.get('key')).toBe('last')
    await store.close()
    await server.close()
  })
})

/** Counts how many round trips lie one after another: a call comes after all that had been answered when it was made. */
function layered(storage: Storage): { storage: Storage; depth: () => number } {
  let depth = 0
  const around: Around = async (call, run) => {
    const own = depth + 1
    const answer = await run(call.signal)
    depth = Math.max(depth, own)
    return answer
  }
  return { storage: intercept(storage, around), depth: () => depth }
}

describe('imitations that accept conditions and ignore them are refused', () => {
  const refused = async (storage: Storage): Promise<void> => {
    const opening = openStore({ storage, name: 'unsafe' })
    await expect(opening).rejects.toMatchObject({ code: 'STORAGE_UNSAFE', retryable: false })
    await expect(openStore({ storage, name: 'unsafe' })).rejects.toMatchObject({ code: 'STORAGE_UNSAFE' })
  }

  test('fauxqs', async () => {
    const server = await startFauxqs({ port: 0, logger: false })
    server.createBucket('bucket')
    for (const { make } of s3Adapters) await refused(make(placeAt(server.address), 'x'))
    await server.stop()
  })

  test('s3rver', async () => {
    const folder = temporaryFolder()
    const s3rver = new S3rver({
      port: 0,
      address: '127.0.0.1',
      silent: true,
      directory: folder,
      configureBuckets: [{ name: 'bucket' }],
    })
    const { port } = (await s3rver.run()) as AddressInfo
    const place = {
      ...placeAt(`http://127.0.0.1:${port}`),
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
      region: 'us-east-1',
    }
    for (const { make } of s3Adapters) await refused(make(place, 'x'))
    await s3rver.close()
  })
})
