/** Tools on a store that was split: it is listed, verified and destroyed whole. */
import { openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, worldOver, type Way } from 'tidemark/testing'
import { destroyStore, listStores } from 'tidemark/tools'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { intercept } from '../../../src/storage/intercept.js'
import { thinned } from '../../support/extent.js'
import { keyIn, open, PARTITIONS, PLACES, write } from '../../support/sharded.js'

const place = (storage: Storage) => ({ storage, name: 's' })

/** A store that was split and merged, with something in each shard; and the anchors that were written. */
async function splitIn(storage: Storage): Promise<void> {
  const root = await open(storage)
  for (let i = 0; i < PARTITIONS; i++) root.put(keyIn(i), i)
  await root.commit()
  await root.checkpoint()
  await root.tag('before')
  await root.close()
  await rescale(place(storage), { shards: 4 })
  await write(storage, 0, (store) => store.put(keyIn(0), 10))
  await rescale(place(storage), { shards: 2 })
  await write(storage, 7, (store) => store.put(keyIn(7), 70))
}

/** A storage that remembers the names of anchors. */
function withAnchors(storage: Storage): { readonly storage: Storage; readonly left: () => Promise<string[]> } {
  const names = new Set<string>()
  const watched = intercept(storage, async (call, run) => {
    if (call.method === 'swap') names.add(call.path)
    return run(call.signal)
  })
  const left = async (): Promise<string[]> => {
    const there: string[] = []
    for (const name of names) if ((await storage.anchor(name).read()).bytes) there.push(name)
    const { items } = await storage.blobs.list('')
    return [...there, ...items.map(({ name }) => name), ...(await storage.logs('')).paths]
  }
  return { storage: watched, left }
}

describe.each(PLACES)('on %s', (_, make) => {
  test('it is one store, by the first partitions of its shards', async () => {
    const storage = make()
    await splitIn(storage)
    expect(await listStores(storage)).toEqual([{ name: 's', shards: [0, 4] }])
  })

  test('it is destroyed with all that it ever had', async () => {
    const { storage, left } = withAnchors(make())
    await splitIn(storage)
    expect((await left()).filter((name) => name.endsWith('/anchor')).length).toBe(7)
    await destroyStore(place(storage))
    expect(await left()).toEqual([])
    expect(await listStores(storage)).toEqual([])
    await expect(openStore({ ...place(storage), create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

test('a destruction that is cut off anywhere is finished by the next one, and nobody opens what is left', async () => {
  const WAYS: readonly Way[] = ['never-sent', 'reply-lost']
  let world!: ReturnType<typeof withAnchors>
  const { points } = await cuts({
    async makeWorld(decide) {
      world = withAnchors(memory())
      await splitIn(world.storage)
      return worldOver(() => world.storage)(decide)
    },
    scenario: (storage) => destroyStore(place(storage)),
    async verify(storage, _, cut) {
      const found = await listStores(storage)
      const isGone = found.length === 0
      if (!isGone && found[0]!.incomplete) {
        for (const shard of [0, 5]) {
          const opening = openStore({ ...place(storage), shard, create: false, mode: 'follower' })
          await expect(opening).rejects.toMatchObject({ code: 'CORRUPT' })
        }
      }
      if (!isGone) await destroyStore(place(storage))
      expect(await world.left(), cut?.point.method).toEqual([])
    },
    ways: WAYS,
    only: thinned(WAYS),
  })
  expect(points).toBeGreaterThan(40)
})
