/** A fork that was split: its parent keeps what any of its shards names. */
import { memory } from 'tidemark/memory'
import { destroyStore } from 'tidemark/tools'
import { expect, test } from 'vitest'
import { rescale } from '../../../src/group/rescale.js'
import { clockOf } from '../../support/rule-stores.js'
import { contents, keyIn, open, PARTITIONS } from '../../support/sharded.js'

const GRACE = 1_000

test('its parent keeps what any of its shards names, and lets go of it when none does', async () => {
  const time = { ms: 0 }
  const clock = clockOf(time)
  const storage = memory({ clock })
  const options = { clock, graceMs: GRACE, retain: { versions: 1 } } as const
  const parent = await open(storage, options)
  for (let i = 0; i < PARTITIONS; i++) parent.put(keyIn(i), i)
  await parent.commit()
  await parent.checkpoint()
  await parent.fork('fork')
  await rescale({ storage, name: 'fork' }, { shards: 2 }, { clock })
  const outlive = async (): Promise<void> => {
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < PARTITIONS; i++) parent.put(keyIn(i), 100 + round)
      await parent.commit()
      await parent.maintain()
      time.ms += GRACE + 1
    }
  }
  await outlive()
  const follower = await open(storage, { name: 'fork', mode: 'follower', clock })
  expect((await contents(follower)).map(([, value]) => value).toSorted((a, b) => a - b)).toEqual([
    0, 1, 2, 3, 4, 5, 6, 7,
  ])
  await follower.close()
  await expect(destroyStore({ storage, name: 's' })).rejects.toMatchObject({ code: 'CONFLICT' })
  const pins = async (): Promise<number> =>
    (await storage.blobs.list('s/')).items.filter(({ name }) => name.includes('/pins/')).length
  expect(await pins()).toBe(1)
  await destroyStore({ storage, name: 'fork' })
  expect(await pins()).toBe(0)
  await outlive()
  await parent.close()
  await destroyStore({ storage, name: 's' })
})
