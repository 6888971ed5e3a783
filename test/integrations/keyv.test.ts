/** Keyv on a store: its own published suite, and what the store promises beyond it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import keyvTestSuite, { keyvIteratorTests } from '@keyv/test-suite'
import Keyv, { type KeyvStoreAdapter } from 'keyv'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import * as vitest from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { KeyvTidemark } from 'tidemark/keyv'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'

const folder = mkdtempSync(join(tmpdir(), 'tidemark-keyv-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.each([
  ['memory', memory()],
  ['files', nodeFs(folder)],
])('the suite of Keyv on %s', async (_, storage) => {
  const store = await openStore<string, number>({ storage, name: 'suite' })
  afterAll(() => store.close())
  const adapter = (): KeyvStoreAdapter => new KeyvTidemark(store)
  keyvTestSuite(vitest as never, Keyv, adapter)
  keyvIteratorTests(vitest as never, Keyv, adapter)
})

describe('a Keyv on a store', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const store of open.splice(0)) await store.close()
  })
  const opened = async (storage: Storage = memory()): Promise<Store> => {
    const store = await openStore({ storage, name: 'cache' })
    open.push(store)
    return store
  }

  test('is there after the store was opened again', async () => {
    const storage = memory()
    const first = new Keyv({ store: new KeyvTidemark({ storage, name: 'cache' }) })
    expect(await first.set('a', { n: 1 })).toBe(true)
    await first.disconnect()
    const again = new Keyv({ store: new KeyvTidemark({ storage, name: 'cache' }) })
    expect(await again.get('a')).toEqual({ n: 1 })
    await again.disconnect()
  })

  test('leaves a store open that was handed in, and what that has buffered uncommitted', async () => {
    const store = await opened()
    store.put('mine', 1)
    const keyv = new Keyv({ store: new KeyvTidemark(store, { table: 'entries' }) })
    await keyv.set('a', 1)
    await keyv.clear()
    await keyv.set('b', 2)
    await keyv.disconnect()
    expect(await store.table('entries').toArray()).toEqual([['keyv:b', expect.stringContaining('2')]])
    await using snapshot = await store.snapshot()
    expect(await snapshot.get('mine')).toBeUndefined()
    store.discard()
  })

  test('sets many in one commit, says so of each, and deletes many in one', async () => {
    const store = await opened()
    const keyv = new Keyv({ store: new KeyvTidemark(store) })
    const commits = async (): Promise<number> => {
      let count = 0
      for await (const _ of store.versions()) count++
      return count
    }
    expect(await keyv.setMany([1, 2, 3].map((n) => ({ key: `k${n}`, value: n })))).toEqual([true, true, true])
    expect(await commits()).toBe(1)
    expect(await keyv.getMany(['k1', 'k9', 'k3'])).toEqual([1, undefined, 3])
    expect(await keyv.hasMany(['k1', 'k9', 'k3'])).toEqual([true, false, true])
    expect(await keyv.deleteMany(['k1', 'k2', 'k9'])).toBe(true)
    expect(await commits()).toBe(2)
    expect(await keyv.hasMany(['k1', 'k2', 'k3'])).toEqual([false, false, true])
  })

  test.each([{}, { fresh: true }])('deletes in shared mode what others have written, with %j', async (options) => {
    const backing = { storage: memory(), name: 'cache', mode: 'shared' } as const
    const [a, b] = [new KeyvTidemark(backing, options), new KeyvTidemark(backing, options)]
    await a.has('k')
    await b.set('k', 1)
    expect(await a.delete('k')).toBe(true)
    expect(await b.delete('k')).toBe(false)
    expect([await a.get('k'), await b.get('k')]).toEqual([undefined, undefined])
    await b.setMany(['x', 'y'].map((key) => ({ key, value: 1 })))
    expect(await a.deleteMany(['y', 'z', 'x'])).toBe(true)
    expect(await b.deleteMany(['x', 'y'])).toBe(false)
    expect(await b.hasMany(['x', 'y'])).toEqual([false, false])
    // Of two at once one finds it.
    await a.set('k', 2)
    const found = await Promise.all([a, b].map((keyv) => keyv.delete('k')))
    expect(found.filter(Boolean)).toHaveLength(1)
    await Promise.all([a.disconnect(), b.disconnect()])
  })

  test('has a time to live of the store, too', async () => {
    const store = await opened()
    const keyv = new Keyv({ store: new KeyvTidemark(store) })
    const table = store.table<string>('keyv')
    await keyv.set('short', 1, 60_000)
    await keyv.setMany([{ key: 'many', value: 1, ttl: 120_000 }])
    await keyv.set('long', 1)
    await keyv.set('gone', 1, -5)
    const [short, many, long] = await Promise.all(['short', 'many', 'long'].map((key) => table.ttl(`keyv:${key}`)))
    expect(short).toBeGreaterThan(0)
    expect(short).toBeLessThanOrEqual(60_000)
    expect(many).toBeGreaterThan(60_000)
    expect(long).toBeUndefined()
    expect(await keyv.get('gone')).toBeUndefined()
  })

  test('clears a namespace and nothing that only looks like it', async () => {
    const store = await opened()
    const adapter = new KeyvTidemark(store)
    await adapter.set('a:1', 1)
    await adapter.set('ab:1', 1)
    await adapter.set('a', 1)
    adapter.namespace = 'a'
    await adapter.clear()
    expect(await store.table('keyv').toArray()).toEqual([
      ['a', 1],
      ['ab:1', 1],
    ])
    adapter.namespace = undefined
    await adapter.clear()
    expect(await store.table('keyv').count()).toBe(0)
  })

  test('keeps values that Keyv does not serialize', async () => {
    const keyv = new Keyv({
      store: new KeyvTidemark(await opened()),
      serialize: undefined as never,
      deserialize: undefined as never,
    })
    const value = { at: new Date(5), bytes: Uint8Array.of(1, 2), big: 7n }
    await keyv.set('a', value)
    expect(await keyv.get('a')).toEqual(value)
  })

  test('tells of reads that fail, and refuses what is no store', async () => {
    const store = await opened()
    const keyv = new Keyv({ store: new KeyvTidemark(store) })
    const told: unknown[] = []
    keyv.on('error', (error) => told.push(error))
    await store.close()
    expect(await keyv.get('a')).toBeUndefined()
    expect(told).toEqual([expect.objectContaining({ code: 'CLOSED' })])
    expect(() => new KeyvTidemark({} as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(() => new KeyvTidemark(undefined as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})
