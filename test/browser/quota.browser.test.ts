/** An origin without space: QUOTA, nothing half written, and all that needs no space goes on. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openStore, type Storage } from 'tidemark'

import { verify } from 'tidemark/tools'
import {
  code,
  failCompletion,
  failOpening,
  failRequests,
  inChromium,
  isChromium,
  methodOf,
  send,
  text,
} from './injected.js'
import { collect, freshName, ownedDb } from './storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

/** Chromium's own limit for the origin, in bytes; lifted by `undefined`. */
async function limit(quotaSize?: number): Promise<void> {
  if (!isChromium) return
  await send('Storage.overrideQuotaForOrigin', { origin: location.origin, quotaSize })
}

/** Chromium goes by what it knew of the free space a moment ago: what there is room for succeeds, but perhaps not at once. */
async function eventually<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await run()
    } catch (error) {
      if (tries === 120) throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/** Bytes that do not compress. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536))
  return bytes
}

/** An expectation of millions of bytes takes minutes. */
const same = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a?.length === b.length && a.every((byte, i) => byte === b[i])

async function entriesIn(storage: Storage): Promise<number> {
  const { paths } = await storage.logs('s/')
  return (await storage.log(paths[0]!).list(1)).numbers.length
}

/** Lets transactions that write parts, of what is larger than a small object, end for want of space. */
function refuseLarge(): { readonly refused: number } {
  const seen = { refused: 0 }
  const put = methodOf(IDBObjectStore.prototype, 'put')
  vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
    const request = Reflect.apply(put, this, args) as IDBRequest<IDBValidKey>
    if (this.name !== 'parts' || args[1] === undefined || (args[1] as [string, number])[1] > 0) return request
    request.addEventListener('success', () => {
      seen.refused++
      Object.defineProperty(this.transaction, 'error', { value: new DOMException('', 'QuotaExceededError') })
      this.transaction.abort()
    })
    return request
  })
  return seen
}

afterEach(async () => {
  vi.restoreAllMocks()
  await limit()
})

describe('indexedDb()', () => {
  inChromium(
    'its DevTools set the quota',
    'out of quota: QUOTA and nothing half written, changes are kept, reading and deleting go on',
    async () => {
      await send('Storage.clearDataForOrigin', { origin: location.origin, storageTypes: 'indexeddb' })
      await limit(3 << 20)
      // Chromium remembers how much was free, as long as somebody uses the databases of the origin and a little longer.
      await new Promise((resolve) => setTimeout(resolve, 4_000))
      const storage = ownedDb(freshName())
      const store = await eventually(() => openStore<string, Uint8Array>({ storage, name: 's' }))
      const value = noise(8 << 20)
      store.put('a', noise(1 << 19))
      const { version } = await eventually(() => store.commit())
      await eventually(() => storage.blobs.put('t/0/id/seg/a', noise(1 << 19)))

      await expect(storage.blobs.put('t/0/id/seg/b', value)).rejects.toThrow(code('QUOTA'))
      await expect(storage.log('t/0/id').append(1, value, 1)).rejects.toThrow(code('QUOTA'))
      await expect(storage.anchor('t/0/anchor').swap(undefined, value, 0)).rejects.toThrow(code('QUOTA'))
      expect((await storage.blobs.get('t/0/id/seg/b')).bytes).toBeUndefined()
      expect((await storage.blobs.list('t/')).items.map(({ name }) => name)).toEqual(['t/0/id/seg/a'])
      expect((await storage.log('t/0/id').list(1)).numbers).toEqual([])
      expect((await storage.anchor('t/0/anchor').read()).bytes).toBeUndefined()
      expect((await storage.blobs.get('t/0/id/seg/a')).bytes?.length).toBe(1 << 19)

      store.put('b', value)
      for (let i = 0; i < 2; i++) await expect(store.commit()).rejects.toThrow(code('QUOTA'))
      expect(store.version).toBe(version)
      expect(same(await store.get('b'), value)).toBe(true)
      expect((await store.get('a'))?.length).toBe(1 << 19)
      await storage.blobs.delete(['t/0/id/seg/a'])
      await store.maintain()

      await limit()
      await eventually(() => store.commit())
      await store.close()
      const again = await openStore<string, Uint8Array>({ storage, name: 's', expectAtLeast: version + 1 })
      expect(same(await again.get('b'), value)).toBe(true)
      await again.close()
      expect((await verify({ storage, name: 's' })).damages).toEqual([])
    },
  )

  test('an origin that is full: reading and collecting go on, although nothing can be folded', async () => {
    const storage = ownedDb(freshName())
    const options = { name: 's', retain: { versions: 1 }, graceMs: 10, checkpoint: { entries: 4 } }
    const store = await openStore<string, Uint8Array>({ storage, ...options })
    const large = noise(300_000)
    for (let i = 0; i < 8; i++) {
      store.put('a', large)
      await store.commit()
    }
    // An object that is larger than a small one finds no space; a small one finds some, as in Chromium at its limit.
    const full = refuseLarge()
    for (let i = 0; i < 3; i++) {
      store.put(`small ${i}`, noise(10_000))
      await store.commit()
    }
    const { version } = store
    store.put('b', large)
    for (let i = 0; i < 2; i++) await expect(store.commit()).rejects.toThrow(code('QUOTA'))
    await expect(store.checkpoint()).rejects.toThrow(code('QUOTA'))
    expect(full.refused).toBeGreaterThan(0)
    expect(store.version).toBe(version)
    expect(same(await store.get('a'), large)).toBe(true)
    const before = await entriesIn(storage)
    for (let i = 0; i < 500 && (await entriesIn(storage)) >= before; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      await store.maintain()
    }
    expect(await entriesIn(storage)).toBeLessThan(before)
    vi.restoreAllMocks()
    await store.commit()
    expect((await store.maintain()).folds).toBe(1)
    expect(same(await store.get('b'), large)).toBe(true)
    await store.close()
    expect((await verify({ storage, name: 's' })).damages).toEqual([])
  })

  test('an origin that is full: a store opens, and no try to fold or to commit leaves anything behind', async () => {
    const storage = ownedDb(freshName())
    const options = { storage, name: 's', segmentBytes: 20_000 }
    const store = await openStore<string, Uint8Array>({ ...options, checkpoint: { entries: 64 } })
    for (let i = 0; i < 8; i++) {
      store.put(`a${i}`, noise(10_000))
      await store.commit()
    }
    store.put('z', noise(300_000))
    await store.commit()
    await store.close()
    const listed = async (): Promise<unknown> =>
      (await storage.blobs.list('s/')).items.filter(({ name }) => !name.includes('/closed/'))
    const before = await listed()
    // The first segments of a fold find space, the one with the large value does not.
    const full = refuseLarge()
    const again = await openStore<string, Uint8Array>({ ...options, checkpoint: { entries: 4 } })
    expect(full.refused).toBeGreaterThan(0)
    expect((await again.get('z'))?.length).toBe(300_000)
    await expect(again.checkpoint()).rejects.toThrow(code('QUOTA'))
    again.put('y', noise(300_000))
    for (let i = 0; i < 2; i++) await expect(again.commit()).rejects.toThrow(code('QUOTA'))
    await again.close()
    expect(await listed()).toEqual(before)
    vi.restoreAllMocks()
    const later = await openStore<string, Uint8Array>({ ...options, checkpoint: { entries: 4 } })
    await later.checkpoint()
    expect((await later.get('z'))?.length).toBe(300_000)
    await later.close()
    expect((await verify({ storage, name: 's' })).orphans.count).toBe(0)
  })

  test.each([
    ['at a request', () => failRequests(1, 'QuotaExceededError')],
    ['at the end', () => void failCompletion(new DOMException('', 'QuotaExceededError'), { kept: false })],
  ])('no space %s: QUOTA, surely not written', async (_, inject) => {
    const storage = ownedDb(freshName())
    const log = storage.log('s/0/id')
    await log.append(1, text('1'), 1)
    inject()
    await expect(log.append(2, text('2'), 1)).rejects.toThrow(code('QUOTA'))
    vi.restoreAllMocks()
    expect((await log.list(1)).numbers).toEqual([1])
    inject()
    await expect(storage.blobs.put('s/0/id/seg/a', noise(200_000))).rejects.toThrow(code('QUOTA'))
    vi.restoreAllMocks()
    expect((await storage.blobs.list('')).items).toEqual([])
    expect(await log.append(2, text('2'), 1)).toEqual({ outcome: 'committed' })

    const store = await openStore<string, number>({ storage, name: 't' })
    inject()
    store.put('a', 1)
    await expect(store.commit()).rejects.toThrow(code('QUOTA'))
    vi.restoreAllMocks()
    await store.commit()
    expect(await collect(store.entries())).toEqual([['a', 1]])
    await store.close()
  })

  test('no space to open: QUOTA', async () => {
    failOpening('QuotaExceededError', { thrown: false })
    await expect(openStore({ storage: ownedDb(freshName()), name: 's' })).rejects.toThrow(code('QUOTA'))
  })

  test('no space for the stores of a new database: QUOTA, and it is made when there is', async () => {
    const storage = ownedDb(freshName())
    const put = methodOf(IDBObjectStore.prototype, 'put')
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      const request = Reflect.apply(put, this, args) as IDBRequest<IDBValidKey>
      if (this.name !== 'about') return request
      Object.defineProperty(this.transaction, 'error', { value: new DOMException('', 'QuotaExceededError') })
      this.transaction.abort()
      return request
    })
    await expect(storage.logs('')).rejects.toThrow(code('QUOTA'))
    vi.restoreAllMocks()
    expect((await storage.logs('')).paths).toEqual([])
  })
})
