/** The life of a connection: closed by others, deleted beneath, dead, blocked, refused. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openStore, systemClock, type Clock, type Store } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import {
  code,
  countOpenings,
  failCompletion,
  failOpening,
  failRequests,
  hold,
  inChromium,
  methodOf,
  refuseTransactions,
  send,
  text,
} from './injected.js'
import { collect, deleteDatabase, freshName } from './storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

afterEach(() => vi.restoreAllMocks())

/** Ten seconds pass in a tenth of one. */
const hasty: Clock = { ...systemClock, timer: (ms, run, options) => systemClock.timer(ms / 100, run, options) }

const open = (name: string, options: object = {}): Promise<Store> =>
  openStore({ storage: indexedDb(name), name: 's', ...options })

describe('indexedDb()', () => {
  test('another connection that upgrades the database gets it at once, and this one says why it cannot go on', async () => {
    const name = freshName()
    const storage = indexedDb(name)
    await storage.blobs.put('s/0/id/seg/a', text('a'))
    const upgraded = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(name, 7)
      request.addEventListener('blocked', () => reject(new Error('blocked')))
      request.addEventListener('success', () => resolve(request.result))
    })
    upgraded.close()
    await expect(storage.blobs.get('s/0/id/seg/a')).rejects.toThrow(code('UNSUPPORTED_FORMAT'))
  })

  test('a database that is deleted beneath a store ends its handle as ROLLED_BACK; nothing goes into the empty one', async () => {
    const name = freshName()
    const storage = indexedDb(name)
    const store = await openStore<string, number>({ storage, name: 's' })
    store.put('a', 1)
    const { version } = await store.commit()
    await deleteDatabase(name)
    store.put('b', 2)
    await expect(store.commit()).rejects.toThrow(code('ROLLED_BACK'))
    await expect(store.commit()).rejects.toThrow(code('ROLLED_BACK'))
    expect((await storage.logs('')).paths).toEqual([])
    await expect(openStore({ storage, name: 's', expectAtLeast: version })).rejects.toThrow(code('ROLLED_BACK'))
    await expect(open(name, { expectAtLeast: version })).rejects.toThrow(code('ROLLED_BACK'))
    await store.close()
    const anew = await openStore<string, number>({ storage, name: 's' })
    anew.put('c', 3)
    await anew.commit()
    expect(await collect(anew.entries())).toEqual([['c', 3]])
    await anew.close()
  })

  test('what a store had read from a database that is deleted is never taken for absent', async () => {
    const name = freshName()
    const options = { name: 's', checkpoint: { entries: 2 }, cacheBytes: 0 }
    const store = await openStore<string, string>({ storage: indexedDb(name), ...options })
    const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`)
    for (const key of keys) {
      store.put(key, 'x'.repeat(2_000))
      if (key.endsWith('9')) await store.commit()
    }
    await store.checkpoint()
    const follower = await openStore({ storage: indexedDb(name), ...options, mode: 'follower' })
    const past = await store.snapshot()
    await deleteDatabase(name)
    const reads: [string, () => Promise<unknown>][] = [
      ['get', () => store.get('key 7')],
      ['entries', () => collect(store.entries())],
      ['of a snapshot', () => past.get('key 8')],
      ['of a follower', () => follower.get('key 9')],
    ]
    for (const [what, read] of reads) {
      const found = await read().catch((error: unknown) => error)
      if (found instanceof Error) expect(found).toMatchObject({ name: 'TidemarkError' })
      else expect([what, JSON.stringify(found)]).toEqual([what, expect.stringContaining('xxx') as string])
    }
    store.put('late', 'x')
    await expect(store.commit()).rejects.toThrow(code('ROLLED_BACK'))
    await expect(follower.refresh()).rejects.toMatchObject({ name: 'TidemarkError' })
    await Promise.all([past.close(), follower.close()])
    await store.close()
  })

  inChromium(
    'its DevTools clear them',
    'site data that is cleared closes the connection, and the next store says ROLLED_BACK',
    async () => {
      const name = freshName()
      const store = await open(name)
      store.put('a', 1)
      const { version } = await store.commit()
      await send('Storage.clearDataForOrigin', { origin: location.origin, storageTypes: 'indexeddb' })
      store.put('b', 2)
      await expect(store.commit()).rejects.toThrow(code('ROLLED_BACK'))
      await store.close()
      await expect(open(name, { expectAtLeast: version })).rejects.toThrow(code('ROLLED_BACK'))
    },
  )

  test.each([1, 2, 3])('a dead handle is dropped and opened again, %i times in a row', async (times) => {
    const storage = indexedDb(freshName())
    await storage.logs('')
    const opened = countOpenings()
    refuseTransactions(times)
    expect(await storage.log('s/0/id').append(1, text('1'), 1)).toEqual({ outcome: 'committed' })
    expect(opened.count).toBe(times)
    vi.restoreAllMocks()
    expect((await storage.log('s/0/id').read(1)).bytes).toEqual(text('1'))
  })

  test('a handle that stays dead is STORAGE_UNAVAILABLE, after three times', async () => {
    const storage = indexedDb(freshName())
    await storage.logs('')
    const opened = countOpenings()
    refuseTransactions(Infinity)
    const error = await storage.blobs.get('s/0/id/seg/a').catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    expect(opened.count).toBe(3)
    vi.restoreAllMocks()
    expect((await storage.blobs.get('s/0/id/seg/a')).bytes).toBeUndefined()
  })

  test('a connection that is closed in the middle of calls loses none of them', async () => {
    const name = freshName()
    const storage = indexedDb(name)
    const log = storage.log('s/0/id')
    let appended = 0
    let going = true
    const appending = (async () => {
      while (going) if ((await log.append(++appended, text(String(appended)), 1)).outcome !== 'committed') return false
      return true
    })()
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      await closeAll(name)
    }
    going = false
    expect(await appending).toBe(true)
    expect((await log.list(1)).numbers.length).toBe(appended)
  })

  test('an append that ends badly although it was committed is unknown, sent once, and settled by the log', async () => {
    const name = freshName()
    const log = indexedDb(name).log('s/0/id')
    await log.append(1, text('1'), 1)
    const seen = failCompletion(null, { kept: true })
    expect(await log.append(2, text('2'), 1)).toMatchObject({ outcome: 'unknown', settle: true })
    expect(seen.writes).toBe(1)
    expect((await log.read(2)).bytes).toEqual(text('2'))
    expect(await log.append(2, text('2'), 1)).toEqual({ outcome: 'lost' })
    vi.restoreAllMocks()

    const store = await open(freshName())
    store.put('a', 1)
    failCompletion(new DOMException('injected', 'UnknownError'), { kept: true })
    await store.commit()
    vi.restoreAllMocks()
    store.put('b', 2)
    failCompletion(new DOMException('injected', 'UnknownError'), { kept: false })
    await store.commit()
    expect((await collect(store.versions())).length).toBe(2)
    await store.close()
  })

  test('a swap that ends badly is unknown; a put is made again', async () => {
    const storage = indexedDb(freshName())
    await storage.logs('')
    const anchor = storage.anchor('s/0/anchor')
    failCompletion(null, { kept: true })
    expect(await anchor.swap(undefined, text('a'), 0)).toMatchObject({ outcome: 'unknown', settle: true })
    vi.restoreAllMocks()
    expect((await anchor.read()).bytes).toEqual(text('a'))
    const seen = failCompletion(null, { kept: false })
    await storage.blobs.put('s/0/id/seg/a', text('a'))
    expect(seen.writes).toBe(2)
    expect((await storage.blobs.get('s/0/id/seg/a')).bytes).toEqual(text('a'))
  })

  test('a write whose request fails surely did not happen, and is made again when that may help', async () => {
    const log = indexedDb(freshName()).log('s/0/id')
    await log.list(1)
    failRequests(1, 'UnknownError')
    expect(await log.append(1, text('1'), 1)).toEqual({ outcome: 'committed' })
    vi.restoreAllMocks()
    failRequests(Infinity, 'UnknownError')
    await expect(log.append(2, text('2'), 1)).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    vi.restoreAllMocks()
    expect((await log.list(1)).numbers).toEqual([1])
  })

  test('a value that can not be copied, in the middle of a write: nothing is written, and every failure is heard', async () => {
    const storage = indexedDb(freshName())
    await storage.blobs.put('s/0/id/seg/a', new Uint8Array(200_000))
    const put = methodOf(IDBObjectStore.prototype, 'put')
    let puts = 0
    vi.spyOn(IDBObjectStore.prototype, 'put').mockImplementation(function (this: IDBObjectStore, ...args) {
      if (this.name === 'parts' && puts++ === 2) throw new DOMException('no memory', 'DataCloneError')
      return Reflect.apply(put, this, args) as IDBRequest<IDBValidKey>
    })
    await expect(storage.blobs.put('s/0/id/seg/a', new Uint8Array(300_000))).rejects.toThrow(
      code('STORAGE_UNAVAILABLE'),
    )
    puts = 0
    const append = storage.log('s/0/id').append(1, new Uint8Array(300_000), 1)
    await expect(append).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    vi.restoreAllMocks()
    // Rejections that nobody hears are told in a turn of their own, and fail the run.
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await storage.blobs.get('s/0/id/seg/a')).bytes?.length).toBe(200_000)
    expect((await storage.log('s/0/id').list(1)).numbers).toEqual([])
  })

  test('an opening that another tab blocks is given up after ten seconds, and holds nobody when it comes late', async () => {
    const name = freshName()
    await indexedDb(name).logs('')
    const stubborn = await hold(name)
    const deleting = deleteDatabase(name)
    const storage = indexedDb(name, { clock: hasty })
    const error = await storage.logs('').catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    expect(String(error)).toContain('within 10 s')
    stubborn.close()
    await deleting
    expect((await storage.logs('')).paths).toEqual([])
    // Neither the connection that came late nor the one in use keeps this from happening.
    await deleteDatabase(name)
  })

  test.each([
    ['SecurityError', true, 'forbids storage'],
    ['SecurityError', false, 'forbids storage'],
    ['InvalidStateError', false, 'private windows'],
    ['NotAllowedError', false, 'private windows'],
  ])('an opening that is refused (%s) says so in a sentence', async (name, thrown, sentence) => {
    const seen = failOpening(name, { thrown })
    const error = await open(freshName()).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    expect(String(error)).toContain(sentence)
    expect(seen.calls).toBe(1)
  })

  test('an opening that fails for a while is tried again, at most three times', async () => {
    const passing = failOpening('UnknownError', { thrown: false, times: 2 })
    expect((await indexedDb(freshName()).logs('')).paths).toEqual([])
    expect(passing.calls).toBe(3)
    vi.restoreAllMocks()
    const lasting = failOpening('UnknownError', { thrown: false })
    await expect(indexedDb(freshName()).logs('')).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    expect(lasting.calls).toBe(4)
  })

  inChromium(
    'others have no need of the helper',
    'a helper database that somebody holds delays an opening by a second, and stays open in nobody',
    async () => {
      const name = freshName()
      const helper = `${name} (journal)`
      const stubborn = await hold(helper)
      // The first finds it blocked; what comes later waits behind what the first has begun.
      for (let i = 0; i < 3; i++) {
        const begun = performance.now()
        expect((await indexedDb(name).logs('')).paths).toEqual([])
        expect(performance.now() - begun).toBeLessThan(4_000)
      }
      stubborn.close()
      await deleteDatabase(helper)
      expect(await databaseNames()).not.toContain(helper)
    },
  )

  inChromium(
    'others have no need of the helper',
    'a tab that stalls while it makes the helper keeps nobody from opening',
    async () => {
      const name = freshName()
      const stalling = `indexedDB.open(${JSON.stringify(`${name} (journal)`)}, 1).onupgradeneeded = () => {
        postMessage('stalled')
        for (const begun = performance.now(); performance.now() - begun < 8_000; );
      }`
      const url = URL.createObjectURL(new Blob([stalling], { type: 'text/javascript' }))
      const worker = new Worker(url)
      try {
        await new Promise((resolve) => worker.addEventListener('message', resolve))
        const begun = performance.now()
        expect((await indexedDb(name).logs('')).paths).toEqual([])
        expect(performance.now() - begun).toBeLessThan(4_000)
      } finally {
        worker.terminate()
        URL.revokeObjectURL(url)
      }
      await deleteDatabase(`${name} (journal)`)
    },
  )

  inChromium(
    'others have no need of the helper',
    'a database of another program that has the name of the helper is left alone',
    async () => {
      const name = freshName()
      const helper = `${name} (journal)`
      const request = indexedDB.open(helper, 1)
      request.addEventListener('upgradeneeded', () => request.result.createObjectStore('notes'))
      await new Promise((resolve) => request.addEventListener('success', resolve))
      request.result.close()
      await indexedDb(name).logs('')
      expect(await databaseNames()).toContain(helper)
      await deleteDatabase(helper)
      await indexedDb(name).logs('')
      expect(await databaseNames()).not.toContain(helper)
    },
  )

  test.each([undefined, null])('without IndexedDB (%s) the sentence says so', async (absent) => {
    vi.spyOn(globalThis, 'indexedDB', 'get').mockReturnValue(absent as never)
    const error = await open(freshName()).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: false })
    expect(String(error)).toContain('There is no IndexedDB here')
  })

  test('a database of another program is left alone', async () => {
    const name = freshName()
    ;(await hold(name)).close()
    await expect(indexedDb(name).logs('')).rejects.toThrow(code('INVALID_ARGUMENT'))
  })
})

/** Closes every connection to the database: an upgrade is begun, for which all others have to close, and called off. */
async function closeAll(name: string): Promise<void> {
  const request = indexedDB.open(name, 2)
  await new Promise<void>((resolve) => {
    request.addEventListener('upgradeneeded', () => request.transaction!.abort())
    request.addEventListener('error', () => resolve())
  })
}

async function databaseNames(): Promise<(string | undefined)[]> {
  return (await indexedDB.databases()).map((database) => database.name)
}
