/** Followers of shards that are being split or merged, while whoever began it is away: nothing is seen twice, and nothing is missing. */
import type { Storage } from 'tidemark'
import { describe, expect, test } from 'vitest'
import { closeLog } from '../../../src/engine/context.js'
import { finding } from '../../../src/engine/shards/heirs.js'
import { leaves } from '../../../src/engine/shards/family.js'
import { planFor } from '../../../src/engine/shards/rescale.js'
import type { Range } from '../../../src/engine/shards/end.js'
import { sealLog } from '../../../src/engine/shards/sealing.js'
import { rescale } from '../../../src/group/rescale.js'
import { contextOf } from '../../../src/transfer/options.js'
import { contents, keyIn, open, PARTITIONS, PLACES, write } from '../../support/sharded.js'

const place = (storage: Storage) => ({ storage, name: 's' })
const ranges = (store: { readonly shards: readonly Range[] }): (readonly [number, number])[] =>
  store.shards.map(({ first, last }) => [first, last] as const)

async function fill(storage: Storage): Promise<[string, number][]> {
  const all = Array.from({ length: PARTITIONS }, (_, i): [string, number] => [keyIn(i), i])
  const store = await open(storage)
  for (const [key, value] of all) store.put(key, value)
  await store.commit()
  await store.close()
  return all.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Seals the first of the shards that a plan is of, and goes away. */
async function sealFirst(storage: Storage, isOf: (range: Range) => boolean, children: readonly Range[]): Promise<void> {
  const ctx = contextOf(place(storage), undefined)
  const all = (await leaves(ctx, finding()))!.flatMap((leaf) => (leaf.seal ? [] : [leaf]))
  const parents = all.filter(({ state }) => isOf(state.carried.own ?? { first: 0, last: PARTITIONS - 1 }))
  const logIds = parents.map(({ log }) => log.logId)
  await sealLog(parents[0]!, planFor(ctx, logIds, children))
  for (const { context, log } of all) await closeLog(context, log)
}

describe.each(PLACES)('on %s', (_, make) => {
  test('a split of which only the seal is there is shown as before, and so is a merge with one seal', async () => {
    const storage = make()
    const all = await fill(storage)
    const early = await open(storage, { mode: 'follower' })
    await sealFirst(storage, () => true, [
      { first: 0, last: 3 },
      { first: 4, last: 7 },
    ])
    const late = await open(storage, { mode: 'follower' })
    for (const follower of [early, late]) {
      await follower.refresh()
      await follower.refresh()
      expect(ranges(follower)).toEqual([[0, 7]])
      expect(await contents(follower)).toEqual(all)
    }
    // Whoever comes by to write makes what is missing.
    await write(storage, 5, (store) => store.put(keyIn(5), 50))
    for (const follower of [early, late]) {
      await follower.refresh()
      expect(ranges(follower)).toEqual([
        [0, 3],
        [4, 7],
      ])
      expect(await follower.get(keyIn(5))).toBe(50)
    }
    await sealFirst(storage, () => true, [{ first: 0, last: 7 }])
    const latest = await open(storage, { mode: 'follower' })
    for (const follower of [early, late, latest]) {
      await follower.refresh()
      expect(ranges(follower)).toEqual([
        [0, 3],
        [4, 7],
      ])
      expect((await contents(follower)).length).toBe(PARTITIONS)
    }
    await write(storage, 0, (store) => store.put(keyIn(0), 60))
    for (const follower of [early, late, latest]) {
      await follower.refresh()
      expect(ranges(follower)).toEqual([[0, 7]])
      expect(await follower.get(keyIn(0))).toBe(60)
      expect(await follower.get(keyIn(5))).toBe(50)
      await follower.close()
    }
  })

  test('a merge whose other parent was split in between goes on in a fallback', async () => {
    const storage = make()
    const all = await fill(storage)
    await rescale(place(storage), { shards: 2 })
    const follower = await open(storage, { mode: 'follower' })
    await sealFirst(storage, () => true, [{ first: 0, last: 7 }])
    await sealFirst(storage, ({ first }) => first === 4, [
      { first: 4, last: 5 },
      { first: 6, last: 7 },
    ])
    await follower.refresh()
    expect(ranges(follower)).toEqual([
      [0, 3],
      [4, 7],
    ])
    expect(await contents(follower)).toEqual(all)
    await write(storage, 1, (store) => store.put(keyIn(1), 10))
    await write(storage, 6, (store) => store.put(keyIn(6), 60))
    await follower.refresh()
    expect(ranges(follower)).toEqual([
      [0, 3],
      [4, 5],
      [6, 7],
    ])
    expect(await contents(follower)).toEqual(all.map(([key, value]) => [key, value % 5 === 1 ? value * 10 : value]))
    await follower.close()
  })
})
