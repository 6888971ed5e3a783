/** What a group costs, counted in requests, so that it does not depend on the machine. */
import { openStore, type Storage } from 'tidemark'
import { rescale } from 'tidemark/group'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import { expect, test } from 'vitest'
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

test('an idle member sends one swap and at most three reads in a third of a lease, however many shards it has', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 6)
      world.events = 2
      const calls: { by: string; method: string; at: number }[] = []
      const names = ['a', 'b', 'c', 'd']
      const thirds = 30
      let from = Infinity
      const members = names.map((name) =>
        world.member(
          name,
          {},
          async (group, me) => {
            await world.until(() => from + (thirds * LEASE) / 3 < world.sim.clock.monotonic(), me)
            await group.leave()
          },
          (storage) =>
            told(storage, ({ method }) => void calls.push({ by: name, method, at: world.sim.clock.monotonic() })),
        ),
      )
      await world.until(() => world.isCounted())
      // Until the last shard has found its place.
      await world.pass(4 * LEASE)
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
    { partitions: 6 },
  )
})

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

test('a planned handoff closes a shard for three round trips: the last commit, the read that sees it, and the fence', async () => {
  await inWorld(async (world) => {
    world.workMs = 40
    world.events = 400
    /** Of the shard's log: what was sent by whom, and when. */
    const sent: { by: string; method: string; at: number }[] = []
    const on = (by: string) => (storage: Storage) =>
      told(storage, ({ target, path, method }) => {
        // The anchor is read beside the fence.
        if (target !== 'anchor' && path.startsWith('s/0/')) sent.push({ by, method, at: world.sim.clock.monotonic() })
      })
    const a = world.member(
      'a',
      {},
      async (group, me) => {
        await world.until(() => world.begun.length > 50 && group.members().length === 2, me)
        await group.leave()
      },
      on('a'),
    )
    await world.until(() => world.begun.length > 10)
    const b = world.member(
      'b',
      {},
      async (group, me) => {
        await world.until(() => world.begun.at(-1)?.by === 'b' && world.begun.length > 300, me)
        await group.leave()
      },
      on('b'),
    )
    await Promise.all([a.done, b.done])
    const fence = sent.findIndex(({ by, method }) => by === 'b' && method === 'claim')
    const last = sent.slice(0, fence).findLastIndex(({ by, method }) => by === 'a' && method === 'append')
    const pause = sent.slice(last, fence + 1)
    // A read that was on its way when the commit came sees nothing yet.
    // The former owner closes its handle beside.
    const closing = ['a put', 'a delete', 'a close']
    const by = pause.map((call) => `${call.by} ${call.method}`).filter((call) => !closing.includes(call))
    // The next entry is read by itself, or with what may stand behind it.
    expect(by.filter((call) => call !== 'b read' && call !== 'b readTail')).toEqual(['a append', 'b claim'])
    expect(by.length).toBeLessThanOrEqual(2 + 2)
    const events = world.begun.map(({ partition, offset }) => `${partition}/${offset}`)
    expect(new Set(events).size).toBe(events.length)
    const [before] = world.begun.filter(({ by }) => by === 'a').slice(-1)
    const [after] = world.begun.filter(({ by }) => by === 'b')
    // Three round trips of at most 40 ms each, the event in hand, and what lies between two looks.
    expect(after!.at - before!.at).toBeLessThan(40 + 3 * 40 + LEASE / 60 + 40)
  })
})

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
    // It followed, and looked for what was written since; who buries reads the end of the log for itself.
    expect(own.filter(({ target }) => target === 'blobs')).toEqual([])
    const [first] = world.begun.filter(({ by }) => by === 'b')
    expect(first!.at - died).toBeLessThan(2 * LEASE)
  })
})
