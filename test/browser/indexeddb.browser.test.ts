/** The promises of indexedDb() beyond the contract: what it touches, how it writes, and who races whom. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { openStore } from 'tidemark'
import { indexedDb } from 'tidemark/indexeddb'
import { verify } from 'tidemark/tools'
import { equalBytes } from '../../src/bytes/compare.js'
import { code, countOpenings, methodOf, text } from './injected.js'
import { collect, freshName } from './storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

afterEach(() => vi.restoreAllMocks())

/** Notes each transaction: its mode and its durability. */
function watchTransactions(): string[] {
  const seen: string[] = []
  const transaction = methodOf(IDBDatabase.prototype, 'transaction')
  vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementation(function (this: IDBDatabase, ...args) {
    seen.push(`${args[1]} ${args[2]?.durability ?? ''}`.trim())
    return Reflect.apply(transaction, this, args) as IDBTransaction
  })
  return seen
}

describe('indexedDb()', () => {
  test('opens nothing and asks nothing before the first call', async () => {
    const opened = countOpenings()
    const persist = vi.spyOn(StorageManager.prototype, 'persist')
    const storage = indexedDb(freshName(), { persist: true })
    const log = storage.log('s/0/id')
    expect(opened.count).toBe(0)
    expect(persist).not.toHaveBeenCalled()
    await log.read(1)
    expect(opened.count).toBe(1)
  })

  test('shares one connection among calls at once', async () => {
    const opened = countOpenings()
    const storage = indexedDb(freshName())
    await Promise.all(Array.from({ length: 20 }, (_, i) => storage.blobs.put(`s/0/id/seg/${i}`, text('x'))))
    expect(opened.count).toBe(1)
  })

  test.each([
    ['says yes', () => Promise.resolve(true)],
    ['fails', () => Promise.reject(new TypeError('no'))],
    ['never answers', () => new Promise<boolean>(() => {})],
    [
      'throws',
      (): never => {
        throw new TypeError('no')
      },
    ],
  ])('persist: asks once, and goes on when the browser %s', async (_, answer) => {
    const persist = vi.spyOn(StorageManager.prototype, 'persist').mockImplementation(answer)
    const storage = indexedDb(freshName(), { persist: true })
    await storage.blobs.put('s/0/id/seg/a', text('a'))
    await storage.blobs.put('s/0/id/seg/b', text('b'))
    expect(persist).toHaveBeenCalledOnce()
    await indexedDb(freshName()).logs('')
    expect(persist).toHaveBeenCalledOnce()
  })

  test('each call is one transaction, strict unless the log is relaxed', async () => {
    const storage = indexedDb(freshName())
    await storage.logs('')
    const seen = watchTransactions()
    const took = async (call: Promise<unknown>): Promise<string[]> => {
      await call
      return seen.splice(0)
    }
    const strict = storage.log('s/0/id')
    expect(await took(strict.append(1, text('1'), 1))).toEqual(['readwrite strict'])
    expect(await took(strict.sync())).toEqual([])
    expect(await took(strict.read(1))).toEqual(['readonly'])
    expect(await took(storage.anchor('s/0/anchor').swap(undefined, text('a'), 0))).toEqual(['readwrite strict'])
    expect(await took(storage.blobs.put('s/0/id/seg/a', new Uint8Array(1 << 20)))).toEqual(['readwrite strict'])
    expect(await took(storage.blobs.delete(['s/0/id/seg/a', 's/0/id/seg/b']))).toEqual(['readwrite strict'])
    expect(await took(storage.blobs.list(''))).toEqual(['readonly'])
    const relaxed = storage.log('s/0/id', { durability: 'relaxed' })
    expect(await took(relaxed.append(2, text('2'), 1))).toEqual(['readwrite relaxed'])
    expect(await took(relaxed.sync())).toEqual(['readwrite strict'])
    expect((await strict.list(1)).numbers).toEqual([1, 2])
  })

  /** The parts that are read from now on, request by request. */
  function watchParts(): number[][] {
    const loaded: number[][] = []
    const getAll = methodOf(IDBObjectStore.prototype, 'getAll')
    vi.spyOn(IDBObjectStore.prototype, 'getAll').mockImplementation(function (this: IDBObjectStore, ...args) {
      const request = Reflect.apply(getAll, this, args) as IDBRequest<unknown[]>
      request.addEventListener('success', () => {
        if (this.name === 'parts') loaded.push(request.result.map((part) => (part as Uint8Array).length))
      })
      return request
    })
    return loaded
  }

  test('a range read loads the parts that it touches, and a list loads none', async () => {
    const name = freshName()
    const bytes = new Uint8Array(5 << 20).map((_, i) => i >> 12)
    await indexedDb(name).blobs.put('s/0/id/seg/a', bytes)
    const loaded = watchParts()
    for (const [offset, length, parts] of [
      [0, 16 << 10, 1],
      [2_950_000, 16 << 10, 1],
      [(60 << 10) * 7 - 5, 10, 2],
      [(5 << 20) - 9, 9, 1],
      [0, 128 << 10, 3],
    ] as const) {
      const read = await indexedDb(name).blobs.get('s/0/id/seg/a', { range: { offset, length } })
      expect(equalBytes(read.bytes!, bytes.subarray(offset, offset + length))).toBe(true)
      expect(loaded.flat().length).toBe(parts)
      expect(Math.max(...loaded.flat())).toBeLessThan(64 << 10)
      loaded.length = 0
    }
    expect((await indexedDb(name).blobs.list('')).items).toEqual([{ name: 's/0/id/seg/a', size: 5 << 20 }])
    expect(loaded).toEqual([])
  })

  test.each([
    ['forwards', (i: number) => i],
    ['backwards', (i: number) => 149 - i],
    ['here and there', (i: number) => (i * 67) % 150],
  ])('whoever reads a blob %s soon has all of it, and reads no more of others', async (_, at) => {
    const storage = indexedDb(freshName())
    const bytes = new Uint8Array(150 * 20_000).map((_, i) => i >> 8)
    const range = (i: number) => ({ offset: i * 20_000, length: 20_000 })
    for (const blob of ['a', 'b', 'c']) await storage.blobs.put(`s/0/id/seg/${blob}`, bytes)
    const loaded = watchParts()
    const parts = Math.ceil(bytes.length / (60 << 10))
    for (let i = 0; i < 150; i++) {
      const read = await storage.blobs.get('s/0/id/seg/a', { range: range(at(i)) })
      // toEqual() takes its time for each byte.
      expect(equalBytes(read.bytes!, bytes.subarray(range(at(i)).offset, range(at(i)).offset + 20_000))).toBe(true)
    }
    expect(loaded.length).toBeLessThan(15)
    expect(loaded.flat().length).toBeLessThan(3 * parts)
    loaded.length = 0
    await storage.blobs.get('s/0/id/seg/b', { range: range(1) })
    expect(loaded.map(({ length }) => length)).toEqual([1])
    await storage.blobs.get('s/0/id/seg/c', { range: range(2) })
    expect(loaded.map(({ length }) => length)).toEqual([1, 1])
  })

  test('a blob that is put again leaves no part of the longer one before it', async () => {
    const storage = indexedDb(freshName())
    await storage.blobs.put('s/0/id/seg/a', new Uint8Array(300_000).fill(1))
    await storage.blobs.put('s/0/id/seg/a', new Uint8Array(70_000).fill(2))
    expect((await storage.blobs.get('s/0/id/seg/a')).bytes).toEqual(new Uint8Array(70_000).fill(2))
    const beyond = await storage.blobs.get('s/0/id/seg/a', { range: { offset: 60_000, length: 100_000 } })
    expect(beyond.bytes).toEqual(new Uint8Array(10_000).fill(2))
  })

  test('bytes in shared memory are stored as they are', async () => {
    const storage = indexedDb(freshName())
    const part = text('abcdef').subarray(2, 4)
    await storage.blobs.put('s/0/id/seg/a', part)
    part.fill(0)
    expect((await storage.blobs.get('s/0/id/seg/a')).bytes).toEqual(text('cd'))
  })

  test('an aborted signal ends a call before a transaction opens', async () => {
    const storage = indexedDb(freshName())
    const seen = watchTransactions()
    const signal = AbortSignal.abort()
    await expect(storage.log('s/0/id').append(1, text('1'), 1, { signal })).rejects.toThrow(code('ABORTED'))
    const controller = new AbortController()
    const opening = storage.log('s/0/id').append(1, text('1'), 1, { signal: controller.signal })
    controller.abort()
    await expect(opening).rejects.toThrow(code('ABORTED'))
    expect(seen.filter((transaction) => transaction.startsWith('readwrite'))).toEqual([])
  })

  test('a wrong name and wrong options are refused', () => {
    for (const name of ['', 5, undefined]) expect(() => indexedDb(name as never)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => indexedDb('x', { persists: true } as never)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => indexedDb('x', { persist: 'yes' as never })).toThrow(code('INVALID_ARGUMENT'))
    for (const clock of [null, {}])
      expect(() => indexedDb('x', { clock: clock as never })).toThrow(code('INVALID_ARGUMENT'))
  })

  test('a store is folded, merged, reopened and whole', async () => {
    const name = freshName()
    const options = { name: 's', checkpoint: { entries: 4 }, segmentBytes: 4096, blockBytes: 512, partitions: 2 }
    const store = await openStore({ storage: indexedDb(name), ...options })
    const wanted = new Map<number, string>()
    for (let i = 0; i < 300; i++) {
      store.put(i % 120, `${i} ${'x'.repeat(i)}`)
      wanted.set(i % 120, `${i} ${'x'.repeat(i)}`)
      await store.commit({ offsets: { i } })
    }
    await store.maintain()
    const { folds, compactions } = store.metrics()
    expect([folds > 10, compactions > 0]).toEqual([true, true])
    const { version } = store
    await store.close()
    const storage = indexedDb(name)
    const again = await openStore({ storage, name: 's', expectAtLeast: version })
    expect(again.offsets).toEqual({ i: 299 })
    expect(new Map(await collect(again.entries()))).toEqual(new Map([...wanted].sort(([a], [b]) => a - b)))
    await again.close()
    expect((await verify({ storage, name: 's' })).damages).toEqual([])
  })

  test('of two that create a store at once one does, and the other is told', async () => {
    for (let round = 0; round < 5; round++) {
      const name = freshName()
      const openings = [0, 1].map(() => openStore({ storage: indexedDb(name), name: 's', create: true }))
      const ends = await Promise.allSettled(openings)
      expect(ends.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1)
      for (const end of ends) if (end.status === 'fulfilled') await end.value.close()
      const store = await openStore({ storage: indexedDb(name), name: 's' })
      store.put('a', round)
      await store.commit()
      await store.close()
    }
  })

  test('of workers that append the same numbers each number is won once', async () => {
    const name = freshName()
    const COUNT = 100
    const workers = [0, 1, 2].map(() => new Worker(new URL('./racer.ts', import.meta.url), { type: 'module' }))
    const ask = (worker: Worker, message: object): Promise<unknown> =>
      new Promise((resolve, reject) => {
        worker.addEventListener('error', (event) => reject(new Error(event.message)), { once: true })
        worker.addEventListener('message', ({ data }) => resolve(data), { once: true })
        worker.postMessage(message)
      })
    await Promise.all(workers.map((worker, id) => ask(worker, { name, id })))
    const won = (await Promise.all(workers.map((worker) => ask(worker, { count: COUNT })))) as number[][]
    for (const worker of workers) worker.terminate()
    const all = won.flat().sort((a, b) => a - b)
    expect(all).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1))
    const log = indexedDb(name).log('s/0/id')
    for (const [id, numbers] of won.entries())
      for (const n of numbers) expect((await log.read(n)).bytes).toEqual(text(`${id} ${n}`))
    console.log(`workers won ${won.map((numbers) => numbers.length).join(', ')} of ${COUNT} numbers`)
  })
})
