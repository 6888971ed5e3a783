import { expect, test } from 'vitest'
import { memory } from '../../../adapters/memory/index.js'
import type { Storage } from '../../../src/storage/contract.js'
import type { ObjectStore } from '../../../src/storage/object-store.js'
import { overObjects } from '../../../src/storage/objects.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Objects in a sorted list, and the names of the requests that were made. */
function recorded(): { storage: Storage; keys: string[]; requests: string[] } {
  const keys: string[] = []
  const requests: string[] = []
  const objects: ObjectStore = {
    create(key) {
      requests.push(`create ${key}`)
      keys.push(key)
      return Promise.resolve({ outcome: 'committed' })
    },
    swap: () => Promise.resolve({ outcome: 'committed' }),
    put(key) {
      keys.push(key)
      return Promise.resolve({})
    },
    get: () => Promise.resolve({ bytes: undefined, token: undefined }),
    list(prefix, { after = '', limit }) {
      requests.push(`list after ${after}`)
      const names = keys.toSorted().filter((key) => key.startsWith(prefix) && key > after)
      const items = names.slice(0, limit).map((name) => ({ name, size: 0 }))
      return Promise.resolve({ items, more: names.length > limit })
    },
    delete(names) {
      requests.push(`delete ${names.length}`)
      for (const name of names) keys.splice(keys.indexOf(name), 1)
      return Promise.resolve({})
    },
  }
  return { storage: overObjects(objects, { name: 'recorded', trim: 'writer' }), keys, requests }
}

const entry = (path: string, n: number): string => `${path}/log/${String(n).padStart(16, '0')}`

test('entries are named by 16 digits, so that the order of names is the order of numbers', async () => {
  const { storage, keys } = recorded()
  const log = storage.log('orders/0/id')
  for (const n of [1, 9, 10, Number.MAX_SAFE_INTEGER]) await log.append(n, bytes('x'), 1)
  expect(keys).toEqual([
    'orders/0/id/log/0000000000000001',
    'orders/0/id/log/0000000000000009',
    'orders/0/id/log/0000000000000010',
    'orders/0/id/log/9007199254740991',
  ])
  expect((await log.list(9)).numbers).toEqual([9, 10, Number.MAX_SAFE_INTEGER])
})

test('logs skips over the entries and blobs of a log instead of reading all their names', async () => {
  const { storage, keys, requests } = recorded()
  for (const id of ['one', 'two']) {
    for (let n = 1; n <= 3000; n++) keys.push(entry(`orders/0/${id}`, n), `orders/0/${id}/seg/${n}`)
  }
  keys.push('orders/0/anchor', entry('orders/1/one', 7), entry('other/0/id', 1), entry('orders/0/one-two', 1))
  expect((await storage.logs('orders/')).paths).toEqual([
    'orders/0/one',
    'orders/0/one-two',
    'orders/0/two',
    'orders/1/one',
  ])
  expect(requests.length).toBe(3)
})

test('logs finds a log that begins in the middle of a page, behind blobs of a log without entries', async () => {
  const { storage, keys } = recorded()
  for (let n = 0; n < 1500; n++) keys.push(`orders/0/a/seg/${n}`)
  keys.push(entry('orders/0/b', 1), entry('orders/0/b', 2), entry('orders/0/b0', 1), entry('orders/0/b-', 1))
  for (let n = 0; n < 1500; n++) keys.push(`orders/0/b/seg/${n}`)
  expect((await storage.logs('')).paths).toEqual(['orders/0/b', 'orders/0/b-', 'orders/0/b0'])
})

test('a list of blobs reads no page of entries to skip them', async () => {
  const { storage, keys, requests } = recorded()
  for (let n = 1; n <= 5000; n++) keys.push(entry('orders/0/id', n))
  keys.push('orders/0/id/pins/p', 'orders/0/id/seg/s', 'orders/0/anchor')
  const { items, more } = await storage.blobs.list('orders/')
  expect(items.map((item) => item.name)).toEqual(['orders/0/id/pins/p', 'orders/0/id/seg/s'])
  expect(more).toBe(false)
  expect(requests.length).toBe(2)
})

test('a page of a list of blobs is one request, and says whether others follow', async () => {
  const { storage, keys, requests } = recorded()
  for (let n = 1000; n < 3500; n++) keys.push(`orders/0/id/seg/${n}`)
  const seen: string[] = []
  for (let after: string | undefined; ; after = seen.at(-1)) {
    const { items, more } = await storage.blobs.list('orders/0/id/seg/', { after })
    seen.push(...items.map((item) => item.name))
    if (!more) break
  }
  expect(seen).toEqual(keys)
  expect(requests.length).toBe(3)
})

test('destroy and large deletes go in requests of at most 1,000 names', async () => {
  const { storage, keys, requests } = recorded()
  for (let n = 1; n <= 2500; n++) keys.push(entry('orders/0/id', n))
  keys.push('orders/0/id/seg/s')
  await storage.log('orders/0/id').destroy()
  expect(keys).toEqual(['orders/0/id/seg/s'])
  expect(requests.filter((r) => r.startsWith('delete'))).toEqual(['delete 1000', 'delete 1000', 'delete 500'])
})

test('memory: two handles and two stores share one state, two memories share nothing', async () => {
  const storage = memory()
  await storage.log('orders/0/id').append(1, bytes('one'), 1)
  expect((await storage.log('orders/0/id').append(1, bytes('two'), 1)).outcome).toBe('lost')
  expect((await memory().log('orders/0/id').append(1, bytes('two'), 1)).outcome).toBe('committed')
})

test('memory: answers have a time only when there is a clock', async () => {
  expect('time' in (await memory().blobs.put('a', bytes('a')))).toBe(false)
  const clock = { now: () => 1234 } as Parameters<typeof memory>[0] extends { clock?: infer C } | undefined ? C : never
  const storage = memory({ clock })
  expect((await storage.blobs.put('a', bytes('a'))).time).toBe(1234)
  expect((await storage.blobs.list('')).items).toEqual([{ name: 'a', size: 1, time: 1234 }])
})
