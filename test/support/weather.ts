/** A job of tests that are told anew: the highest reading of each station, counted by day, on any number of shards. */
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { rescale } from 'tidemark/group'
import { consume, fromIterable, type Output } from 'tidemark/stream'
import { expect } from 'vitest'

export const name = 'weather'
export const partitions = 6

export interface Reading {
  readonly station: string
  readonly day: number
  readonly degrees: number
}

export const STATIONS = ['Aare', 'Birs', 'Doubs', 'Emme', 'Inn', 'Kander', 'Limmat', 'Reuss', 'Saane', 'Thur']

/** A reading of each station on each day. */
export const readings = (days: number): Reading[] =>
  Array.from({ length: days }, (_, day) =>
    STATIONS.map((station, i) => ({ station, day: day + 1, degrees: 1 + ((i * 7 + day * day * 5) % 23) })),
  ).flat()

export function highest(days: number): [string, number][] {
  const most = new Map<string, number>()
  for (const { station, degrees } of readings(days)) most.set(station, Math.max(most.get(station) ?? 0, degrees))
  return [...most].sort(([a], [b]) => (a < b ? -1 : 1))
}

type Degrees = Store<string, number>

export const open = (storage: Storage, options: Partial<OpenOptions<number>> = {}): Promise<Degrees> =>
  openStore<string, number>({ storage, name, mode: 'exclusive', ...options })

interface RunOptions {
  /** It dies before this event, counted from 1. */
  readonly diesAt?: number
  readonly everyEvents?: number
  readonly sink?: (outputs: readonly Output<string>[]) => void
}

/** One run on the shard of a partition, to the end of what there is; answers the stations in the order of their events. */
export async function run(storage: Storage, shard: number, days: number, more: RunOptions = {}): Promise<string[]> {
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
export async function runAll(storage: Storage, shards: number, days: number): Promise<number> {
  const ranges = await rescale({ storage, name }, { shards })
  expect(ranges).toHaveLength(shards)
  const events = await Promise.all(ranges.map(({ first }) => run(storage, first, days)))
  return events.flat().length
}

export async function contents(storage: Storage): Promise<[string, number][]> {
  const store = await open(storage, { mode: 'follower' })
  const all: [string, number][] = []
  for await (const entry of store.entries()) all.push(entry)
  await store.close()
  return all
}

export async function create(storage: Storage, shards = 1): Promise<Storage> {
  const store = await open(storage, { partitions })
  await store.close()
  if (shards > 1) await rescale({ storage, name }, { shards })
  return storage
}
