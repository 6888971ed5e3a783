/** The storage that state libraries ask for, under the libraries themselves. */
import { createAsyncStoragePersister } from '@tanstack/query-async-storage-persister'
import type { PersistedClient } from '@tanstack/query-persist-client-core'
import { createPersistoid, getStoredState, purgeStoredState } from 'redux-persist'
import { afterEach, expect, test } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { webStorage } from 'tidemark/web-storage'
import { createJSONStorage, persist } from 'zustand/middleware'
import { createStore } from 'zustand/vanilla'
import { until } from '../../support/until.js'

const stores: Store[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})

async function open(storage: Storage = memory()): Promise<Store> {
  const store = (await openStore({ storage, name: 's', mode: 'shared', logger: false })) as Store
  stores.push(store)
  return store
}

test('keeps texts, in a table of its own, durably when its promise resolves', async () => {
  const storage = memory()
  const store = await open(storage)
  const items = webStorage(store)
  expect(await items.getItem('a')).toBe(null)
  await items.setItem('a', '')
  await items.setItem('b', 'B')
  await items.removeItem('b')
  await items.removeItem('b')
  expect([await items.getItem('a'), await items.getItem('b'), await store.count()]).toEqual(['', null, 0])
  const others = webStorage(await open(storage), { table: 'others' })
  expect(await others.getItem('a')).toBe(null)
  // With options it opens a store of its own, and closes it.
  const own = webStorage({ storage, name: 's', mode: 'shared' })
  expect(await own.getItem('a')).toBe('')
  await own.close()
  await items.close()
  await items.setItem('c', 'still open')
  expect(() => webStorage(undefined as never)).toThrow('open store')
})

test('refuses what is no text, and keeps what was there', async () => {
  const items = webStorage(await open())
  await items.setItem('a', 'A')
  for (const value of [5, null, undefined, {}, Uint8Array.of(1)]) {
    const refused = items.setItem('a', value as never)
    await expect(refused).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('a string'),
    })
  }
  expect(await items.getItem('a')).toBe('A')
})

test('zustand’s persist keeps its state in it', async () => {
  const storage = memory()
  const make = async () => {
    const items = webStorage(await open(storage))
    return createStore<{ n: number }>()(
      persist(() => ({ n: 0 }), { name: 'app', storage: createJSONStorage(() => items) }),
    )
  }
  const first = await make()
  await until(() => first.persist.hasHydrated())
  first.setState({ n: 3 })
  const items = webStorage(await open(storage))
  let text: string | null = null
  await until(() => {
    void items.getItem('app').then((found) => (text = found))
    return text !== null
  })
  const second = await make()
  await until(() => second.persist.hasHydrated())
  expect(second.getState()).toEqual({ n: 3 })
})

test('redux-persist keeps its state in it', async () => {
  const storage = webStorage(await open())
  const config = { key: 'root', storage, version: 1, throttle: 0 } as Parameters<typeof getStoredState>[0]
  expect(await getStoredState(config)).toBe(undefined)
  const persistoid = createPersistoid(config)
  persistoid.update({ user: { name: 'Ada' }, visits: 3 })
  await persistoid.flush()
  expect(await getStoredState(config)).toEqual({ user: { name: 'Ada' }, visits: 3 })
  await purgeStoredState(config)
  expect(await getStoredState(config)).toBe(undefined)
})

test('TanStack Query keeps its cache in it', async () => {
  const storage = webStorage(await open())
  const persister = createAsyncStoragePersister({ storage, throttleTime: 0 })
  const client: PersistedClient = { timestamp: 7, buster: '', clientState: { mutations: [], queries: [] } }
  expect(await persister.restoreClient()).toBe(undefined)
  await persister.persistClient(client)
  let restored: PersistedClient | undefined
  await until(() => {
    void Promise.resolve(persister.restoreClient()).then((found) => (restored = found))
    return restored !== undefined
  })
  expect(restored).toEqual(client)
  await persister.removeClient()
  expect(await persister.restoreClient()).toBe(undefined)
})
