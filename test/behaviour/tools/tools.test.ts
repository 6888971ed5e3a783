import { expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { memory } from 'tidemark/memory'
import { emptyCarried } from '../../../src/log/entry.js'
import { eachAdapter } from '../../support/counting.js'
import { cuts, worldOver } from 'tidemark/testing'
import { contentHash, craft, craftEntry, craftSegment, manifestOf, NAME } from '../../support/crafted.js'
import { storageOf } from '../../support/damage.js'
import { objectsOf } from '../../support/loss-worlds.js'
import { briefClock, fillSmall } from '../../support/small-store.js'
import { adapters } from '../../support/storages.js'

eachAdapter(adapters, 'on %s', (make) => {
  test('verify tells progress up to the end, and counts blobs that nothing names without calling them damage', async () => {
    const storage = make()
    await fillSmall(storage)
    const [path] = (await storage.logs('small/')).paths
    await storage.blobs.put(`${path}/seg/${'f'.repeat(32)}`, new Uint8Array(100))
    const seen: number[] = []
    const report = await verify({ storage, name: 'small' }, { onProgress: ({ objects }) => seen.push(objects) })
    expect(report).toMatchObject({ ok: true, orphans: { count: 1, bytes: 100 }, entries: 10, segments: 7 })
    expect(seen).toEqual(Array.from({ length: 18 }, (_, i) => i + 1))
  })

  test('verify and destroyStore say NOT_FOUND where there is no store', async () => {
    const place = { storage: make(), name: 'absent' }
    await expect(verify(place)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(destroyStore(place)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('destroyStore removes one store of two, and the next one of its name is another', async () => {
    const storage = make()
    await fillSmall(storage)
    await (await openStore({ storage, name: 'other' })).close()
    expect((await listStores(storage)).map(({ name }) => name)).toEqual(['other', 'small'])
    const [before] = (await storage.logs('small/')).paths
    await destroyStore({ storage, name: 'small' })
    expect(await listStores(storage)).toEqual([{ name: 'other', shards: [0] }])
    expect((await storage.blobs.list('small/')).items).toEqual([])
    const store = await openStore({ storage, name: 'small', create: true })
    await store.close()
    expect((await storage.logs('small/')).paths).not.toContain(before)
  })
})

test('destroyStore leaves a damaged anchor alone, unless it is forced', async () => {
  const source = memory()
  await fillSmall(source)
  const objects = await objectsOf(source, 'small')
  const storage = await storageOf(objects.set('small/0/anchor', new Uint8Array(45)))
  await expect(destroyStore({ storage, name: 'small' })).rejects.toMatchObject({ code: 'CORRUPT' })
  expect((await objectsOf(storage, 'small')).size).toBe(objects.size)
  await destroyStore({ storage, name: 'small' }, { force: true })
  expect(await objectsOf(storage, 'small')).toEqual(new Map())
})

test('destroyStore, cut at every storage call in four ways, leaves nothing that opens as a healthy store, and is finished by another', async () => {
  const source = memory()
  await fillSmall(source)
  const objects = await objectsOf(source, 'small')
  const result = await cuts<'begun'>({
    makeWorld: worldOver(() => storageOf(objects)),
    scenario: (storage) => destroyStore({ storage, name: 'small' }),
    verify: async (storage, _, cut) => {
      const left = await objectsOf(storage, 'small')
      const open = openStore({ storage, name: 'small', mode: 'follower', clock: briefClock })
      if (left.size === objects.size && left.get('small/0/anchor')?.join() === objects.get('small/0/anchor')!.join()) {
        // Nothing has happened yet.
        await (await open).close()
      } else {
        await expect(open).rejects.toMatchObject({ code: left.size === 0 ? 'NOT_FOUND' : 'CORRUPT' })
        const listed = left.size === 0 ? [] : [{ name: 'small', shards: [0], incomplete: true }]
        expect(await listStores(storage)).toEqual(listed)
      }
      if (left.size > 0) await destroyStore({ storage, name: 'small' })
      expect(await objectsOf(storage, 'small')).toEqual(new Map())
      expect(cut === undefined ? left.size : 0).toBe(0)
      await (await openStore({ storage, name: 'small', create: true })).close()
    },
  })
  console.log(`cut points of destroyStore: ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
  expect(result.missed).toBe(0)
  expect(result.points).toBeGreaterThan(6)
})

test('verify finds a manifest that says something else than its segment holds', async () => {
  for (const ref of [
    { records: 2 },
    { tombstones: 1 },
    { rawBytes: 8 },
    { expires: 5 },
    { upper: new Uint8Array(1) },
  ]) {
    const segment = craftSegment({ ref })
    const storage = await craft(memory(), { segment })
    const { damages } = await verify({ storage, name: NAME })
    expect(damages).toMatchObject([{ object: segment.ref.name, code: 'CORRUPT' }])
  }
})

test('verify finds a fold that has changed the state', async () => {
  const segment = craftSegment({})
  const carried = { ...emptyCarried('exclusive'), manifestAt: 2 }
  const parent = contentHash(craftEntry({}))
  const manifest = manifestOf([segment.ref])
  const fold = craftEntry({ n: 2, kind: 'fold', parent, carried, manifest })
  const storage = await craft(memory(), { entries: [craftEntry({}), fold], segment })
  const { damages } = await verify({ storage, name: NAME })
  expect(damages).toMatchObject([
    { code: 'CORRUPT', message: expect.stringMatching(/^Entry 2 changes what it folds/) as string },
  ])
})
