/** Collectors on an adapter: what a kept version, tag or fork needs stays, and everything else goes in the end. */
import { expect } from 'vitest'
import type { Storage, Store } from 'tidemark'
import { WAYS } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { formerOwner, readerOf } from './collect-beside.js'
import {
  atOurTime,
  change,
  contents,
  copyTo,
  cutCollector,
  expectPast,
  expectSound,
  GRACE,
  makeTemplate,
  objectsOf,
  open,
  settle,
  time,
  type Template,
} from './collect-world.js'
import type { SuiteOptions } from './suite-options.js'
import { inTurn } from './thin.js'

let made: Promise<Template> | undefined
const template = (): Promise<Template> => (made ??= makeTemplate())

export function collectionSuite({ test, make, share }: SuiteOptions): void {
  const undisturbed = { ways: WAYS, only: () => false, make }

  test('a collector that is cut at any storage call loses nothing that is kept, and what was left goes later', async () => {
    // A collection has three times as many calls as the life of the other cuts.
    const fewer = { writes: share.writes * 2, reads: share.reads * 2 }
    const told = await cutCollector(await template(), { ways: WAYS, only: inTurn(fewer, WAYS), make })
    console.log(`collecting on ${make().capabilities.name}: ${told}`)
  })

  test('a reader of kept versions in another handle goes on reading', async () => {
    const world = await template()
    await cutCollector(world, {
      ...undisturbed,
      ...readerOf(world),
    })
  })

  test('a former owner that goes on collecting takes nothing that is kept', async () => {
    await cutCollector(await template(), { ...undisturbed, ...formerOwner() })
  })

  async function past(): Promise<{ storage: Storage; store: Store }> {
    const { storage: from, end } = await template()
    time.now = end
    const storage = atOurTime(make())
    await copyTo(from, storage)
    return { storage, store: await open(storage) }
  }

  test('over many commits no more is stored than what is kept needs', async () => {
    const { storage, store } = await past()
    const kept = (await template()).past
    const more: [number, string][] = []
    for (let i = 20; i < 44; i++) {
      change(store, i)
      const now = await contents(store)
      more.push([(await store.commit()).version, now])
      if (i % 6 === 1) {
        await store.maintain()
        time.now += GRACE
      }
    }
    const { entries, segments } = await objectsOf(storage)
    expect(entries).toBeLessThan(40)
    expect(segments).toBeLessThan(60)
    await settle(storage, store)
    await expectPast(storage, store, kept, more)
    await expectSound(storage)
    await store.close()
  })

  test('what only a tag or a fork kept goes with it', async () => {
    const { storage, store } = await past()
    // Now the newest versions need nothing of those of then.
    for (let i = 20; i < 30; i++) {
      change(store, i)
      await store.commit()
      if (i === 21 || i === 26) await store.maintain()
    }
    const before = await settle(storage, store)
    expect(before.pins).toBe(2)
    await store.untag('kept')
    await destroyStore({ storage, name: 'fork' })
    const after = await settle(storage, store)
    expect(after.pins).toBe(0)
    expect(after.segments).toBeLessThan(before.segments)
    await expectSound(storage)
    await store.close()
  })
}
