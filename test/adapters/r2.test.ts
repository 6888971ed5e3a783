/** The suites on an R2 binding, inside real workerd. */
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { r2, type R2BucketLike } from 'tidemark/r2'
import type { Suite } from '../support/adapters.mjs'
import { forAdapter, suiteTest } from '../support/counting.js'
import { WHOLE } from '../support/extent.js'
import { FEW_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'
import { startWorker } from '../support/workerd.js'

forAdapter('r2')

const names: [suite: Suite, name: string][] = []
allSuites({
  test: (suite, name) => names.push([suite, name]),
  make: () => memory(),
  share: { writes: 1, reads: 1 },
  loss: FEW_LOSSES,
})

describe('r2() in workerd', () => {
  let worker!: Miniflare
  const ask = async (path: string): Promise<unknown> => (await worker.dispatchFetch(`http://worker/${path}`)).json()

  beforeAll(async () => {
    worker = await startWorker('r2-worker.ts', { r2Buckets: ['BUCKET'], bindings: { WHOLE } })
    expect(await ask('')).toEqual(names)
  })
  afterAll(() => worker.dispose())

  const testOf = suiteTest('r2')
  for (const [index, [suite, name]] of names.entries()) {
    testOf(suite, name, async () => expect(await ask(String(index))).toBe(null))
  }
})

describe('a binding that fails', () => {
  const object = { key: 'a', size: 1, etag: 'e', uploaded: new Date(0) }
  const working: R2BucketLike = {
    head: () => Promise.resolve(null),
    get: () => Promise.resolve(null),
    put: () => Promise.resolve(object),
    delete: () => Promise.resolve(),
    list: () => Promise.resolve({ objects: [], truncated: false }),
  }
  const failing = (message: string): R2BucketLike => {
    const fail = (): Promise<never> => Promise.reject(new Error(message))
    return { head: fail, get: fail, put: fail, delete: fail, list: fail }
  }
  const bytes = new Uint8Array([1])

  test('leaves a conditional put unknown, and everything else to be repeated', async () => {
    const storage = r2(failing('put: We encountered an internal error. Please try again. (10001)'))
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({ outcome: 'unknown', settle: true })
    expect(await storage.anchor('a/0/anchor').swap('e', bytes, 1)).toMatchObject({ outcome: 'unknown', settle: true })
    const calls = [storage.blobs.put('a/s', bytes), storage.blobs.get('a/s'), storage.blobs.list(''), storage.logs('')]
    for (const call of [...calls, storage.blobs.get('a/s', { range: { offset: 0, length: 1 } })]) {
      await expect(call).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    }
  })

  test('refuses what is too large, and says so', async () => {
    const storage = r2(failing('put: Your proposed upload exceeds the maximum allowed object size. (10011)'))
    await expect(storage.log('a/0/id').append(1, bytes, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('may cut a body short: that is no shorter blob', async () => {
    const cut = { ...object, size: 3, arrayBuffer: () => Promise.resolve(new ArrayBuffer(2)) }
    const storage = r2({ ...working, get: () => Promise.resolve(cut) })
    await expect(storage.blobs.get('a/s')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    const range = { offset: 1, length: 9 }
    expect((await storage.blobs.get('a/s', { range })).bytes?.length).toBe(2)
  })

  test('a page of a list may be empty although others follow', async () => {
    const pages = [
      { objects: [], truncated: true, cursor: 'next' },
      { objects: [{ ...object, key: 'p/a/s' }], truncated: false },
    ]
    const storage = r2({ ...working, list: () => Promise.resolve(pages.shift()!) }, { prefix: 'p' })
    expect((await storage.blobs.list('')).items).toEqual([{ name: 'a/s', size: 1, time: 0 }])
  })

  test('the time of an answer is that at which R2 stored what was put', async () => {
    const storage = r2({ ...working, put: () => Promise.resolve({ ...object, uploaded: new Date(5) }) })
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({ outcome: 'committed', time: 5 })
  })

  const namespace = { get: () => null, put: () => undefined, list: () => ({ keys: [] }) }
  test.each([undefined, {}, 'bucket', namespace])('anything but a binding is refused: %j', (bucket) => {
    expect(() => r2(bucket as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
