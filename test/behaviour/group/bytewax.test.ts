/**
 * What Bytewax tests of recovery, told anew for stores that are split: other numbers of workers, what is missing, what does not fit.
 *
 * - A run that dies before a snapshot begins again, one that has them goes on after the last: a commit is the snapshot, and state,
 *   positions and outputs are in it together.
 * - A run that came to the end of its input is continued with more input, again and again, and finds nothing new when there is none.
 * - The next run has more workers, or fewer: shards are split and merged between runs, and while a group runs.
 * - A backup that lags behind: older versions are kept for it, and no run goes back to them by itself.
 * - No recovery data, a part of it missing, parts that do not fit together: each is an error with a code of its own.
 * - Recovery data of one job is not another's; its parts are made in a fixed number: here only the partitions are fixed.
 * - The epoch to resume from is the lowest that all workers have passed, the first one when a worker has said nothing, and none at
 *   all when a part has dropped it: the cut over all shards by epoch.
 * - Snapshots that nothing resumes from are dropped, but the newest of each key stays: collection.
 * - A part may be reachable by several workers, and one uses it: the second owner fences the first.
 * - Starting over is removing the recovery data: here a source's positions are set back by hand.
 *
 * Not here: which worker keeps which file, as shards lie in one storage; marks in the input that end or abort a run, as tests here end
 * runs themselves; the tables of the database, which has none.
 */
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { joinGroup, newestEpoch, rescale, restoreShards, tagShards } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { consume, fromIterable, type Output } from 'tidemark/stream'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../support/storages.js'
import { until } from '../../support/until.js'

const name = 'weather'
const partitions = 6

interface Reading {
  readonly station: string
  readonly day: number
  readonly degrees: number
}

const STATIONS = ['Aare', 'Birs', 'Doubs', 'Emme', 'Inn', 'Kander', 'Limmat', 'Reuss', 'Saane', 'Thur']

/** A reading of each station on each day. */
const readings = (days: number): Reading[] =>
  Array.from({ length: days }, (_, day) =>
    STATIONS.map((station, i) => ({ station, day: day + 1, degrees: 1 + ((i * 7 + day * day * 5) % 23) })),
  ).flat()

function highest(days: number): [string, number][] {
  const most = new Map<string, number>()
  for (const { station, degrees } of readings(days)) most.set(station, Math.max(most.get(station) ?? 0, degrees))
  return [...most].sort(([a], [b]) => (a < b ? -1 : 1))
}

type Degrees = Store<string, number>

const open = (storage: Storage, options: Partial<OpenOptions<number>> = {}): Promise<Degrees> =>
  openStore<string, number>({ storage, name, mode: 'exclusive', ...options })

interface RunOptions {
  /** It dies before this event, counted from 1. */
  readonly diesAt?: number
  readonly everyEvents?: number
  readonly sink?: (outputs: readonly Output<string>[]) => void
}

/** One run on the shard of a partition, to the end of what there is; answers the stations in the order of their events. */
async function run(storage: Storage, shard: number, days: number, more: RunOptions = {}): Promise<string[]> {
  const store = await open(storage, { shard })
  const seen: string[] = []
  try {
    await consume(
      store,
      fromIterable('readings', readings(days), { key: 'station' }),
      async ({ value }, state, emit: (output: string) => void) => {
        const { station, degrees } = value as Reading
        if (seen.length + 1 === more.diesAt) throw new Error('it dies')
        seen.push(station)
        const before = (await state.get(station)) as number | undefined
        if (degrees <= (before ?? 0)) return
        state.put(station, degrees)
        if (more.sink) emit(`${station} ${degrees}`)
      },
      {
        everyMs: Infinity,
        everyEvents: more.everyEvents ?? Infinity,
        epoch: (event) => (event.value as Reading).day,
        ...(more.sink && { sink: { deliver: more.sink } }),
      },
    ).catch((error: unknown) => expect(String(error)).toContain('it dies'))
  } finally {
    await store.close()
  }
  return seen
}

/** A run of so many workers, each with a shard. */
async function runAll(storage: Storage, shards: number, days: number): Promise<number> {
  const ranges = await rescale({ storage, name }, { shards })
  expect(ranges).toHaveLength(shards)
  const events = await Promise.all(ranges.map(({ first }) => run(storage, first, days)))
  return events.flat().length
}

async function contents(storage: Storage): Promise<[string, number][]> {
  const store = await open(storage, { mode: 'follower' })
  const all: [string, number][] = []
  for await (const entry of store.entries()) all.push(entry)
  await store.close()
  return all
}

async function create(storage: Storage, shards = 1): Promise<Storage> {
  const store = await open(storage, { partitions })
  await store.close()
  if (shards > 1) await rescale({ storage, name }, { shards })
  return storage
}

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

describe('what is missing or does not fit', () => {
  const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

  test('no store at all is NOT_FOUND for a run that is to go on', async () => {
    await expect(open(memory(), { create: false })).rejects.toThrow(code('NOT_FOUND'))
    await expect(rescale({ storage: memory(), name }, { shards: 3 })).rejects.toThrow(code('NOT_FOUND'))
  })

  test('a new store begins at the beginning', async () => {
    const storage = await create(memory(), 3)
    const shard = await open(storage, { shard: 4 })
    expect(shard.offsets).toEqual({})
    await shard.close()
    expect(await newestEpoch({ storage, name })).toBe(undefined)
  })

  /** Three shards in a folder, each with a run behind it; the folders of their logs. */
  async function onFiles(): Promise<{ folder: string; logs: string[] }> {
    const folder = temporaryFolder()
    await runAll(await create(nodeFs(folder)), 3, 1)
    const logs = readdirSync(join(folder, name)).filter((each) => each.length === 32)
    return { folder, logs }
  }

  test('a shard whose entries are gone is refused, and the others are opened', async () => {
    const { folder, logs } = await onFiles()
    rmSync(join(folder, name, logs[1]!, logs[1]!), { recursive: true })
    const codes: (string | undefined)[] = []
    for (const shard of [0, 2, 4]) {
      const store = await open(nodeFs(folder), { shard }).catch(
        (error: { code: string }) => void codes.push(error.code),
      )
      if (store) expect(store.offsets).not.toEqual({})
      await store?.close()
    }
    expect(codes).toEqual(['CORRUPT'])
    await expect(contents(nodeFs(folder))).rejects.toThrow(code('CORRUPT'))
  })

  test('a shard that was put back to an older copy is refused by who knows its version', async () => {
    const { folder, logs } = await onFiles()
    const copy = temporaryFolder()
    cpSync(join(folder, name, logs[0]!), copy, { recursive: true })
    await runAll(nodeFs(folder), 3, 2)
    const { shards } = await open(nodeFs(folder), { mode: 'follower' })
    rmSync(join(folder, name, logs[0]!), { recursive: true })
    cpSync(copy, join(folder, name, logs[0]!), { recursive: true })
    const refused: string[] = []
    for (const { first, version } of shards) {
      const store = await open(nodeFs(folder), { shard: first, expectAtLeast: version }).catch(
        (error: { code: string }) => void refused.push(error.code),
      )
      await store?.close()
    }
    expect(refused).toEqual(['ROLLED_BACK'])
    // Its shards do not stand at one epoch any more, and the cut is the older one.
    expect(await newestEpoch({ storage: nodeFs(folder), name })).toBe(1)
  })

  test('another job, and another number of partitions, are refused', async () => {
    const storage = memory()
    await (await open(storage, { partitions, job: 'highest' })).close()
    await rescale({ storage, name }, { shards: 2 })
    const shard = 3
    await expect(open(storage, { shard, job: 'lowest' })).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(open(storage, { shard, partitions: 8 })).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(rescale({ storage, name }, { shards: partitions + 1 })).rejects.toThrow(code('INVALID_ARGUMENT'))
  })

  test('of two workers with one shard the second fences the first', async () => {
    const storage = await create(memory(), 2)
    const one = await open(storage, { shard: 0 })
    const two = await open(storage, { shard: 1 })
    one.partition(0).put('x', 1)
    await expect(one.commit()).rejects.toThrow(code('FENCED'))
    two.partition(0).put('x', 2)
    await two.commit()
    await one.close()
    await two.close()
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
