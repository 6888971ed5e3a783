/** Groups of several shards: sharing them out, handing them over, splitting and merging them while events flow. */
import { openStore } from 'tidemark'
import { rescale } from 'tidemark/group'
import { expect, test } from 'vitest'
import { inWorld, LEASE, type World } from '../../support/groups.js'

const all = (world: World): number => world.partitions * world.events
const complete = (world: World): number[] => Array.from({ length: world.partitions }, () => world.events)

/** A store of so many shards. */
async function begin(world: World, shards: number): Promise<void> {
  const { sim, partitions } = world
  const place = { storage: sim.storage(world.storage), name: 's' }
  const store = await openStore({ ...place, partitions, clock: sim.clock, logger: false })
  await store.close()
  if (shards > 1) await rescale(place, { shards }, { clock: sim.clock })
}

/** Waits until all is counted, and leaves. */
const toTheEnd = (world: World) => ({
  body: async (group: { leave(): Promise<void> }, me: Parameters<World['until']>[1]): Promise<void> => {
    await world.until(() => world.isCounted(), me)
    await group.leave()
  },
})

test('members share the shards out, and no event is begun twice', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 4)
      world.workMs = 200
      const { body } = toTheEnd(world)
      await Promise.all(['a', 'b'].map((name) => world.member(name, {}, body).done))
      expect(await world.counts()).toEqual(complete(world))
      expect(world.begun).toHaveLength(all(world))
      expect(new Set(world.begun.map(({ by }) => by)).size).toBe(2)
    },
    { partitions: 8 },
  )
})

test('who joins gets its share by handoffs in which no event is begun twice', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 4)
      world.workMs = 200
      const { body } = toTheEnd(world)
      const a = world.member('a', {}, body)
      await world.until(() => world.begun.length > 20)
      const b = world.member('b', {}, body)
      await Promise.all([a.done, b.done])
      expect(await world.counts()).toEqual(complete(world))
      expect(world.begun).toHaveLength(all(world))
      const taken = world.said.filter((said) => said.startsWith('b: +') && !said.startsWith('b: + '))
      expect(taken.length).toBeGreaterThan(0)
      expect(world.said.filter((said) => !said.endsWith('!'))).toEqual([])
    },
    { partitions: 8 },
  )
})

test('a group splits and merges its shards while events flow, and no event is begun twice', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 1)
      world.workMs = 200
      const { body } = toTheEnd(world)
      const a = world.member('a', {}, async (group, me) => {
        await world.until(() => world.begun.length > 10, me)
        await group.rescale({ shards: 8 })
        expect(group.assignment()).toHaveLength(8)
        world.sim.note('eight')
        await group.rescale({ shards: 3 })
        expect(group.assignment()).toHaveLength(3)
        world.sim.note('three')
        await body(group, me)
      })
      const b = world.member('b', {}, body)
      await Promise.all([a.done, b.done])
      expect(await world.counts()).toEqual(complete(world))
      expect(world.begun).toHaveLength(all(world))
    },
    { partitions: 8 },
  )
})

test('a group goes on when others split its shards', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 2)
      world.workMs = 200
      const { body } = toTheEnd(world)
      const members = ['a', 'b'].map((name) => world.member(name, {}, body))
      await world.until(() => world.begun.length > 30)
      const place = { storage: world.sim.storage(world.storage), name: 's' }
      await rescale(place, { shards: 4 }, { clock: world.sim.clock })
      await Promise.all(members.map(({ done }) => done))
      expect(await world.counts()).toEqual(complete(world))
      expect(LEASE).toBeGreaterThan(0)
    },
    { partitions: 8 },
  )
})
