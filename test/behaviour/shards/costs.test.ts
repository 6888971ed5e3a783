/** What splitting, merging and opening cost on a storage far away, counted in virtual time: each round trip takes ten milliseconds. */
import { openStore, systemClock, type Clock, type Storage } from 'tidemark'
import { simulate, type Actor } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { closeLog } from '../../../src/engine/context.js'
import { replaceOwned } from '../../../src/engine/shards/owned.js'
import { rescaleLogs } from '../../../src/engine/shards/rescale.js'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import type { Run } from '../../../src/storage/turns.js'
import { handleOf } from '../../../src/store/handles.js'
import { contextOf } from '../../../src/transfer/options.js'
import { objects } from '../../support/collecting-world.js'

const name = 's'
const PARTITIONS = 8
const TRIP = 10
const CUTS = { 1: [], 2: [4], 4: [2, 4, 6] } as const
type Shards = keyof typeof CUTS

interface Sent {
  readonly call: Call
  readonly at: number
}

interface World {
  readonly me: Actor
  readonly storage: Storage
  readonly clock: Clock
  /** What was sent since it was emptied. */
  readonly sent: Sent[]
}

/** Runs on an object store of which each call takes a trip there and back. */
async function far(act: (world: World) => Promise<void>): Promise<void> {
  const options = { seed: 1, delayMs: [TRIP / 2, TRIP / 2], slow: { chance: 0, ms: 0 } } as const
  await simulate(options, async (me) => {
    const sent: Sent[] = []
    const line = me.storage(objects({ ...systemClock, now: () => me.clock.now() }, 'writer'))
    const storage = intercept(line, async <T>(call: Call, run: Run<T>) => {
      // Nothing is sent for it.
      if (call.method === 'close') return undefined as T
      sent.push({ call, at: me.clock.monotonic() })
      return run(call.signal)
    })
    await act({ me, storage, clock: me.clock, sent })
  })
}

function openAt({ storage, clock }: World, shard: number): ReturnType<typeof openStore<string, number>> {
  return openStore<string, number>({ storage, name, clock, shard, mode: 'exclusive', partitions: PARTITIONS })
}

/** A store of so many shards, each with a segment and a tail. */
async function prepare(world: World, shards: Shards): Promise<void> {
  const root = await openAt(world, 0)
  for (let p = 0; p < PARTITIONS; p++) root.partition(p).put('a', p)
  await root.commit()
  await root.checkpoint()
  await root.close()
  if (shards > 1) await rescale(world, shards)
  for (const shard of [0, ...CUTS[shards]]) {
    const store = await openAt(world, shard)
    store.partition(shard).put('b', shard)
    await store.commit()
    await store.close()
  }
  world.sent.length = 0
}

function rescale({ storage, clock }: World, shards: Shards): ReturnType<typeof rescaleLogs> {
  return rescaleLogs(contextOf({ storage, name }, clock), () => CUTS[shards])
}

const isSeal = ({ call }: Sent): boolean => call.method === 'claim' || call.method === 'append'
const isOfSegment = ({ call }: Sent): boolean => call.target === 'blobs'

/** From and to so many shards. */
const STEPS: readonly (readonly [Shards, Shards])[] = [
  [1, 2],
  [1, 4],
  [2, 4],
  [2, 1],
  [4, 1],
  [4, 2],
]

test.each(STEPS)('anybody makes %i shards %i in four round trips from the first seal on, by few requests', (from, to) =>
  far(async (world) => {
    await prepare(world, from)
    await rescale(world, to)
    const { sent } = world
    const acts = sent.slice(sent.findIndex(isSeal))
    // Closed until the last child has its anchor; what comes after that only makes it quicker for the next.
    const lastEntry = acts.findLastIndex(isSeal)
    const named = acts.slice(lastEntry).find(({ call }) => call.method === 'swap')!
    expect((named.at - acts[0]!.at) / TRIP + 1).toBeLessThanOrEqual(4)
    const blocks = from < to ? from : to
    const [parents, children] = [from / blocks, to / blocks]
    // The root's list is swapped once for all of them.
    expect(acts.length).toBeLessThanOrEqual(blocks * (2 * Math.max(parents, children) + 2) + 1)
    expect(sent.filter(isOfSegment)).toEqual([])
  }),
)

test.each([
  [1, 2],
  [1, 4],
] as const)('an owner splits %i shard into %i in two round trips', (from, to) =>
  far(async (world) => {
    await prepare(world, from)
    const store = await openAt(world, 0)
    world.sent.length = 0
    const begun = world.clock.monotonic()
    const size = PARTITIONS / to
    const children = Array.from({ length: to }, (_, i) => ({ first: i * size, last: (i + 1) * size - 1 }))
    const { born, named } = await replaceOwned([handleOf(store).shard], children, undefined)
    expect(world.clock.monotonic() - begun).toBeCloseTo(2 * TRIP)
    expect(born.length).toBe(to)
    await named()
    await settled(world)
    expect(world.sent.length).toBeLessThanOrEqual(2 * to + 3)
    expect(world.sent.filter(isOfSegment)).toEqual([])
    for (const { context, log } of born) await closeLog(context, log)
    await store.close()
  }),
)

test.each([2, 4] as const)('an owner of %i shards merges them in two round trips', (from) =>
  far(async (world) => {
    await prepare(world, from)
    const stores = await Promise.all([0, ...CUTS[from]].map((shard) => openAt(world, shard)))
    world.sent.length = 0
    const begun = world.clock.monotonic()
    const shards = stores.map((store) => handleOf(store).shard)
    const { born, named } = await replaceOwned(shards, [{ first: 0, last: PARTITIONS - 1 }], undefined)
    expect(world.clock.monotonic() - begun).toBeCloseTo(2 * TRIP)
    expect(born.length).toBe(1)
    await named()
    await settled(world)
    expect(world.sent.length).toBeLessThanOrEqual(2 * from + 3)
    expect(world.sent.filter(isOfSegment)).toEqual([])
    for (const { context, log } of born) await closeLog(context, log)
    for (const store of stores) await store.close()
  }),
)

/** Waits for what goes on beside. */
async function settled({ clock }: World): Promise<void> {
  await new Promise<void>((resolve) => void clock.timer(20 * TRIP, resolve))
}

/** How many round trips it takes to come to the log of a shard. */
async function tripsTo(world: World, shard: number): Promise<number> {
  world.sent.length = 0
  const begun = world.clock.monotonic()
  await (await openAt(world, shard)).close()
  return (world.sent.find(({ call }) => call.target === 'log')!.at - begun) / TRIP
}

test('opening a shard takes a round trip more, and one more for each seal that the list does not know of', () =>
  far(async (world) => {
    await prepare(world, 1)
    expect(await tripsTo(world, 0)).toBeCloseTo(1)
    await rescale(world, 2)
    expect(await tripsTo(world, 0)).toBeCloseTo(2)
    // Whoever splits it dies before he comes to the list.
    const isList = ({ method, path }: Call): boolean => method === 'swap' && path === 's/0/anchor'
    const storage = intercept(world.storage, async <T>(call: Call, run: Run<T>) =>
      isList(call) ? ({ outcome: 'lost' } as T) : run(call.signal),
    )
    await rescale({ ...world, storage }, 4)
    expect(await tripsTo(world, 0)).toBeCloseTo(3)
  }))

test('owners read less than they write to collect what was sealed, when one of four shards is quiet and keeps it', () =>
  far(async (world) => {
    await prepare(world, 4)
    const stores = await Promise.all([0, 2, 4].map((shard) => openAt(world, shard)))
    world.sent.length = 0
    const commits = 1000
    for (let i = 0; i < commits; i++) {
      for (const [s, store] of stores.entries()) {
        store.partition(2 * s).put('a', i)
        await store.commit()
      }
    }
    await settled(world)
    const reads = world.sent.filter(({ call }) => call.kind === 'get')
    expect(reads.length).toBeLessThan(commits * stores.length)
    for (const store of stores) await store.close()
  }))
