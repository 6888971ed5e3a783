/** Splitting and merging a store: what it held stays, writers go on, and nothing is copied. */
import { openStore, isTidemarkError, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { byEntry } from '../../support/by-entry.js'
import { temporaryFolder } from '../../support/storages.js'

const PLACES: readonly (readonly [string, () => Storage])[] = [
  ['memory', () => memory()],
  ['a bucket, whose entries are read one by one', () => bucket(memory())],
  ['files', () => nodeFs(temporaryFolder())],
]
const name = 's'

function bucket(storage: Storage): Storage {
  return { ...storage, log: (...of) => byEntry(storage.log(...of)) }
}

async function fill(storage: Storage, keys: number): Promise<Map<string, number>> {
  const store = await openStore<string, number>({ storage, name, partitions: 8, mode: 'exclusive' })
  const all = new Map<string, number>()
  for (let i = 0; i < keys; i++) {
    store.put(`k${i}`, i)
    all.set(`k${i}`, i)
    if (i % 10 === 9) await store.commit()
    if (i === Math.floor(keys / 2)) await store.checkpoint()
  }
  await store.commit({ offsets: { clicks: keys } })
  await store.close()
  return all
}

/** All that the shards hold together. */
async function readShards(storage: Storage, shards: readonly { first: number }[]): Promise<Map<string, number>> {
  const all = new Map<string, number>()
  for (const { first } of shards) {
    const store = await openStore<string, number>({ storage, name, shard: first, mode: 'exclusive' })
    for await (const [key, value] of store.entries()) {
      expect(all.has(key)).toBe(false)
      all.set(key, value)
    }
    await store.close()
  }
  return all
}

describe.each(PLACES)('on %s', (_, make) => {
  test('a store that is split and merged holds what it held', async () => {
    const storage = make()
    const all = await fill(storage, 60)
    for (const shards of [4, 3, 8, 1]) {
      const now = await rescale({ storage, name }, { shards })
      expect(now.length).toBe(shards)
      expect(now[0]!.first).toBe(0)
      expect(now.at(-1)!.last).toBe(7)
      expect(await readShards(storage, now)).toEqual(all)
    }
    const store = await openStore<string, number>({ storage, name, mode: 'exclusive' })
    expect(store.offsets).toEqual({ clicks: 60 })
    await store.close()
  })

  test('each shard is written on its own, and what it wrote is there after a merge', async () => {
    const storage = make()
    const all = await fill(storage, 40)
    const shards = await rescale({ storage, name }, { cuts: [2, 5] })
    const stores: Store<string, number>[] = []
    for (const { first } of shards)
      stores.push(await openStore<string, number>({ storage, name, shard: first, mode: 'exclusive' }))
    for (let i = 0; i < 60; i++) {
      for (const store of stores) {
        try {
          store.put(`k${i}`, i + 1000)
          all.set(`k${i}`, i + 1000)
        } catch (error) {
          expect(isTidemarkError(error) && error.code).toBe('INVALID_ARGUMENT')
        }
      }
      if (i % 7 === 0) for (const store of stores) await store.commit()
    }
    for (const store of stores) {
      await store.commit()
      await store.close()
    }
    expect(await readShards(storage, shards)).toEqual(all)
    expect(await readShards(storage, await rescale({ storage, name }, { shards: 1 }))).toEqual(all)
  })

  test('a writer that meets the seal is fenced, keeps its changes, and goes on after reopen()', async () => {
    const storage = make()
    await fill(storage, 20)
    const store = await openStore<string, number>({ storage, name, shard: 0, mode: 'exclusive' })
    const before = store.version
    await rescale({ storage, name }, { shards: 2 })
    const own: string[] = []
    for (let i = 0; i < 30; i++) store.put(`n${i}`, i)
    await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    expect(await store.get('n3')).toBe(3)
    await store.reopen()
    for (let i = 0; i < 30; i++) {
      try {
        store.put(`n${i}`, i)
        own.push(`n${i}`)
      } catch {
        // Of the other shard.
      }
    }
    expect(own.length).toBeGreaterThan(0)
    expect(own.length).toBeLessThan(30)
    const { version } = await store.commit()
    expect(version).toBeGreaterThan(before)
    await store.close()
  })

  test('rescaling writes no segment', async () => {
    const { storage, totals } = counted(make())
    const all = await fill(storage, 60)
    const before = totals()
    let shards = await rescale({ storage, name }, { shards: 8 })
    shards = await rescale({ storage, name }, { shards: 3 })
    expect(totals() - before).toBe(0)
    expect(await readShards(storage, shards)).toEqual(all)
  })
})

test('a store of several shards is not opened for writing without one of them', async () => {
  const storage = memory()
  await fill(storage, 10)
  await rescale({ storage, name }, { shards: 4 })
  await expect(openStore({ storage, name })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'Store "s" has 4 shards (0-1, 2-3, 4-5, 6-7): name one by shard, use mode "follower", or joinGroup().',
  })
  await expect(openStore({ storage, name, shard: 8 })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

/** How many blobs were put. */
function counted(storage: Storage): { readonly storage: Storage; readonly totals: () => number } {
  let puts = 0
  const { blobs } = storage
  const counting = {
    ...blobs,
    put: (...call: Parameters<typeof blobs.put>) => {
      if (call[0].includes('/seg/')) puts++
      return blobs.put(...call)
    },
  }
  const proxy = new Proxy(storage, { get: (of, key) => (key === 'blobs' ? counting : Reflect.get(of, key, of)) })
  return { storage: proxy, totals: () => puts }
}
