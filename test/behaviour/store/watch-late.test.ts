/** Watches that are told late: after failed reads, several versions in one refresh(), and a store that was made anew. */
import { expect, test } from 'vitest'
import { openStore, systemClock, type Store, type WatchChange } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { until } from '../../support/until.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

test('what a watch cannot read is told later, with the next version or by itself', async () => {
  let isBroken = false
  const storage = faulty(memory(), ({ target, method }) =>
    isBroken && target === 'blobs' && method === 'get' ? 'error-before' : undefined,
  )
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const store = await openStore({ storage, name: 's', cacheBytes: 0, logger })
  store.put('a', 1)
  store.put('b', 1)
  await store.commit()
  await store.checkpoint()
  const calls: (readonly WatchChange[])[] = []
  store.watch({}, (changes) => void calls.push(changes))
  isBroken = true
  store.put('a', 2)
  await store.commit()
  await until(() => warnings.length > 0)
  expect(calls).toEqual([])
  isBroken = false
  store.put('b', 2)
  await store.commit()
  await until(() => calls.length === 2)
  expect(calls.flat().map(({ key, before, after }) => [key, before, after])).toEqual([
    ['a', 1, 2],
    ['b', 1, 2],
  ])
  await store.checkpoint()
  isBroken = true
  store.put('a', 3)
  await store.commit()
  await until(() => warnings.length > 1)
  isBroken = false
  await until(() => calls.length === 3)
  expect(calls[2]).toEqual([{ key: 'a', before: 2, after: 3, version: store.version }])
  await store.close()
})

test('a store that was destroyed and made anew is told as one change of everything', async () => {
  const storage = memory()
  const make = async (value: number): Promise<Store> => {
    const store = await openStore({ storage, name: 's' })
    store.put('same', 0)
    store.put('k', value)
    if (value === 1) store.put('gone', 1)
    await store.commit()
    return store
  }
  const first = await make(1)
  const follower = await openStore({ storage, name: 's', mode: 'follower' })
  const calls: (readonly WatchChange[])[] = []
  follower.watch({}, (changes) => void calls.push(changes))
  await first.close()
  await destroyStore({ storage, name: 's' })
  const second = await make(2)
  await expect(follower.refresh()).rejects.toThrow(code('NOT_FOUND'))
  await follower.reopen()
  await until(() => calls.length > 0)
  const { version } = second
  expect(calls).toEqual([
    [
      { key: 'gone', before: 1, version },
      { key: 'k', before: 1, after: 2, version },
    ],
  ])
  await follower.close()
  await second.close()
})

test('versions that come in one refresh() are each judged at their own time', async () => {
  let now = 1_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const storage = memory()
  const store = await openStore({ storage: { ...storage }, name: 's', clock })
  const follower = await openStore({ storage, name: 's', mode: 'follower' })
  const calls: (readonly WatchChange[])[] = []
  follower.watch({}, (changes) => void calls.push(changes))
  store.put('short', 1, { ttlMs: 100 })
  const one = await store.commit()
  now += 1000
  store.put('later', 1)
  const two = await store.commit()
  await follower.refresh()
  await until(() => calls.length > 1)
  expect(calls).toEqual([
    [{ key: 'short', after: 1, version: one.version }],
    [{ key: 'later', after: 1, version: two.version }],
  ])
  await follower.close()
  await store.close()
})

test('nothing is told twice when reading fails between two versions of one refresh()', async () => {
  let isBroken = false
  const inner = memory()
  const storage = faulty(inner, ({ target, method }) =>
    isBroken && target === 'blobs' && method === 'get' ? 'error-before' : undefined,
  )
  const store = await openStore({ storage: inner, name: 's' })
  for (const name of ['a', 'b', 'c']) store.put(name, 0)
  await store.commit()
  await store.checkpoint()
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const follower = await openStore({ storage, name: 's', mode: 'follower', cacheBytes: 0, logger })
  const told: unknown[] = []
  follower.watch({}, ([change]) => {
    told.push([change!.key, change!.before, change!.after])
    isBroken = told.length === 1
  })
  const put = async (name: string): Promise<void> => {
    store.put(name, 1)
    await store.commit()
  }
  await put('a')
  await put('b')
  await follower.refresh()
  await until(() => warnings.length > 0)
  expect(told).toEqual([['a', 0, 1]])
  isBroken = false
  await put('c')
  await follower.refresh()
  await until(() => told.length >= 3)
  expect(told).toEqual([
    ['a', 0, 1],
    ['b', 0, 1],
    ['c', 0, 1],
  ])
  await follower.close()
  await store.close()
})
