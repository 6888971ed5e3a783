import { eachAdapter } from '../../support/counting.js'
import { expect, test } from 'vitest'
import { openStore, type Storage } from 'tidemark'
import { destroyStore, listStores } from 'tidemark/tools'
import { cli } from '../../support/cli.js'
import { fillSmall } from '../../support/small-store.js'
import { adapters } from '../../support/storages.js'

/** A store beside which another is whole, and of which `take` has taken something. */
async function storageWithout(storage: Storage, take: (storage: Storage) => Promise<unknown>): Promise<Storage> {
  await fillSmall(storage)
  await (await openStore({ storage, name: 'small.other' })).close()
  await take(storage)
  return storage
}

const takeLogs = async (storage: Storage): Promise<void> => {
  for (const path of (await storage.logs('small/')).paths) await storage.log(path).destroy()
}
const takeSegments = async ({ blobs }: Storage): Promise<void> => {
  await blobs.delete((await blobs.list('small/')).items.map(({ name }) => name))
}
const takeAnchor = async (storage: Storage): Promise<unknown> => storage.anchor('small/0/anchor').remove()

/** A storage whose calls of one kind fail, as long as it is told so. */
function refusing(storage: Storage, what: 'logs' | 'anchor' | 'notes'): Storage {
  const fail = (): Promise<never> => Promise.reject(new Error(`no ${what}`))
  return {
    ...storage,
    log: (path, options) => ({ ...storage.log(path, options), ...(what === 'logs' && { destroy: fail }) }),
    anchor: (path) => ({ ...storage.anchor(path), ...(what === 'anchor' && { remove: fail }) }),
    blobs: {
      ...storage.blobs,
      delete: (names) => (what === 'notes' && names[0]!.includes('/gone/') ? fail() : storage.blobs.delete(names)),
    },
  }
}

eachAdapter(adapters, 'listStores on %s', (make) => {
  const other = { name: 'small.other', shards: [0] }
  const incomplete = { name: 'small', shards: [0], incomplete: true }

  test.each<[string, (storage: Storage) => Promise<unknown>]>([
    ['segments and an anchor', takeLogs],
    ['segments only', async (storage) => [await takeLogs(storage), await takeAnchor(storage)]],
  ])('shows a store of which %s are left as incomplete, and it can be destroyed', async (_, take) => {
    const storage = await storageWithout(make(), take)
    expect(await listStores(storage)).toEqual([incomplete, other])
    await expect(openStore({ storage, name: 'small' })).rejects.toMatchObject({ code: 'CORRUPT' })
    await destroyStore({ storage, name: 'small' })
    expect(await listStores(storage)).toEqual([other])
    await (await openStore({ storage, name: 'small', create: true })).close()
  })

  test('shows a store whose anchor is lost as whole: it is opened by its log', async () => {
    const storage = await storageWithout(make(), takeAnchor)
    expect(await listStores(storage)).toEqual([{ name: 'small', shards: [0] }, other])
    await (await openStore({ storage, name: 'small', create: false, partitions: 2 })).close()
  })

  test.each(['logs', 'anchor', 'notes'] as const)(
    'shows a store whose destruction was stopped at its %s, however little is left',
    async (what) => {
      const storage = await storageWithout(make(), takeSegments)
      await expect(destroyStore({ storage: refusing(storage, what), name: 'small' })).rejects.toThrow(`no ${what}`)
      expect(await listStores(storage)).toEqual([incomplete, other])
      for (const create of [undefined, true]) {
        await expect(openStore({ storage, name: 'small', create })).rejects.toMatchObject({ code: 'CORRUPT' })
      }
      await destroyStore({ storage, name: 'small' })
      expect(await listStores(storage)).toEqual([other])
      expect((await storage.blobs.list('small/')).items).toEqual([])
      await expect(destroyStore({ storage, name: 'small' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await (await openStore({ storage, name: 'small', create: true })).close()
    },
  )

  test("is not misled by blobs that are no store's, however many", async () => {
    const storage = make()
    for (let i = 0; i < 130; i++) await storage.blobs.put(`photos/${i}.jpg`, new Uint8Array(1))
    await storage.blobs.put('orders/0/probe-0123456789abcdef/x', new Uint8Array(1))
    await storage.blobs.put('zoo/0/gone/not-a-log', new Uint8Array(1))
    await fillSmall(storage)
    expect(await listStores(storage)).toEqual([{ name: 'small', shards: [0] }])
  })

  test('the command line passes over what is left of a store, unless there is nothing else', async () => {
    const storage = await storageWithout(make(), takeLogs)
    const whole = await cli(['inspect', 'here', '--json'], { open: () => storage })
    expect([whole.code, whole.err]).toEqual([0, ''])
    expect(whole.out).toContain('"small.other"')
    await destroyStore({ storage, name: 'small.other' })
    const left = await cli(['inspect', 'here'], { open: () => storage })
    expect([left.code, left.out]).toEqual([1, ''])
    expect(left.err).toMatch(/^tidemark: CORRUPT: .*"small"/)
  })
})
