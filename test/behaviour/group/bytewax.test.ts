/**
 * What Bytewax tests of recovery, told anew for stores that are split: other numbers of workers, what is missing, what does not fit.
 *
 * - A run that dies before a snapshot begins again, one that has them goes on after the last: a commit is the snapshot, and state,
 *   positions and outputs are in it together.
 * - A run that came to the end of its input is continued with more input, again and again, and finds nothing new when there is none.
 * - The next run has more workers, or fewer: shards are split and merged between runs, and while a group runs.
 * - A backup that lags behind: older versions are kept for it, and no run goes back to them by itself.
 * - No recovery data, parts missing or that do not fit together, other jobs: in bytewax-missing.test.ts.
 * - The epoch to resume from is the lowest that all workers have passed, the first one when a worker has said nothing, and none at
 *   all when a part has dropped it: the cut over all shards by epoch.
 * - Snapshots that nothing resumes from are dropped, but the newest of each key stays: collection.
 * - Starting over is removing the recovery data: here a source's positions are set back by hand.
 *
 * Not here: which worker keeps which file, as shards lie in one storage; marks in the input that end or abort a run, as tests here end
 * runs themselves; the tables of the database, which has none.
 */
import { joinGroup, newestEpoch, rescale, restoreShards, tagShards } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { fromIterable, type Output } from 'tidemark/stream'
import { describe, expect, test } from 'vitest'
import { until } from '../../support/until.js'
import {
  contents,
  create,
  highest,
  name,
  open,
  readings,
  run,
  runAll,
  STATIONS,
  type Reading,
} from '../../support/weather.js'

describe('a run after a run', () => {
  test('that died before its first commit handles all events again', async () => {
    const storage = await create(memory())
    expect(await run(storage, 0, 1, { diesAt: 4 })).toHaveLength(3)
    expect(await contents(storage)).toEqual([])
    expect(await run(storage, 0, 1)).toHaveLength(STATIONS.length)
    expect(await contents(storage)).toEqual(highest(1))
  })

  test('that committed after each event goes on behind the last, in every shard', async () => {
    const storage = await create(memory(), 2)
    const whole = await create(memory(), 2)
    for (const shard of [0, 3]) {
      const all = await run(whole, shard, 2)
      const before = await run(storage, shard, 2, { diesAt: 4, everyEvents: 1 })
      expect([...before, ...(await run(storage, shard, 2, { everyEvents: 1 }))]).toEqual(all)
    }
    expect(await contents(storage)).toEqual(highest(2))
  })

  test('that ended is continued with what has come, and finds nothing when nothing has', async () => {
    const storage = await create(memory(), 3)
    const place = { storage, name }
    for (let days = 1; days <= 4; days++) {
      expect(await runAll(storage, 3, days)).toBe(STATIONS.length)
      expect(await contents(storage)).toEqual(highest(days))
      expect(await newestEpoch(place)).toBe(days)
    }
    expect(await runAll(storage, 3, 4)).toBe(0)
    expect(await runAll(storage, 3, 4)).toBe(0)
  })

  test('keeps older versions for backups that lag behind, and never goes on from one', async () => {
    const storage = await create(memory(), 2)
    for (let days = 1; days <= 5; days++) expect(await runAll(storage, 2, days)).toBe(STATIONS.length)
    const follower = await open(storage, { mode: 'follower' })
    const past = await follower.at({ epoch: 2 })
    const then: [string, number][] = []
    for await (const entry of past.entries()) then.push(entry)
    expect(then).toEqual(highest(2))
    await past.close()
    await follower.close()
    expect(await runAll(storage, 2, 5)).toBe(0)
  })
})

describe('another number of workers', () => {
  test.each([
    [3, 5, 1],
    [1, 6, 4],
    [6, 2, 3],
  ])('%i, then %i, then %i: state and positions go to whom they belong', async (...counts) => {
    const storage = await create(memory())
    for (const [i, shards] of counts.entries()) {
      expect(await runAll(storage, shards, i + 1)).toBe(STATIONS.length)
      expect(await contents(storage)).toEqual(highest(i + 1))
    }
  })

  test('after runs that died at different places each event has its effect once', async () => {
    const storage = await create(memory(), 3)
    const place = { storage, name }
    let events = 0
    for (const [diesAt, shard] of [0, 2, 4].entries()) {
      events += (await run(storage, shard, 3, { diesAt: diesAt + 1, everyEvents: 1 })).length
    }
    await rescale(place, { shards: 1 })
    events += (await run(storage, 0, 3, { diesAt: 6, everyEvents: 1 })).length
    await rescale(place, { shards: 5 })
    for (const { first } of await rescale(place, { shards: 5 })) events += (await run(storage, first, 3)).length
    expect(events).toBe(3 * STATIONS.length)
    expect(await contents(storage)).toEqual(highest(3))
  })

  test('outputs that were delivered keep their ids, so that a sink knows what comes twice', async () => {
    const storage = await create(memory())
    const place = { storage, name }
    const delivered = new Map<string, string>()
    const sink = (outputs: readonly Output<string>[]): void => {
      for (const { id, value } of outputs) {
        expect(delivered.get(id) ?? value).toBe(value)
        delivered.set(id, value)
      }
    }
    const failing = (outputs: readonly Output<string>[]): void => {
      sink(outputs)
      throw new Error('it dies')
    }
    await run(storage, 0, 1, { sink: failing })
    for (const { first } of await rescale(place, { shards: 3 })) await run(storage, first, 2, { sink })
    const rises = readings(2).filter(({ station, day, degrees }) =>
      readings(2).every((other) => other.station !== station || other.day >= day || other.degrees < degrees),
    )
    expect([...delivered.values()].sort()).toEqual(rises.map(({ station, degrees }) => `${station} ${degrees}`).sort())
  })

  test('while they run: a group is rescaled in the midst of its events', async () => {
    const storage = await create(memory())
    const days = 12
    const seen: number[] = []
    const group = await joinGroup({ storage, name, leaseMs: 3000, logger: false })
    const running = group.run(
      fromIterable('readings', readings(days), { key: 'station' }),
      async ({ offset, value }, state) => {
        const { station, degrees } = value as Reading
        seen.push(offset as number)
        const before = (await state.get(station)) as number | undefined
        state.put(station, Math.max(before ?? 0, degrees))
        await new Promise((resolve) => setTimeout(resolve, 1))
      },
      { everyEvents: 5 },
    )
    await until(() => seen.length > 10)
    await group.rescale({ shards: 5 })
    await group.rescale({ shards: 2 })
    await until(() => seen.length === days * STATIONS.length)
    await group.leave()
    await running
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: days * STATIONS.length }, (_, i) => i))
    expect(await contents(storage)).toEqual(highest(days))
  })
})

describe('the epoch to go on from', () => {
  test('is the newest that all shards have passed', async () => {
    const storage = await create(memory(), 3)
    const place = { storage, name }
    for (const [i, shard] of [0, 2, 4].entries()) await run(storage, shard, [4, 3, 5][i]!)
    expect(await newestEpoch(place)).toBe(3)
    await restoreShards(place, { epoch: 3 })
    expect(await contents(storage)).toEqual(highest(3))
    await runAll(storage, 2, 5)
    expect(await contents(storage)).toEqual(highest(5))
  })

  test('is none while a shard has passed none', async () => {
    const storage = await create(memory(), 3)
    const place = { storage, name }
    await run(storage, 0, 2)
    await run(storage, 4, 2)
    expect(await newestEpoch(place)).toBe(undefined)
    await expect(tagShards(place, 'backup')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await run(storage, 2, 1)
    expect(await newestEpoch(place)).toBe(1)
  })

  test('that one shard does not keep any more is no cut, and none is changed by asking for it', async () => {
    const storage = await create(memory(), 2)
    const place = { storage, name }
    await runAll(storage, 2, 1)
    const retain = { versions: 1, ageMs: 0, hourly: 0, daily: 0 }
    const store = await open(storage, { shard: 0, retain })
    for (let i = 0; i < 3; i++) {
      store.partition(0).put('x', i)
      await store.commit()
      await store.checkpoint()
      await store.maintain()
    }
    await store.close()
    const before = await contents(storage)
    // The newest value of each key is kept, whatever was dropped.
    expect(before.filter(([key]) => key !== 'x')).toEqual(highest(1))
    await expect(restoreShards(place, { epoch: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(tagShards(place, 'backup', { epoch: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await contents(storage)).toEqual(before)
  })

  test('is kept by a backup of each shard under one name, whatever is collected and however the store is split later', async () => {
    const storage = await create(memory(), 3)
    const place = { storage, name }
    await runAll(storage, 3, 2)
    await tagShards(place, 'backup', { epoch: 2 })
    await runAll(storage, 2, 4)
    await restoreShards(place, 'backup')
    expect(await contents(storage)).toEqual(highest(2))
    expect(await runAll(storage, 4, 4)).toBe(2 * STATIONS.length)
    expect(await contents(storage)).toEqual(highest(4))
  })

  test('is the first one again when the positions are set back', async () => {
    const storage = await create(memory(), 2)
    await runAll(storage, 2, 2)
    for (const shard of [0, 3]) {
      const store = await open(storage, { shard })
      const keys: string[] = []
      for await (const key of store.keys()) keys.push(key)
      for (const key of keys) store.delete(key)
      await store.commit({ offsets: { readings: 0 }, force: true })
      await store.close()
    }
    expect(await runAll(storage, 2, 2)).toBe(2 * STATIONS.length)
    expect(await contents(storage)).toEqual(highest(2))
  })
})
