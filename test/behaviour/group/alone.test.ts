/** A group of one shard: its members own it one after another. */
import { expect, test } from 'vitest'
import { inWorld } from '../../support/groups.js'

test('one member creates the store, owns it, counts all events, and leaves', async () => {
  await inWorld(async (world) => {
    const all = world.partitions * world.events
    const member = world.member('a', {}, async (group) => {
      await world.until(() => world.begun.length === all)
      await world.pass(1000)
      await group.leave()
    })
    await member.done
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    expect(world.begun).toHaveLength(all)
    expect(world.said).toEqual(['a: +0-3 - !', 'a: + -0-3 !'])
  })
})

test('whoever joins takes over from who leaves, without an event begun twice', async () => {
  await inWorld(async (world) => {
    const all = world.partitions * world.events
    world.workMs = 400
    const a = world.member('a', {}, async (group) => {
      await world.until(() => world.begun.length > 10)
      await world.until(() => group.members().length === 2)
      await group.leave()
    })
    const b = world.member('b', {}, async (group) => {
      await world.until(() => world.begun.length === all)
      await world.pass(1000)
      await group.leave()
    })
    await Promise.all([a.done, b.done])
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    expect(world.begun).toHaveLength(all)
    expect(new Set(world.begun.map(({ by }) => by)).size).toBe(2)
  })
})

test('when an owner dies another member goes on within two leases', async () => {
  await inWorld(async (world) => {
    const all = world.partitions * world.events
    world.workMs = 400
    const a = world.member('a')
    await world.until(() => world.begun.length > 10)
    const b = world.member('b', {}, async (group) => {
      await world.until(() => world.begun.some(({ by }) => by === 'b') && world.begun.at(-1)!.offset === 19)
      await world.pass(5000)
      await group.leave()
    })
    await world.pass(3000)
    const died = world.sim.clock.monotonic()
    world.sim.crash(a)
    await b.done
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    const first = world.begun.find(({ by }) => by === 'b')!
    expect(first.at - died).toBeLessThan(18_000)
    expect(all).toBeGreaterThan(0)
  })
})

test('a member that was frozen for longer than a lease begins nothing before it has looked, and joins as another', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    let woke = 0
    const a = world.member('a', {}, async (group) => {
      await world.until(() => world.begun.length === 80 || world.begun.at(-1)!.by === 'b')
      await world.pass(60_000)
      expect(group.members()).toHaveLength(2)
      await group.leave()
    })
    await world.until(() => world.begun.length > 10)
    const b = world.member('b', {}, async (group) => {
      await world.pass(100_000)
      await group.leave()
    })
    await world.pass(3000)
    world.sim.stall(a, 40_000)
    woke = world.sim.clock.monotonic() + 40_000
    await Promise.all([a.done, b.done])
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    expect(world.begun.filter(({ by, at }) => by === 'a' && at >= woke)).toEqual([])
  })
})
