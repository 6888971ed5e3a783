/** Tools on a store that was split: it is listed, verified and destroyed whole. */
import { openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, worldOver, type Way } from 'tidemark/testing'
import { destroyStore, listStores, verify } from 'tidemark/tools'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { openAnchor, openLog } from '../../../src/engine/context.js'
import { stateAt } from '../../../src/engine/history/past.js'
import { holdFor } from '../../../src/engine/shards/holds.js'
import * as undertaking from '../../../src/engine/shards/undertaker.js'
import { logPath } from '../../../src/manifest/names.js'
import { clockOf } from '../../support/rule-stores.js'
import { settle, splitStore } from '../../support/split-store.js'
import { intercept } from '../../../src/storage/intercept.js'
import { thinned } from '../../support/extent.js'
import { keyIn, open, PARTITIONS, PLACES, write } from '../../support/sharded.js'

const entryName = (path: string, n: number): string => `${path}/log/${String(n).padStart(16, '0')}`
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

describe('verify', () => {
  const blobsIn = async (storage: Storage, part: string): Promise<string[]> =>
    (await storage.blobs.list('s/')).items.map(({ name }) => name).filter((name) => name.includes(part))

  test.each(PLACES)('finds nothing wrong with a store that was split, on %s', async (_, make) => {
    const storage = make()
    await splitIn(storage)
    const report = await verify(place(storage))
    expect(report.damages).toEqual([])
    expect(report).toMatchObject({ ok: true, tags: ['before'], orphans: { count: 0 } })
    const follower = await open(storage, { mode: 'follower' })
    expect(report.version).toBe(follower.version)
    await follower.close()
  })

  test('names what is lost of a log that was sealed and is still needed', async () => {
    const storage = memory()
    await splitIn(storage)
    const lost = (await blobsIn(storage, '/seg/')).filter((name) => name.startsWith('s/0/'))
    expect(lost.length).toBe(1)
    await storage.blobs.delete(lost)
    const { ok, damages } = await verify(place(storage))
    expect(ok).toBe(false)
    expect(new Set(damages.map(({ object }) => object))).toEqual(new Set(lost))
  })

  test('names an entry that is lost of any shard', async () => {
    const storage = memory()
    await splitIn(storage)
    const { paths } = await storage.logs('s/')
    for (const path of paths) {
      const { numbers } = await storage.log(path).list(1)
      const { bytes } = await storage.log(path).read(numbers.at(-1)!)
      await storage.log(path).remove([numbers.at(-1)!])
      const { damages } = await verify(place(storage))
      // The newest entries of one that lives may be gone without a trace, but for the one that its anchor names.
      if (numbers.length === 1) expect(damages.map(({ object }) => object)).toContain(entryName(path, numbers.at(-1)!))
      await storage.log(path).append(numbers.at(-1)!, bytes!, 1)
    }
    expect((await verify(place(storage))).damages).toEqual([])
  })

  test('takes holds and what was collected for what they are', async () => {
    const time = { ms: 0 }
    const clock = clockOf(time)
    const storage = memory({ clock })
    const { root, children, hand, sealed, versions } = await splitStore({ versions: 1 }, { wrap: () => storage })
    const context = hand.context(root)
    const source = { context, log: openLog(context, openAnchor(context), root.logId), state: sealed }
    const state = await stateAt(context, source.log, versions.at(-1)!)
    await holdFor(source, state, { path: logPath('s', children[0]!.logId, children[0]!.folder), n: 99 })
    expect((await verify(place(storage))).damages).toEqual([])
    for (let i = 0; i < 3; i++) {
      for (const part of children) await settle(hand, part, time)
      await hand.undertake(undertaking, root)
      expect((await verify(place(storage))).damages).toEqual([])
      time.ms += 1_001
    }
    expect((await storage.log(logPath('s', root.logId)).list(1)).numbers).toEqual([])
    await storage.anchor(`s/${children[1]!.folder}/anchor`).remove()
    await storage.log(logPath('s', children[1]!.logId, children[1]!.folder)).destroy()
    expect((await verify(place(storage))).damages.map(({ object }) => object)).toEqual(['s/0'])
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
