/** Restores across seals: a shard goes back to a version from before a split or a merge, in its own partitions, and forth again. */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { describe, expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { intercept } from '../../../src/storage/intercept.js'
import { contents, keyIn, open, PARTITIONS, PLACES, write, type Numbers } from '../../support/sharded.js'

const ALL = Array.from({ length: PARTITIONS }, (_, i) => i)
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const split = (storage: Storage, shards: number) => rescale({ storage, name: 's' }, { shards })

function put(storage: Storage, partitions: readonly number[], value: number): Promise<number> {
  const change = (store: Numbers): void => {
    for (const partition of partitions) store.put(keyIn(partition), value)
  }
  return write(storage, partitions[0]!, change, { offsets: { clicks: value } })
}

function held(values: readonly (readonly [partitions: readonly number[], value: number])[]): [string, number][] {
  const all = new Map(values.flatMap(([partitions, value]) => partitions.map((i) => [keyIn(i), value] as const)))
  return [...all].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** The holds in the logs of the store. */
async function holds(storage: Storage): Promise<string[]> {
  const { items } = await storage.blobs.list('s/')
  return items.map(({ name }) => name).filter((blob) => blob.includes('/pins/'))
}

describe.each(PLACES)('on %s', (_, make) => {
  test('a shard goes back to a version from before the split, others stay, and undo undoes it', async () => {
    const storage = make()
    const one = await put(storage, ALL, 1)
    await put(storage, ALL, 2)
    await split(storage, 2)
    await put(storage, [0, 1], 3)
    await put(storage, [4, 5], 4)
    const store = await open(storage, { shard: 0 })
    const before = await contents(store)
    const { version, undo } = await store.restore(one, { label: 'back' })
    expect(await contents(store)).toEqual(held([[[0, 1, 2, 3], 1]]))
    expect(store.offsets).toEqual({ clicks: 1 })
    expect(store.version).toBe(version)
    expect(await holds(storage)).toEqual([])
    await store.restore(undo)
    expect(await contents(store)).toEqual(before)
    expect(store.offsets).toEqual({ clicks: 3 })
    await store.restore(version)
    await store.close()
    const follower = await open(storage, { mode: 'follower' })
    expect(await contents(follower)).toEqual(
      held([
        [ALL, 2],
        [[4, 5], 4],
        [[0, 1, 2, 3], 1],
      ]),
    )
    await follower.close()
    const again = await open(storage, { shard: 0 })
    expect(await contents(again)).toEqual(held([[[0, 1, 2, 3], 1]]))
    await again.close()
  })

  test('some partitions of a shard go back alone', async () => {
    const storage = make()
    const one = await put(storage, ALL, 1)
    await put(storage, ALL, 2)
    await split(storage, 2)
    const store = await open(storage, { shard: 4 })
    await expect(store.restore(one, { partitions: [3] })).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(store.restore(one, { partitions: [5] })).rejects.toThrow('one position for all')
    await store.restore(one, { partitions: [5, 6], offsets: { clicks: 7 } })
    expect(await contents(store)).toEqual(
      held([
        [[4, 7], 2],
        [[5, 6], 1],
      ]),
    )
    expect(store.offsets).toEqual({ clicks: 7 })
    await store.close()
  })

  test('behind a merge a tag, or a moment, brings all shards back', async () => {
    const storage = make()
    await put(storage, ALL, 1)
    await split(storage, 4)
    for (const shard of [0, 2, 4, 6]) {
      await put(storage, [shard], shard + 10)
      const store = await open(storage, { shard })
      await store.tag('good')
      await store.close()
      await put(storage, [shard], 99)
    }
    await split(storage, 1)
    const store = await open(storage)
    const good = held([
      [ALL, 1],
      [[0], 10],
      [[2], 12],
      [[4], 14],
      [[6], 16],
    ])
    const { undo } = await store.restore('good')
    expect(await contents(store)).toEqual(good)
    await store.restore(undo)
    expect(await contents(store)).toEqual(
      held([
        [ALL, 1],
        [[0, 2, 4, 6], 99],
      ]),
    )
    await store.restore('good', { partitions: [2, 3, 6], offsets: { clicks: 0 } })
    expect(await contents(store)).toEqual(
      held([
        [ALL, 1],
        [[0, 4], 99],
        [[2], 12],
        [[6], 16],
      ]),
    )
    await store.close()
  })

  test('large commits come back as well, folded into segments of the child', async () => {
    const storage = make()
    const small = { segmentBytes: 300, blockBytes: 60, checkpoint: { entries: 3, bytes: 300 } }
    const versions: { version: number; all: [string, number][] }[] = []
    const store = await open(storage, small)
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < (round % 2) * 30 + 1; i++) store.put(`row ${i + round}`, round)
      versions.push({ version: (await store.commit()).version, all: await contents(store) })
    }
    await store.close()
    await split(storage, 2)
    const [left, right] = [await open(storage, { ...small, shard: 0 }), await open(storage, { ...small, shard: 4 })]
    for (const { version, all } of versions.toReversed()) {
      await left.restore(version)
      await right.restore(version)
      const both = [...(await contents(left)), ...(await contents(right))]
      expect(both.sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(all)
    }
    await left.close()
    await right.close()
  })
})

test('shared writers of a shard restore across a seal, one after another', async () => {
  const storage = memory()
  const first = await open(storage, { mode: 'shared' })
  for (const partition of ALL) first.put(keyIn(partition), 1)
  const { version } = await first.commit()
  await first.close()
  await split(storage, 2)
  const [a, b] = await Promise.all([1, 2].map(() => open(storage, { mode: 'shared', shard: 0 })))
  for (const [at, store] of [a!, b!].entries()) {
    await store.refresh()
    store.put(keyIn(at), 5)
    await store.commit()
  }
  await Promise.all([a!.restore(version), b!.restore(version)])
  await a!.refresh()
  expect(await contents(a!)).toEqual(held([[[0, 1, 2, 3], 1]]))
  expect(await holds(storage)).toEqual([])
  await a!.close()
  await b!.close()
})

/** What becomes of the next append is not known, and it happens only when the test says so. */
function doubtful(storage: Storage): { storage: Storage; doubt: () => void; land: () => Promise<void> } {
  let isInDoubt = false
  let late = (): Promise<unknown> => Promise.resolve()
  const wrapped = intercept(storage, async ({ target, method, signal }, run) => {
    if (!isInDoubt || target !== 'log' || (method !== 'append' && method !== 'claim')) return run(signal)
    late = () => run(undefined)
    return { outcome: 'unknown' as const } as never
  })
  return {
    storage: wrapped,
    doubt: () => (isInDoubt = true),
    land: async () => void (await late()),
  }
}

test('the hold of a restore of which nothing is known stays until its number is taken', async () => {
  const base = memory()
  const one = await put(base, ALL, 1)
  await split(base, 2)
  const { storage, doubt, land } = doubtful(base)
  const store = await open(storage, { shard: 0 })
  doubt()
  await expect(store.restore(one)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await store.close()
  expect((await holds(base)).length).toBe(1)
  await land()
  const again = await open(base, { shard: 0 })
  expect(await contents(again)).toEqual(held([[[0, 1, 2, 3], 1]]))
  await again.maintain()
  expect(await holds(base)).toEqual([])
  await again.close()
})
