/** Rescaling from outside of a group: who lives does it, and else the logs are sealed and the group is told. */
import { rescale } from 'tidemark/group'
import { expect, test } from 'vitest'
import { inWorld, LEASE, type World } from '../../support/groups.js'

const place = ({ sim, storage }: World) => ({ storage: sim.storage(storage), name: 's' })
const complete = (world: World): number[] => Array.from({ length: world.partitions }, () => world.events)
const losses = (world: World): string[] => world.said.filter((said) => !said.endsWith('!'))

/** Waits until all is counted, and leaves. */
const toTheEnd =
  (world: World) =>
  async (group: { leave(): Promise<void> }, me: Parameters<World['until']>[1]): Promise<void> => {
    await world.until(() => world.isCounted(), me)
    await group.leave()
  }

test('members that live do it while events flow: no event is begun twice, and none loses a shard', async () => {
  await inWorld(
    async (world) => {
      const { sim } = world
      await world.create(2)
      world.workMs = 200
      const members = ['a', 'b'].map((name) => world.member(name, {}, toTheEnd(world)))
      await world.until(() => world.begun.length > 30)
      expect(await rescale(place(world), { shards: 8 }, { clock: sim.clock })).toHaveLength(8)
      expect(await rescale(place(world), { cuts: [3] }, { clock: sim.clock })).toEqual([
        { first: 0, last: 2 },
        { first: 3, last: 7 },
      ])
      await Promise.all(members.map(({ done }) => done))
      expect(await world.counts()).toEqual(complete(world))
      expect(world.begun).toHaveLength(world.partitions * world.events)
      expect(losses(world)).toEqual([])
    },
    { partitions: 8 },
  )
})

test('members that have nothing to do are told within a lease', async () => {
  await inWorld(async (world) => {
    const { sim } = world
    await world.create(1)
    world.events = 2
    let isOver = false
    const member = world.member('a', {}, async (group, me) => {
      await world.until(() => isOver, me)
      expect(
        group
          .status()
          .owned.map(({ first, last }) => `${first}-${last}`)
          .toSorted(),
      ).toEqual(['0-1', '2-3'])
      await group.leave()
    })
    await world.until(() => world.isCounted())
    await world.pass(4 * LEASE)
    const before = sim.clock.monotonic()
    await rescale(place(world), { shards: 2 }, { clock: sim.clock })
    expect(sim.clock.monotonic() - before).toBeLessThan(LEASE)
    await world.until(() => world.said.length > 3)
    expect(world.said.slice(1).toSorted()).toEqual(['a: + -0-3 !', 'a: +0-1 - !', 'a: +2-3 - !'])
    isOver = true
    await member.done
  })
})

test('where all members are dead the logs are sealed within two leases, and who joins goes on', async () => {
  await inWorld(async (world) => {
    const { sim } = world
    await world.create(2)
    const dead = ['a', 'b'].map((name) => world.member(name))
    await world.until(() => world.begun.length > 10)
    for (const member of dead) sim.crash(member)
    const before = sim.clock.monotonic()
    expect(await rescale(place(world), { shards: 4 }, { clock: sim.clock })).toHaveLength(4)
    expect(sim.clock.monotonic() - before).toBeLessThan(2 * LEASE)
    const member = world.member('c', {}, async (group, me) => {
      expect(group.assignment()).toHaveLength(4)
      await toTheEnd(world)(group, me)
    })
    await member.done
    expect(await world.counts()).toEqual(complete(world))
  })
})

test('a group that everybody has left is rescaled at once', async () => {
  await inWorld(async (world) => {
    const { sim } = world
    await world.create(2)
    world.events = 4
    await world.member('a', {}, toTheEnd(world)).done
    const before = sim.clock.monotonic()
    expect(await rescale(place(world), { shards: 1 }, { clock: sim.clock })).toHaveLength(1)
    expect(sim.clock.monotonic() - before).toBeLessThan(LEASE / 3)
    const member = world.member('b', {}, async (group) => {
      expect(group.assignment()).toHaveLength(1)
      await group.leave()
    })
    await member.done
  })
})

test('a parked shard is not waited for', async () => {
  await inWorld(
    async (world) => {
      const { sim } = world
      await world.create(2)
      world.throws = (partition, offset) => partition === 0 && offset === 3
      let isOver = false
      const member = world.member('a', {}, async (group, me) => {
        await world.until(() => group.assignment().some(({ parked }) => parked), me)
        await world.until(() => isOver, me)
        await group.leave()
      })
      await world.until(() => world.begun.filter(({ partition, offset }) => partition === 0 && offset === 3).length > 2)
      await world.pass(LEASE)
      await expect(rescale(place(world), { shards: 1 }, { clock: sim.clock })).rejects.toThrow(
        /CONFLICT|Shard 0-1 is parked and stays as it is until a member calls unpark\(0\)/,
      )
      // The other shard may be split.
      expect(await rescale(place(world), { cuts: [2, 3] }, { clock: sim.clock })).toHaveLength(3)
      isOver = true
      await member.done
    },
    { partitions: 4 },
  )
})
