/** Followers of a store of several shards: they show all of them as one, and go on where shards are split and merged. */
import type { ShardInfo, Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { ManualClock } from '../../support/manual-clock.js'
import { partitionOf } from '../../../src/store/reads.js'
import { contents, keyIn, open, PARTITIONS, PLACES, write } from '../../support/sharded.js'
import { settle, until } from '../../support/until.js'

const place = (storage: Storage) => ({ storage, name: 's' })

/** One key in each partition. */
async function fill(storage: Storage): Promise<Map<string, number>> {
  const all = new Map(Array.from({ length: PARTITIONS }, (_, i) => [keyIn(i), i]))
  const store = await open(storage)
  for (const [key, value] of all) store.put(key, value)
  await store.commit({ offsets: { clicks: 8 } })
  await store.close()
  return all
}

const sorted = (all: Map<string, number>): [string, number][] => [...all].sort(([a], [b]) => (a < b ? -1 : 1))

describe.each(PLACES)('on %s', (_, make) => {
  test('a follower shows all shards, and what is committed in any of them', async () => {
    const storage = make()
    const all = await fill(storage)
    await rescale(place(storage), { shards: 4 })
    const follower = await open(storage, { mode: 'follower' })
    expect(await contents(follower)).toEqual(sorted(all))
    expect(follower.shards.map(({ first, last }) => [first, last])).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
      [6, 7],
    ])
    expect(follower.offsets).toEqual({ clicks: 8 })
    for (const partition of [5, 0, 7]) {
      const key = keyIn(partition, 1)
      const version = await write(storage, partition, (store) => store.put(key, 100 + partition))
      all.set(key, 100 + partition)
      expect(await follower.get(key)).toBe(undefined)
      await follower.refresh()
      expect(await follower.get(key)).toBe(100 + partition)
      expect(follower.shards.map((shard) => shard.version)).toContain(version)
      expect(follower.version).toBe(Math.max(...follower.shards.map((shard) => shard.version)))
      expect(await contents(follower)).toEqual(sorted(all))
    }
    await follower.close()
  })

  test('a follower that was open before goes on to the children, and to what they are merged to', async () => {
    const storage = make()
    const all = await fill(storage)
    const follower = await open(storage, { mode: 'follower' })
    expect(follower.shards).toEqual([{ first: 0, last: 7, version: follower.version }])
    for (const shards of [3, 8, 2, 1, 4]) {
      await rescale(place(storage), { shards })
      await follower.refresh()
      expect(follower.shards.length).toBe(shards)
      const partition = shards - 1
      await write(storage, partition, (store) => store.put(keyIn(partition, 2), shards))
      all.set(keyIn(partition, 2), shards)
      await follower.refresh()
      expect(await contents(follower)).toEqual(sorted(all))
    }
    await follower.close()
  })

  test('a follower of one shard follows those of its partition', async () => {
    const storage = make()
    const all = await fill(storage)
    await rescale(place(storage), { cuts: [4] })
    const follower = await open(storage, { mode: 'follower', shard: 5 })
    const within = (first: number, last: number): [string, number][] =>
      sorted(new Map([...all].filter(([, value]) => value >= first && value <= last)))
    expect(await contents(follower)).toEqual(within(4, 7))
    expect(() => follower.getSync(keyIn(1))).toThrow('is not in the shard')
    await rescale(place(storage), { cuts: [2, 5] })
    await follower.refresh()
    expect(follower.shards.map(({ first, last }) => [first, last])).toEqual([[5, 7]])
    expect(await contents(follower)).toEqual(within(5, 7))
    await rescale(place(storage), { shards: 1 })
    await follower.refresh()
    expect(await contents(follower)).toEqual(within(0, 7))
    await follower.close()
  })

  test('large commits, folds and deletes of ranges show as well', async () => {
    const storage = make()
    const all = await fill(storage)
    const small = { segmentBytes: 300, blockBytes: 60, checkpoint: { entries: 4, bytes: 400 } }
    await rescale(place(storage), { shards: 2 })
    const follower = await open(storage, { mode: 'follower', cacheBytes: 400 })
    for (let round = 0; round < 6; round++) {
      for (const partition of [1, 6]) {
        await write(
          storage,
          partition,
          (store) => {
            if (round === 4) {
              store.deleteRange({ prefix: 'k1' })
              const [{ first, last }] = store.shards as [ShardInfo]
              for (const key of all.keys()) {
                const at = partitionOf(key, PARTITIONS)
                if (key.startsWith('k1') && first <= at && at <= last) all.delete(key)
              }
            }
            for (let i = 0; i < 20; i++) {
              const key = keyIn(partition, 3 + i + round)
              store.put(key, i * round)
              all.set(key, i * round)
            }
          },
          {},
          small,
        )
        await follower.refresh()
        expect(await contents(follower)).toEqual(sorted(all))
        for (const [key, value] of all) expect(await follower.get(key)).toBe(value)
      }
    }
    await follower.close()
  })

  test('a snapshot stays as it was, while shards are written and split', async () => {
    const storage = make()
    const all = await fill(storage)
    await rescale(place(storage), { shards: 2 })
    const follower = await open(storage, { mode: 'follower' })
    const snapshot = await follower.snapshot()
    await write(storage, 2, (store) => store.put(keyIn(2), 200))
    await rescale(place(storage), { shards: 4 })
    await write(storage, 2, (store) => store.put(keyIn(2), 300))
    await follower.refresh()
    expect(await contents(snapshot)).toEqual(sorted(all))
    expect(await follower.get(keyIn(2))).toBe(300)
    await follower.close()
  })

  test('a resident follower has all shards in memory', async () => {
    const storage = make()
    await fill(storage)
    const store = await open(storage)
    await store.checkpoint()
    await store.close()
    await rescale(place(storage), { shards: 2 })
    const follower = await open(storage, { mode: 'follower', resident: true })
    for (let i = 0; i < PARTITIONS; i++) expect(follower.getSync(keyIn(i))).toBe(i)
    for (const shards of [4, 1]) {
      for (const partition of [0, 7]) {
        const store = await open(storage, { shard: partition })
        store.put(keyIn(partition, 1), shards)
        await store.commit()
        await store.checkpoint()
        await store.close()
      }
      await rescale(place(storage), { shards })
      await follower.refresh()
      for (let i = 0; i < PARTITIONS; i++) expect(follower.getSync(keyIn(i))).toBe(i)
      for (const partition of [0, 7]) expect(follower.getSync(keyIn(partition, 1))).toBe(shards)
    }
    await follower.close()
  })

  test('a watch is told of each version of each shard, with its number', async () => {
    const storage = make()
    await fill(storage)
    await rescale(place(storage), { shards: 2 })
    const follower = await open(storage, { mode: 'follower' })
    const told: unknown[] = []
    follower.watch((changes) => told.push(...changes))
    const versions: number[] = []
    for (const partition of [1, 6, 1]) {
      versions.push(await write(storage, partition, (store) => store.put(keyIn(partition), versions.length + 50)))
    }
    await follower.refresh()
    await until(() => told.length === 3)
    expect(told).toEqual([
      { key: keyIn(1), before: 1, after: 50, version: versions[0] },
      { key: keyIn(1), before: 50, after: 52, version: versions[2] },
      { key: keyIn(6), before: 6, after: 51, version: versions[1] },
    ])
    await rescale(place(storage), { shards: 4 })
    await follower.refresh()
    await settle()
    expect(told.length).toBe(3)
    const version = await write(storage, 3, (store) => store.put(keyIn(3), 70))
    await follower.refresh()
    await until(() => told.length === 4)
    expect(told[3]).toEqual({ key: keyIn(3), before: 3, after: 70, version })
    await follower.close()
  })

  test('a live range goes on over splits and merges', async () => {
    const storage = make()
    const all = await fill(storage)
    const follower = await open(storage, { mode: 'follower' })
    const live = follower.live()
    await live.ready
    for (const shards of [2, 4, 1]) {
      await rescale(place(storage), { shards })
      await write(storage, 4, (store) => store.put(keyIn(4, 1), shards))
      all.set(keyIn(4, 1), shards)
      await follower.refresh()
      await until(() => live.current.length === all.size && live.current.some(([, value]) => value === shards))
      expect(live.current).toEqual(sorted(all))
    }
    await follower.close()
  })
})

test('a follower follows by itself, and is told of versions of all shards', async () => {
  const storage = memory()
  await fill(storage)
  await rescale(place(storage), { shards: 2 })
  const clock = new ManualClock()
  const follower = await open(storage, { mode: 'follower', followMs: 100, clock })
  const versions: number[] = []
  follower.on('version', ({ version }) => versions.push(version))
  const first = await write(storage, 1, (store) => store.put(keyIn(1), 10))
  const second = await write(storage, 6, (store) => store.put(keyIn(6), 60))
  clock.pass(100)
  await until(() => versions.length === 2)
  expect(new Set(versions)).toEqual(new Set([first, second]))
  await follower.close()
})

test('a follower of several shards does not write', async () => {
  const storage = memory()
  await fill(storage)
  await rescale(place(storage), { shards: 2 })
  const follower = await open(storage, { mode: 'follower' })
  const readOnly = { code: 'READ_ONLY' }
  expect(() => follower.put('a', 1)).toThrow(expect.objectContaining(readOnly) as Error)
  await expect(follower.commit()).rejects.toMatchObject(readOnly)
  await expect(follower.tag('now')).rejects.toMatchObject(readOnly)
  await expect(follower.restore(1)).rejects.toMatchObject(readOnly)
  await expect(follower.checkpoint()).rejects.toMatchObject(readOnly)
  await expect(follower.maintain()).rejects.toMatchObject(readOnly)
  await follower.close()
})

test('a follower of several shards repairs what is damaged in one of them, and its past', async () => {
  const storage = memory()
  const all = await fill(storage)
  await rescale(place(storage), { shards: 2 })
  for (const partition of [1, 6]) {
    const store = await open(storage, { shard: partition })
    for (let i = 1; i < 4; i++) {
      store.put(keyIn(partition, i), i)
      all.set(keyIn(partition, i), i)
      await store.commit()
    }
    await store.tag('now')
    await store.checkpoint()
    await store.close()
  }
  const follower = await open(storage, { mode: 'follower', cacheBytes: 0, logger: false })
  const repaired: unknown[] = []
  follower.on('repaired', (detail) => repaired.push(detail))
  const segments: string[] = []
  for (const { name } of (await storage.blobs.list('s/')).items) if (name.includes('/seg/')) segments.push(name)
  expect(segments.length).toBe(2)
  const at = new Date()
  for (const name of segments) {
    await storage.blobs.delete([name])
    expect(await contents(follower)).toEqual(sorted(all))
  }
  expect(repaired.length).toBe(2)
  expect(await contents(await follower.at(at))).toEqual(sorted(all))
  expect(await contents(await follower.at('now'))).toEqual(sorted(all))
  await follower.close()
})
