/** What becomes of the shards of a member whose lease, or whose clock, is not as it should be. */
import { joinGroup, renewInWorker, workerRenewer, type Group } from 'tidemark/group'
import { faulty, type Actor } from 'tidemark/testing'
import { expect, test } from 'vitest'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import type { Run } from '../../../src/storage/turns.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'
import { withJumps } from '../../support/members.js'
import { line } from '../../support/worker-line.js'

const all = (world: World): number => world.partitions * world.events

test('a clock that is set costs nobody a shard', async () => {
  await inWorld(async (world) => {
    world.workMs = 300
    const lost: unknown[] = []
    const moved = (name: string, body: (jump: (ms: number) => void) => Promise<void>): Actor =>
      world.sim.actor(name, async (me) => {
        const { me: own, jump } = withJumps(me)
        const group = await joinGroup({ ...world.options(me), clock: own.clock })
        group.on('rebalance', (change) => lost.push(...change.lost))
        const running = world.run(group, me)
        await body(jump)
        await world.until(() => world.isCounted())
        await group.leave()
        await running
      })
    const a = moved('a', async (jump) => {
      for (const ms of [10 * LEASE, -5 * LEASE, 3_600_000]) {
        const { length } = world.begun
        await world.until(() => world.begun.length > length + 5)
        jump(ms)
      }
    })
    await world.until(() => world.begun.length > 2)
    const b = moved('b', async (jump) => {
      for (let i = 0; i < 5; i++) {
        await world.pass(LEASE / 2)
        jump(LEASE)
      }
    })
    await Promise.all([a.done, b.done])
    expect(lost).toEqual([])
    expect(world.begun).toHaveLength(all(world))
  })
})

test('who gets no answer for a lease begins nothing more, and goes on when it is answered', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    let isCut = false
    const member = world.sim.actor('a', async (me) => {
      const options = world.options(me)
      const storage = faulty(options.storage, () => (isCut ? 'error-before' : undefined))
      const group = await joinGroup({ ...options, storage })
      const running = world.run(group, me)
      await world.until(() => world.isCounted())
      await group.leave()
      await running
    })
    await world.until(() => world.begun.length > 5)
    const cut = world.sim.clock.monotonic()
    isCut = true
    await world.pass(4 * LEASE)
    expect(world.begun.filter(({ at }) => at > cut + LEASE)).toEqual([])
    isCut = false
    await member.done
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
  })
})

test('a thread that is blocked for leases keeps its shard by a worker, and begins no event twice', async () => {
  await inWorld(async (world) => {
    const { sim } = world
    world.workMs = 300
    const lost: unknown[] = []
    let end!: () => void
    const over = new Promise<void>((resolve) => (end = resolve))
    const worker = sim.actor('worker', () => over)
    const thread = sim.actor('thread', async (me) => {
      const [here, there] = line(me.clock, worker.clock)
      renewInWorker({ storage: worker.storage(world.storage), port: there, clock: worker.clock })
      const group = await joinGroup(world.options(me, { renewer: workerRenewer(here) }))
      group.on('rebalance', (change) => lost.push(...change.lost))
      const running = world.run(group, me)
      await world.until(() => world.begun.length === all(world), me)
      await world.pass(1000)
      await group.leave()
      await running
    })
    await world.until(() => world.begun.length > 2)
    const other = world.member('b', { weight: 0.001 }, async (group, me) => {
      await world.until(() => world.begun.length === all(world), me)
      await group.leave()
    })
    await world.pass(LEASE)
    sim.stall(thread, 3 * LEASE)
    await Promise.all([thread.done, other.done])
    end()
    expect(lost).toEqual([])
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    expect(world.begun).toHaveLength(all(world))
  })
})

test('a shard that is taken while its member goes is let go', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    await world.create(2)
    const stays = world.member('a', {}, async (group) => {
      await world.until(() => world.isCounted())
      await group.leave()
    })
    await world.until(() => world.begun.length > 0)
    let leaving: Promise<void> | undefined
    const goes = world.sim.actor('b', async (me) => {
      const options = world.options(me)
      const joined: { group?: Group } = {}
      const storage = intercept(options.storage, async <T>(call: Call, run: Run<T>) => {
        const isFence = (call.method === 'claim' || call.method === 'append') && !call.path.startsWith('s/group/')
        if (isFence && joined.group) await (leaving ??= joined.group.leave({ timeoutMs: 0 }))
        return run(call.signal)
      })
      const group = await joinGroup({ ...options, storage })
      joined.group = group
      const running = world.run(group, me)
      await world.until(() => leaving !== undefined)
      await leaving
      await running
      await world.pass(3 * LEASE)
      expect(group.status().owned).toEqual([])
    })
    await goes.done
    await stays.done
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
  })
})
