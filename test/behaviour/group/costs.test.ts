/** What a group costs, counted in requests, so that it does not depend on the machine. */
import { openStore, type Storage } from 'tidemark'
import { rescale, type Group } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import type { Actor } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { byEntry } from '../../support/by-entry.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'

/** A storage of which each request is told. */
const told = (inner: Storage, tell: (call: Call) => void): Storage =>
  intercept(inner, (call, run) => {
    tell(call)
    return run(undefined)
  })

async function begin(world: World, shards: number): Promise<void> {
  const place = { storage: world.sim.storage(world.storage), name: 's' }
  const store = await openStore({ ...place, partitions: world.partitions, clock: world.sim.clock, logger: false })
  await store.close()
  await rescale(place, { shards }, { clock: world.sim.clock })
}

test.each([
  [6, 0],
  [16, 1],
  [64, 1],
])(
  'an idle member of a group of %i shards, with %i standbys of each, sends one swap and at most three reads in a third of a lease',
  async (shards, standbys) => {
    await inWorld(
      async (world) => {
        await begin(world, shards)
        world.events = 2
        const calls: { by: string; method: string; at: number }[] = []
        const names = ['a', 'b', 'c', 'd']
        const thirds = 30
        const groups: Group[] = []
        let from = Infinity
        const members = names.map((name) =>
          world.member(
            name,
            { standbys },
            async (group, me) => {
              groups.push(group)
              await world.until(() => from + (thirds * LEASE) / 3 < world.sim.clock.monotonic(), me)
              await group.leave()
            },
            (storage) =>
              told(storage, ({ method }) => void calls.push({ by: name, method, at: world.sim.clock.monotonic() })),
          ),
        )
        await world.until(() => world.isCounted())
        // Until the last shard has found its place, and is found to be quiet.
        await world.pass(4 * LEASE)
        const isPlaced = (): boolean =>
          groups[0]!.assignment().every((shard) => shard.owner && shard.standbys.length === standbys)
        await world.until(isPlaced)
        await world.pass(5 * LEASE)
        from = world.sim.clock.monotonic()
        await Promise.all(members.map(({ done }) => done))
        for (const name of names) {
          const own = calls.filter(({ by, at }) => by === name && at >= from && at < from + (thirds * LEASE) / 3)
          const swaps = own.filter(({ method }) => method === 'swap')
          const reads = own.filter(({ method }) => method === 'read')
          // One more of each where a third begins before the first and ends after the last.
          expect(swaps.length).toBeLessThanOrEqual(thirds + 1)
          expect(reads.length).toBeLessThanOrEqual(3 * (thirds + 1))
          expect(own).toHaveLength(swaps.length + reads.length)
        }
      },
      { partitions: shards, maxSteps: 1_000_000 },
    )
  },
)

test('nothing is sent when nobody is a member', async () => {
  await inWorld(async (world) => {
    world.events = 2
    let calls = 0
    const member = world.member(
      'a',
      {},
      async (group, me) => {
        await world.until(() => world.isCounted(), me)
        await group.leave()
      },
      (storage) => told(storage, () => void calls++),
    )
    await member.done
    const before = calls
    await world.pass(10 * LEASE)
    expect(calls).toBe(before)
  })
})

test.each([
  ['read together', (storage: Storage) => storage],
  ['read one by one', (storage: Storage): Storage => ({ ...storage, log: (path) => byEntry(storage.log(path)) })],
])(
  'a planned handoff closes a shard for three round trips: the last commit, the read that sees it, and the fence; entries are %s',
  async (_name, of) => {
    const tripMs = 100
    for (const workMs of [10, 30, 250]) {
      await inWorld(
        async (world) => {
          world.workMs = workMs
          world.events = 4_000
          /** Of the shard's log: what was sent by whom, and when. */
          const sent: { by: string; method: string; at: number }[] = []
          const on = (by: string) => (storage: Storage) =>
            told(storage, ({ target, path, method }) => {
              if (target !== 'anchor' && path.startsWith('s/0/'))
                sent.push({ by, method, at: world.sim.clock.monotonic() })
            })
          const a = world.member(
            'a',
            {},
            async (group, me) => {
              await world.until(() => world.begun.length > 20 && group.members().length === 2, me)
              await group.leave()
            },
            on('a'),
          )
          await world.until(() => world.begun.length > 10)
          const b = world.member(
            'b',
            {},
            async (group, me) => {
              await world.until(() => world.begun.at(-1)!.by === 'b', me)
              await group.leave()
            },
            on('b'),
          )
          await Promise.all([a.done, b.done])
          const fence = sent.find(({ by, method }) => by === 'b' && method === 'claim')!
          const last = sent.findLast(({ by, method, at }) => by === 'a' && method === 'append' && at < fence.at)!
          // The fence is answered a round trip later.
          expect(fence.at + tripMs - last.at).toBeLessThanOrEqual(3 * tripMs)
          const events = world.begun.map(({ partition, offset }) => `${partition}/${offset}`)
          expect(new Set(events).size).toBe(events.length)
        },
        { tripMs, storage: of(memory()) },
      )
    }
  },
)

test('a standby goes on within two leases of a death, and reads no segment for that', async () => {
  await inWorld(async (world) => {
    world.workMs = 100
    world.events = 60
    const a = world.member('a', { standbys: 1 })
    await world.until(() => world.begun.length > 10)
    const calls: { target: string; method: string; at: number }[] = []
    const b = world.member(
      'b',
      {},
      async (group, me) => {
        await world.until(() => world.isCounted(), me)
        await group.leave()
      },
      (storage) =>
        told(storage, ({ target, path, method }) => {
          if (path.startsWith('s/0/')) calls.push({ target, method, at: world.sim.clock.monotonic() })
        }),
    )
    await world.pass(2 * LEASE)
    const died = world.sim.clock.monotonic()
    world.sim.crash(a)
    await b.done
    const fence = calls.find(({ method, at }) => method === 'claim' && at > died)!
    const own = calls.filter(({ at }) => at > died && at <= fence.at)
    // It followed, and looked for what was written since, as who buries does by the same handle.
    expect(own.filter(({ target }) => target === 'blobs')).toEqual([])
    const [first] = world.begun.filter(({ by }) => by === 'b')
    expect(first!.at - died).toBeLessThan(2 * LEASE)
  })
})

test('a standby reads nothing of a shard to which nothing is written, and follows again within a lease of the next commit', async () => {
  await inWorld(
    async (world) => {
      const { clock } = world.sim
      world.events = 30
      let [slept, woke] = [Infinity, Infinity]
      world.onBegin = ({ offset, at }) => {
        // One event is in hand for long.
        world.workMs = offset === 10 ? 10 * LEASE : 400
        if (offset === 10) slept = at
        if (offset === 11) woke = at
      }
      const reads: number[] = []
      const body = async (group: Group, me: Actor): Promise<void> => {
        await world.until(() => world.isCounted(), me)
        await group.leave()
      }
      const a = world.member('a', { standbys: 1 }, body)
      await world.until(() => world.begun.length > 2)
      const b = world.member('b', {}, body, (storage) =>
        told(storage, ({ target, path }) => {
          if (target === 'log' && path.startsWith('s/0/')) reads.push(clock.monotonic())
        }),
      )
      await Promise.all([a.done, b.done])
      expect(world.begun.filter(({ by }) => by === 'b')).toEqual([])
      const count = (from: number, to: number): number => reads.filter((at) => at > from && at < to).length
      expect(count(slept, slept + 3 * LEASE)).toBeGreaterThan(3)
      expect(count(slept + 6 * LEASE, woke)).toBe(0)
      expect(count(woke, woke + LEASE)).toBeGreaterThan(0)
    },
    { partitions: 1 },
  )
})
