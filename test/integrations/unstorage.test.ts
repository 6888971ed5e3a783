/** unstorage on a store: what the tests of its own drivers ask for, and what the store promises beyond it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createStorage,
  prefixStorage,
  restoreSnapshot,
  snapshot,
  type Driver,
  type Storage as Unstorage,
} from 'unstorage'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { tidemarkDriver } from 'tidemark/unstorage'

const folder = mkdtempSync(join(tmpdir(), 'tidemark-unstorage-'))
let made = 0
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.each<[name: string, make: () => Storage]>([
  ['memory', memory],
  ['files', () => nodeFs(join(folder, `${made++}`))],
])('a driver of unstorage on %s', (_, make) => {
  let driver: Driver
  let storage: Unstorage
  beforeEach(() => {
    driver = tidemarkDriver({ storage: make(), name: 'app' })
    storage = createStorage({ driver })
  })
  afterEach(() => storage.dispose())

  test('gets, sets, has and removes items', async () => {
    expect(await storage.hasItem('foo:bar')).toBe(false)
    expect(await storage.getItem('foo:bar')).toBe(null)
    await storage.setItem('foo:bar', 'test_data')
    await storage.setItem('number', 7)
    await storage.setItem('object', { a: [1] })
    await storage.setItem('nothing', null)
    expect(await storage.hasItem('foo/bar')).toBe(true)
    expect(await storage.getItem('foo:bar')).toBe('test_data')
    expect(await storage.getItem('number')).toBe(7)
    expect(await storage.getItem('object')).toEqual({ a: [1] })
    expect(await storage.getItem('nothing')).toBe(null)
    await storage.setItem('foo:bar', 'updated')
    expect(await storage.getItem('foo:bar')).toBe('updated')
    await storage.removeItem('foo:bar')
    await storage.setItem('number', undefined as never)
    expect(await storage.hasItem('foo:bar')).toBe(false)
    expect(await storage.getItem('number')).toBe(null)
  })

  test('lists keys, under a base and to a depth', async () => {
    const keys = ['s1:a', 's1:b', 's1:s2:c', 's10:a', 'd']
    for (const key of keys) await storage.setItem(key, key)
    expect((await storage.getKeys()).toSorted()).toEqual(keys.toSorted())
    expect(await storage.getKeys('s1')).toEqual(['s1:a', 's1:b', 's1:s2:c'])
    expect(await storage.getKeys('s1:s2')).toEqual(['s1:s2:c'])
    expect(await storage.getKeys(undefined, { maxDepth: 0 })).toEqual(['d'])
    expect(await storage.getKeys('s1', { maxDepth: 1 })).toEqual(['s1:a', 's1:b'])
    expect(await prefixStorage(storage, 's1').getKeys()).toEqual(['a', 'b', 's2:c'])
  })

  test('gets and sets many items', async () => {
    await storage.setItems<string | object>([
      { key: 'i:1', value: 'one' },
      { key: 'i:2', value: { n: 2 } },
    ])
    expect(await storage.getItems(['i:1', 'i:2', { key: 'i:3' }])).toEqual([
      { key: 'i:1', value: 'one' },
      { key: 'i:2', value: { n: 2 } },
      { key: 'i:3', value: null },
    ])
  })

  test('keeps raw items as they are', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    await storage.setItemRaw('raw', bytes)
    const read = await storage.getItemRaw<Uint8Array>('raw')
    expect(read).toEqual(bytes)
    read!.fill(0)
    expect(await storage.getItemRaw('raw')).toEqual(bytes)
    const value = { at: new Date(5), tags: new Set(['a']) }
    await storage.setItemRaw('value', value)
    expect(await storage.getItemRaw('value')).toEqual(value)
    await storage.setItemRaw('text', new TextEncoder().encode('"é"'))
    expect(await storage.getItem('text')).toBe('é')
    expect(await storage.getItemRaw('none')).toBe(null)
  })

  test('has meta of its own beside what is set', async () => {
    await storage.setItem('a', 1, { ttl: 60 })
    await storage.setItem('b', 1, { ttl: 0 })
    await storage.setItems([{ key: 'c', value: 1, options: { ttl: 120 } }])
    await storage.setMeta('a', { mtime: new Date(7) })
    const { ttl, mtime } = await storage.getMeta('a')
    expect(ttl).toBeGreaterThan(0)
    expect(ttl).toBeLessThanOrEqual(60)
    expect(mtime).toEqual(new Date(7))
    expect((await storage.getMeta('c')).ttl).toBeGreaterThan(60)
    expect({ ...(await storage.getMeta('b')) }).toEqual({})
    expect(await storage.getKeys()).toEqual(['a', 'b', 'c'])
    await storage.removeItem('a', { removeMeta: true })
    expect({ ...(await storage.getMeta('a')) }).toEqual({})
  })

  test('clears everything, or what is under a base', async () => {
    for (const key of ['a:1', 'a:2', 'ab:1', 'c']) await storage.setItem(key, 1)
    // unstorage itself asks a driver for a base only below the driver's mount.
    await driver.clear!('a:', {})
    expect(await storage.getKeys()).toEqual(['ab:1', 'c'])
    await storage.clear()
    expect(await storage.getKeys()).toEqual([])
  })

  test('takes part in mounts and snapshots', async () => {
    const whole = createStorage()
    whole.mount('disk', driver)
    await whole.setItem('disk:a:b', 'x')
    await whole.setItem('other', 'y')
    expect(await driver.getItem('a:b')).toBe('x')
    expect((await whole.getKeys()).toSorted()).toEqual(['disk:a:b', 'other'])
    const taken = await snapshot(whole, 'disk')
    await whole.clear()
    await restoreSnapshot(whole, taken, 'disk')
    expect(await whole.getKeys()).toEqual(['disk:a:b'])
  })

  test('tells of changes until it is asked to stop', async () => {
    const told: string[] = []
    const unwatch = await storage.watch((event, key) => told.push(`${event} ${key}`))
    await storage.setItem('s:a', 1)
    await storage.removeItem('s:a')
    await expect.poll(() => told).toEqual(['update s:a', 'remove s:a'])
    await unwatch()
    await storage.setItem('s:b', 1)
    const again: string[] = []
    await storage.watch((event, key) => again.push(`${event} ${key}`))
    await storage.setItem('s:c', 1)
    await expect.poll(() => again).toEqual(['update s:c'])
    expect(told).toHaveLength(2)
  })
})

describe('a driver of unstorage', () => {
  test('keeps its items when it is disposed of and made again, and watches end with it', async () => {
    const place = memory()
    const first = createStorage({ driver: tidemarkDriver({ storage: place, name: 'app' }) })
    const told: string[] = []
    await first.watch((event, key) => told.push(`${event} ${key}`))
    await first.setItem('a', 1)
    await expect.poll(() => told).toEqual(['update a'])
    await first.dispose()
    const again = createStorage({ driver: tidemarkDriver({ storage: place, name: 'app' }) })
    expect(await again.getItem('a')).toBe(1)
    await again.dispose()
  })

  test('leaves a store open that was handed in, and tells of what others write to its table', async () => {
    const store = await openStore({ storage: memory(), name: 'app' })
    const driver = tidemarkDriver(store, { table: 'items' })
    const storage = createStorage({ driver })
    const told: string[] = []
    await storage.watch((event, key) => told.push(`${event} ${key}`))
    await store.table('items').set('x', '1')
    await store.table('others').set('y', '1')
    await store.table('items').set('z', '1')
    await expect.poll(() => told).toEqual(['update x', 'update z'])
    expect(await driver.getInstance()).toBe(store)
    await storage.dispose()
    expect(await store.table('items').count()).toBe(2)
    await store.close()
    expect(() => tidemarkDriver(undefined as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
