/** Repair against a model: random histories, random damage, and nothing but right data or CORRUPT ever. */
import { expect, test } from 'vitest'
import { isTidemarkError, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { Random } from '../../src/testing/random.js'
import { extent } from '../support/extent.js'
import {
  blows,
  bytesOf,
  contentOf,
  live,
  maintainLater,
  openRuin,
  step,
  steps,
  strike,
  type Content,
} from '../support/ruin.js'

const SEEDS = extent(24, 8)

interface History {
  readonly storage: Storage
  readonly versions: Map<number, Content>
}

/** Commits, large ones among them, folds, merges, restores of all or some partitions, tags, collection. */
async function history(pick: (n: number) => number, collecting: boolean): Promise<History> {
  const storage = memory()
  const store = await openRuin(storage, collecting ? { retain: { versions: 12 }, graceMs: 1 } : {})
  const versions = new Map<number, Content>()
  const note = async (): Promise<void> => void versions.set(store.version, await contentOf(store))
  await step(store, pick(99))
  await note()
  for (let i = 0; i < 24; i++) {
    const kept = [...versions.keys()].slice(-4)
    const what = pick(10)
    if (what < 4) await step(store, pick(99))
    else if (what < 6) await store.checkpoint()
    else if (what < 7) await maintainLater(store)
    else if (what < 8) await store.restore(kept[pick(kept.length)]!, pick(2) ? { partitions: [pick(2)] } : {})
    else if (what < 9) {
      for (let j = 0; j < 30; j++) store.put(`k${pick(60)}`, 'large'.repeat(40))
      await store.commit()
    } else await steps(store, i, i + 1, 1)
    await note()
  }
  await store.close()
  return { storage, versions }
}

async function attempt<T>(read: () => Promise<T>): Promise<T | 'CORRUPT'> {
  try {
    return await read()
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'CORRUPT') return 'CORRUPT'
    throw error
  }
}

test('random histories with random damage read right or not at all, and go on right after it', async () => {
  const tally = { right: 0, corrupt: 0, past: 0, repaired: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const numbers = new Random(seed)
    const pick = (n: number): number => numbers.below(n)
    const { storage, versions } = await history(pick, seed % 2 === 0)
    const expected = [...versions.values()].at(-1)!
    const names = (await storage.blobs.list('s/0/')).items.flatMap(({ name }) => (name.includes('/seg/') ? [name] : []))
    const probe = await openRuin(storage, { mode: 'follower' })
    const refs = live(probe)
    await probe.close()
    for (let hits = 1 + pick(3); hits > 0; hits--) {
      const ref = refs[pick(refs.length)]
      if (ref === undefined || pick(4) === 0) await strike(storage, names[pick(names.length)]!, undefined)
      else if ((await storage.blobs.get(ref.name)).bytes?.length === ref.length) {
        const all = blows(ref, await bytesOf(storage, ref.name))
        await strike(storage, ref.name, all[pick(all.length)]![1])
      }
    }
    const store: Store = await openRuin(storage)
    const seen = await attempt(() => contentOf(store))
    if (seen === 'CORRUPT') tally.corrupt++
    else {
      tally.right++
      expect(seen, `seed ${seed}`).toEqual(expected)
    }
    tally.repaired += store.metrics().repaired
    for (const [version, content] of [...versions].slice(-5)) {
      const past = await attempt(async () => {
        const snap = await store.at(version)
        try {
          return await contentOf(snap)
        } finally {
          await snap.close()
        }
      })
      if (past !== 'CORRUPT') {
        tally.past++
        expect(past, `seed ${seed}, version ${version}`).toEqual(content)
      }
    }
    if (seen !== 'CORRUPT') {
      store.put('after', seed)
      await store.commit()
      if (pick(2)) await store.checkpoint()
      expect(await contentOf(store)).toEqual({ ...expected, after: seed })
      await store.close()
      const again = await openRuin(storage)
      expect(await attempt(() => contentOf(again)), `seed ${seed}, reopened`).toEqual({ ...expected, after: seed })
      await again.close()
      // Checks more than others read: headers, say.
      const resident = await attempt(() => openRuin(storage, { mode: 'follower', resident: true }))
      if (resident === 'CORRUPT') continue
      expect(await contentOf(resident)).toEqual({ ...expected, after: seed })
      await resident.close()
    } else await store.close()
  }
  console.log(JSON.stringify(tally))
  expect(tally.repaired).toBeGreaterThan(SEEDS / 3)
  expect(tally.right).toBeGreaterThan(SEEDS / 3)
})
