import { expect, test } from 'vitest'
import { metered, openStore } from 'tidemark'
import { memory } from 'tidemark/memory'
import { memtableOfDelta } from '../../../src/engine/memtable.js'
import { unionRanges } from '../../../src/segment/ranges.js'
import { collect } from '../../support/storages.js'

/** The processor's time for a piece of work, the best of some rounds, in microseconds. */
async function costOf(work: () => unknown): Promise<number> {
  let best = Infinity
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage()
    await work()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, user + system)
  }
  return best
}

/**
 * Eight times as much in one go costs about as much as the same in eight goes, and not eight times that. So both make the same
 * amount of garbage; a collector may spoil one look at it all the same.
 */
async function expectProportional(n: number, work: (n: number) => unknown): Promise<void> {
  const inParts = async (): Promise<void> => {
    for (let part = 0; part < 8; part++) await work(n)
  }
  await costOf(inParts)
  const ratios: number[] = []
  do ratios.push((await costOf(() => work(8 * n))) / (await costOf(inParts)))
  while (ratios.at(-1)! >= 4 && ratios.length < 4)
  expect(ratios.at(-1), `times as much: ${ratios.join(', ')}`).toBeLessThan(4)
}

test('ten thousand commits that are not waited for cost no more each than fewer do', async () => {
  await expectProportional(1_250, async (n) => {
    const store = await openStore({ storage: memory(), name: 's' })
    const commits: Promise<unknown>[] = []
    for (let i = 0; i < n; i++) {
      store.put(i, i)
      commits.push(store.commit())
    }
    await Promise.all(commits)
    expect(await collect(store.keys())).toHaveLength(n)
    await store.close()
  })
})

test('range deletes over a full buffer remove what they cover', async () => {
  const store = await openStore({ storage: memory(), name: 's' })
  for (let i = 0; i < 100_000; i++) store.put(`key ${i}`, i)
  for (let i = 0; i < 50; i++) store.deleteRange({ gte: `key ${i}5`, lt: `key ${i}6` })
  const isGone = new RegExp(`^(${Array.from({ length: 50 }, (_, i) => `${i}5`).join('|')})`)
  const left = Array.from({ length: 100_000 }, (_, i) => String(i)).filter((n) => !isGone.test(n))
  expect(await collect(store.keys())).toEqual(left.map((n) => `key ${n}`).sort())
  await store.close()
})

test('twenty thousand range deletes cost no more each than fewer do', async () => {
  await expectProportional(2_500, async (n) => {
    const store = await openStore({ storage: memory(), name: 's' })
    for (let i = 0; i < n; i++) store.deleteRange({ gte: 2 * i, lt: 2 * i + 1 })
    await store.commit()
    await store.close()
  })
})

test('many ranges are united, and read from a delta, in one go', async () => {
  const bytes = (i: number): Uint8Array => Uint8Array.of(i >>> 16, i >>> 8, i)
  const rangesOf = (length: number): { lower: Uint8Array; upper: Uint8Array }[] =>
    Array.from({ length }, (_, i) => ({ lower: bytes(2 * i), upper: bytes(2 * i + 1) }))
  const ranges = rangesOf(30_000)
  expect(unionRanges(ranges)).toEqual(ranges)
  await expectProportional(4_000, (n) => {
    const some = rangesOf(n)
    unionRanges(some)
    const changes = some.map(({ lower, upper }) => ({ type: 'range' as const, key: lower, upper }))
    memtableOfDelta([{ partition: 0, table: new Uint8Array(0), codec: 'json', changes }])
  })
})

test('values that iterations keep push no block out of the cache', async () => {
  const storage = metered(memory())
  const store = await openStore<number, object>({ storage, name: 's', cacheBytes: 400_000 })
  for (let i = 0; i < 2000; i++) store.put(i, { id: i, name: `customer ${i}`, tags: ['old', 'web', 'x'.repeat(50)] })
  await store.commit()
  await store.checkpoint()
  const scans: number[] = []
  // The first ones fill the cache with half of the blocks and with their values.
  for (const lt of [1000, 1000, 2000, 2000, 2000]) {
    const { bytesRead } = storage.usage()
    expect(await collect(store.values({ lt }))).toHaveLength(lt)
    scans.push(storage.usage().bytesRead - bytesRead)
  }
  expect(scans).toEqual([expect.any(Number), 0, expect.any(Number), 0, 0])
  await store.close()
})
