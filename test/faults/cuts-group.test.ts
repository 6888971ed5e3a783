import { expect, test } from 'vitest'
import { isTidemarkError, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, worldOver } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { thinned } from '../support/extent.js'
import { collect } from '../support/storages.js'
import { hastyClock, open, persist } from '../support/history.js'

const ROUNDS = 4
const AT_ONCE = 8

/** Commits that are not waited for, each of two keys in two partitions; what is acknowledged is noted with its version. */
async function bursts(storage: Storage, acknowledged: [number, number][]): Promise<void> {
  const store = await persist(() => open(storage))
  for (let round = 0; round < ROUNDS; round++) {
    const commits = Array.from({ length: AT_ONCE }, async (_, k) => {
      const i = round * AT_ONCE + k
      store.partition(0).put(i, i)
      store.partition(1).put(i, i)
      try {
        acknowledged.push([i, (await store.commit(k === 3 ? { label: 'not joined' } : {})).version])
      } catch (error) {
        if (!isTidemarkError(error)) throw error
      }
    })
    await Promise.all(commits)
    await persist(() => store.reopen())
  }
  await store.close()
}

test('of commits that share entries a crash leaves all or none of each, and nothing acknowledged is missing', async () => {
  const makeWorld = worldOver(() => memory())
  const result = await cuts<[number, number]>({
    only: thinned(WAYS),
    async makeWorld(decide) {
      const world = await makeWorld(decide)
      await probe(memory(), 'history/0', hastyClock, world.storage)
      return world
    },
    scenario: bursts,
    async verify(storage, acknowledged, cut) {
      const store = await open(storage)
      const found = await Promise.all([0, 1].map((p) => collect(store.partition(p).keys())))
      expect(found[0]).toEqual(found[1])
      for (const [i] of acknowledged) expect(found[0]).toContain(i)
      // Who is told a version finds the changes in it: in the order of versions each holds those of its commits.
      const byVersion = acknowledged.map(([, version]) => version)
      const known = new Set((await collect(store.versions())).map(({ version }) => version))
      for (const version of byVersion) expect(known.has(version)).toBe(true)
      if (cut === undefined) {
        expect(acknowledged.length).toBe(ROUNDS * AT_ONCE)
        expect(new Set(byVersion).size).toBeLessThanOrEqual(ROUNDS * 3)
      }
      await store.close()
    },
  })
  console.log(
    `cut points of commits in flight together: ${result.points}, runs: ${result.runs}, missed: ${result.missed}`,
  )
  expect(result.points).toBeGreaterThan(30)
})
