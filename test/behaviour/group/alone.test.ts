/** A group of one shard: its members own it one after another. */
import { expect, test } from 'vitest'
import { inWorld, LEASE, type World } from '../../support/groups.js'

const all = (world: World): number => world.partitions * world.events
const complete = (world: World): number[] => Array.from({ length: world.partitions }, () => world.events)

test('one member creates the store, owns it, counts all events, and leaves', async () => {
  await inWorld(async (world) => {
    const member = world.member('a', {}, async (group) => {
      await world.until(() => world.begun.length === all(world))
      await world.pass(1000)
      await group.leave()
    })
    await member.done
    expect(await world.counts()).toEqual(complete(world))
    expect(world.begun).toHaveLength(all(world))
    expect(world.said).toEqual(['a: +0-3 - !', 'a: + -0-3 !'])
  })
})

test('whoever is there takes over from who leaves, without an event begun twice', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    const a = world.member('a', {}, async (group) => {
      await world.until(() => world.begun.length > 10 && group.members().length === 2)
      await group.leave()
    })
    await world.until(() => world.begun.length > 5)
    const b = world.member('b', {}, async (group) => {
      await world.until(() => world.begun.length === all(world))
      await world.pass(1000)
      await group.leave()
    })
    await Promise.all([a.done, b.done])
    expect(await world.counts()).toEqual(complete(world))
    expect(world.begun).toHaveLength(all(world))
    expect(new Set(world.begun.map(({ by }) => by)).size).toBe(2)
  })
})

test('when an owner dies another member goes on within two leases', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    const a = world.member('a')
    await world.until(() => world.begun.length > 10)
    const b = world.member('b', {}, async (group) => {
      await world.until(async () => world.begun.some(({ by }) => by === 'b') && (await world.isCounted()))
      await group.leave()
    })
    await world.pass(3000)
    const died = world.sim.clock.monotonic()
    world.sim.crash(a)
    await b.done
    expect(await world.counts()).toEqual(complete(world))
    const first = world.begun.find(({ by }) => by === 'b')!
    expect(first.at - died).toBeLessThan(2 * LEASE)
  })
})

test('who was frozen for longer than a lease begins nothing of what it lost, and joins as another', async () => {
  await inWorld(async (world) => {
    world.workMs = 400
    let hasLeft = false
    const a = world.member('a', {}, async (group, me) => {
      await world.until(() => world.said.includes('a: + - !0-3'), me)
      await world.until(() => group.members().length === 2, me)
      await group.leave()
      hasLeft = true
    })
    await world.until(() => world.begun.length > 10)
    const b = world.member('b', {}, async (group, me) => {
      await world.until(() => hasLeft && world.isCounted(), me)
      await group.leave()
    })
    await world.pass(3000)
    world.sim.stall(a, 4 * LEASE)
    const woke = world.sim.clock.monotonic() + 4 * LEASE
    await Promise.all([a.done, b.done])
    expect(await world.counts()).toEqual(complete(world))
    expect(world.begun.filter(({ by, at }) => by === 'a' && at >= woke)).toEqual([])
    expect(world.said.filter((said) => said.startsWith('a'))).toEqual(['a: +0-3 - !', 'a: + - !0-3'])
  })
})
