/** A store that was split and has lost the anchor of its root, or of a shard, goes on. */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { contents, keyIn, open, PARTITIONS, PLACES, write } from '../../support/sharded.js'

const place = (storage: Storage) => ({ storage, name: 's' })

/** A store of two shards, of which nothing older is left unless `keeps`. */
async function make(storage: Storage, keeps: boolean): Promise<[string, number][]> {
  const root = await open(storage)
  for (let i = 0; i < PARTITIONS; i++) root.put(keyIn(i), i)
  await root.commit()
  await root.close()
  await rescale(place(storage), { shards: 4 })
  await rescale(place(storage), { shards: 2 })
  for (const shard of [0, 4]) await write(storage, shard, (store) => store.put(keyIn(shard), 10))
  if (!keeps) {
    const folders = new Set(await living(storage))
    for (const path of (await storage.logs('s/')).paths) {
      if (!folders.has(path.split('/')[1]!)) await storage.log(path).destroy()
    }
  }
  const follower = await open(storage, { mode: 'follower' })
  const all = await contents(follower)
  await follower.close()
  return all
}

/** The folders of the shards that live. */
async function living(storage: Storage): Promise<string[]> {
  const { paths } = await storage.logs('s/')
  const heads = await Promise.all(
    paths.map(async (path) => ({
      folder: path.split('/')[1]!,
      head: (await storage.log(path).list(1)).numbers.at(-1)!,
    })),
  )
  return heads
    .toSorted((a, b) => b.head - a.head)
    .slice(0, 2)
    .map(({ folder }) => folder)
}

async function contentsIn(storage: Storage): Promise<[string, number][]> {
  const follower = await open(storage, { mode: 'follower' })
  const all = await contents(follower)
  await follower.close()
  return all
}

describe.each(PLACES)('on %s', (_, makeStorage) => {
  test.each([
    ['whose log is there', true],
    ['of which nothing is left', false],
  ])('a root %s is rebuilt from the other logs', async (__, keeps) => {
    const storage = makeStorage()
    const all = await make(storage, keeps)
    await storage.anchor('s/0/anchor').remove()
    expect(await contentsIn(storage)).toEqual(all)
    expect(await listStores(storage)).toEqual([{ name: 's', shards: [0, 4] }])
    expect((await verify(place(storage))).damages).toEqual([])
    const store = await open(storage, { shard: 5 })
    expect(store.shards).toMatchObject([{ first: 4, last: 7 }])
    store.put(keyIn(5), 50)
    await store.commit()
    // Who collects writes it down.
    await store.maintain()
    await store.close()
    expect((await storage.anchor('s/0/anchor').read()).bytes).toBeDefined()
    expect(new Map(await contentsIn(storage)).get(keyIn(5))).toBe(50)
    await rescale(place(storage), { shards: 1 })
    expect((await contentsIn(storage)).length).toBe(PARTITIONS)
    await destroyStore(place(storage))
    expect(await listStores(storage)).toEqual([])
  })

  test('the anchor of a shard is written anew when it is opened', async () => {
    const storage = makeStorage()
    const all = await make(storage, true)
    const [folder] = await living(storage)
    await storage.anchor(`s/${folder}/anchor`).remove()
    for (const shard of [0, 4]) await (await open(storage, { shard })).close()
    expect(await contentsIn(storage)).toEqual(all)
    expect((await storage.anchor(`s/${folder}/anchor`).read()).bytes).toBeDefined()
  })
})

test('a root is not made up where the other logs lack partitions', async () => {
  const storage = memory()
  await make(storage, false)
  const [folder] = await living(storage)
  await storage.anchor('s/0/anchor').remove()
  await storage.log(`s/${folder}/${folder}`).destroy()
  await expect(open(storage, { mode: 'follower' })).rejects.toMatchObject({ code: 'CORRUPT' })
  await expect(open(storage, { shard: 0 })).rejects.toMatchObject({ code: 'CORRUPT' })
  await expect(open(storage)).rejects.toMatchObject({ code: 'CORRUPT' })
})
