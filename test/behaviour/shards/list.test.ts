/** `listShards`, and the family of logs that the command line shows: what is there, whoever has begun or finished a plan. */
import { memory } from 'tidemark/memory'
import { listShards } from 'tidemark/tools'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { familyOf } from '../../../src/tools/family.js'
import { goldenObjects, loadObjects } from '../../support/golden.js'
import { open, write, keyIn } from '../../support/sharded.js'

test('a store that was never split is one shard, without parents', async () => {
  const storage = memory()
  const store = await open(storage)
  await store.set(keyIn(3), 3)
  await store.close()
  const shards = await listShards({ storage, name: 's' })
  expect(shards).toEqual([
    { first: 0, last: 7, version: store.version, log: expect.any(String) as string, parents: [] },
  ])
  expect(await familyOf({ storage, name: 's' })).toEqual([
    { first: 0, last: 7, log: shards[0]!.log, sealed: undefined, children: [] },
  ])
})

test('shards are listed by their partitions, with the logs that they came of', async () => {
  const storage = memory()
  const place = { storage, name: 's' }
  await (await open(storage)).close()
  const [root] = await listShards(place)
  await rescale(place, { cuts: [2, 6] })
  const split = await listShards(place)
  expect(split.map(({ first, last, parents }) => [first, last, parents])).toEqual([
    [0, 1, [root!.log]],
    [2, 5, [root!.log]],
    [6, 7, [root!.log]],
  ])
  const version = await write(storage, 4, (store) => store.put(keyIn(4), 4))
  expect((await listShards(place))[1]!.version).toBe(version)
  await rescale(place, { cuts: [6] })
  const [merged, last] = await listShards(place)
  expect(merged!.parents).toEqual([split[0]!.log, split[1]!.log])
  expect(last).toEqual(split[2])
})

test('a family is listed from the first log on, parents before children, with the plan that did not hold', async () => {
  const family = await familyOf({ storage: await loadObjects(goldenObjects('1-split')), name: 'split' })
  const at = new Map(family.map(({ log }, i) => [log, i]))
  for (const { log, children } of family)
    for (const child of children) expect(at.get(child)).toBeGreaterThan(at.get(log)!)
  expect(family.map(({ first, last, sealed }) => `${first}-${last}${sealed === undefined ? '' : '|'}`)).toEqual([
    '0-5|',
    '0-1|',
    '0-1|',
    '2-3|',
    '2-2|',
    '3-3|',
    '0-3',
    '4-5',
  ])
})

test('a store that is not there is NOT_FOUND', async () => {
  await expect(listShards({ storage: memory(), name: 's' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
})
