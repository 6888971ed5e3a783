/** A cut over the shards of a store, by an epoch: found, kept by a tag, opened and put back. */
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable } from 'tidemark/stream'
import { expect, test } from 'vitest'
import { newestEpoch, restoreShards, tagShards } from '../../../src/group/cut.js'
import { rescale } from '../../../src/group/rescale.js'

const name = 's'

interface Day {
  readonly day: number
  readonly key: string
}

/** Ten keys, each once a day. */
const days = (last: number): Day[] =>
  Array.from({ length: last * 10 }, (_, i) => ({ day: 1 + Math.floor(i / 10), key: `k${i % 10}` }))

const open = (storage: Storage, options: object): Promise<Store<string, number>> =>
  openStore<string, number>({ storage, name, mode: 'exclusive', ...options })

async function count(storage: Storage, shard: number, last: number): Promise<void> {
  const store = await open(storage, { shard })
  await consume(
    store,
    fromIterable('days', days(last), { key: 'key' }),
    async (event, state) => {
      state.put(event.key, ((await state.get(event.key)) ?? 0) + 1)
    },
    { epoch: ({ value }) => (value as Day).day },
  )
  await store.close()
}

/** What all keys were counted to. */
async function counts(state: Pick<Store<string, number>, 'values'>): Promise<number[]> {
  const all: number[] = []
  for await (const value of state.values()) all.push(value)
  return all
}

test('behind a restore only what was made of an epoch since then counts', async () => {
  const storage = memory()
  await (await open(storage, { partitions: 4 })).close()
  await rescale({ storage, name }, { shards: 2 })
  for (const shard of [0, 2]) await count(storage, shard, 7)
  await restoreShards({ storage, name }, { epoch: 4 })
  expect(await newestEpoch({ storage, name })).toBe(4)
  await count(storage, 0, 6)
  await count(storage, 2, 5)
  expect(await newestEpoch({ storage, name })).toBe(5)
  const all = await openStore<string, number>({ storage, name, mode: 'follower' })
  await expect(all.at({ epoch: 6 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(new Set(await counts(await all.at({ epoch: 5 })))).toEqual(new Set([5]))
  await all.close()
})

test('the newest epoch of all shards is kept and put back, however far each of them has come', async () => {
  const storage = memory()
  await (await open(storage, { partitions: 8 })).close()
  await rescale({ storage, name }, { shards: 3 })
  expect(await newestEpoch({ storage, name })).toBe(undefined)
  for (const [shard, last] of [
    [0, 6],
    [3, 4],
    [6, 5],
  ] as const)
    await count(storage, shard, last)
  expect(await newestEpoch({ storage, name })).toBe(4)
  const kept = await tagShards({ storage, name }, 'fourth')
  expect(kept.map(({ first, last }) => [first, last])).toEqual([
    [0, 2],
    [3, 4],
    [5, 7],
  ])
  await expect(tagShards({ storage, name }, 'fourth')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(tagShards({ storage, name }, 'sixth', { epoch: 6 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const all = await openStore<string, number>({ storage, name, mode: 'follower' })
  for (const when of ['fourth', { epoch: 4 }]) expect(new Set(await counts(await all.at(when)))).toEqual(new Set([4]))
  // Another number of shards goes on from there.
  await rescale({ storage, name }, { shards: 2 })
  await restoreShards({ storage, name }, 'fourth')
  await all.refresh()
  expect(await counts(all)).toEqual(Array.from({ length: 10 }, () => 4))
  for (const shard of [0, 4]) await count(storage, shard, 7)
  await all.refresh()
  expect(await counts(all)).toEqual(Array.from({ length: 10 }, () => 7))
  expect(await newestEpoch({ storage, name })).toBe(7)
  await all.close()
})
