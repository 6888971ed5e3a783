/** Groups as programs see them: what they tell, parking, the end of runs, and a control store that is lost. */
import { openStore } from 'tidemark'
import { joinGroup, rescale } from 'tidemark/group'
import { expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'

async function begin(world: World, shards: number): Promise<void> {
  const place = { storage: world.sim.storage(world.storage), name: 's' }
  const store = await openStore({ ...place, partitions: world.partitions, clock: world.sim.clock, logger: false })
  await store.close()
  await rescale(place, { shards }, { clock: world.sim.clock })
}

test('a handler that throws three times at one event has its shard parked, until it is unparked', async () => {
  await inWorld(async (world) => {
    await begin(world, 2)
    let isBroken = true
    world.throws = (partition, offset) => isBroken && partition === 3 && offset === 4
    const parked: unknown[] = []
    const member = world.member('a', {}, async (group, me) => {
      group.on('parked', ({ shard }) => parked.push(shard))
      await world.until(() => parked.length > 0, me)
      expect(parked).toEqual([group.assignment()[1]].map(({ id, first, last } = {} as never) => ({ id, first, last })))
      expect(group.assignment().map((shard) => shard.parked)).toEqual([false, true])
      await sleep(me.clock, 3 * LEASE)
      expect((await world.counts()).slice(0, 2)).toEqual([world.events, world.events])
      expect(group.status().owned).toHaveLength(1)
      isBroken = false
      await group.unpark(3)
      await world.until(async () => (await world.counts()).every((count) => count === world.events), me)
      await group.leave()
    })
    await member.done
    expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
  })
})

test('everybody sees who is a member, who owns what, and where a key is', async () => {
  await inWorld(async (world) => {
    await begin(world, 2)
    world.events = 1
    const seen: Record<string, unknown>[] = []
    const members = ['a', 'b'].map((name) =>
      world.member(name, { info: { url: `http://${name}` }, zone: name }, async (group, me) => {
        await world.until(() => group.assignment().every(({ owner }) => owner !== undefined), me)
        await sleep(me.clock, 4 * LEASE)
        const { member, owned, generation } = group.status()
        expect(generation).toBeGreaterThan(0)
        const shards = group.assignment().filter(({ owner }) => owner === member)
        expect(new Set(owned.map(({ first }) => first))).toEqual(new Set(shards.map(({ first }) => first)))
        const owners = ['x', 'y', 'z'].map((key) => group.ownerOf(key))
        seen.push({ members: group.members().map(({ info, zone }) => [info, zone]), owners })
        await sleep(me.clock, LEASE)
        await group.leave()
      }),
    )
    await Promise.all(members.map(({ done }) => done))
    expect(seen[0]).toEqual(seen[1])
    expect(JSON.stringify(seen[0]!['members'])).toContain('http://a')
    expect(JSON.stringify(seen[0]!['owners'])).toMatch(/http:\/\/[ab]/)
  })
})

test('one run at a time; it ends with its signal, and the shards stay', async () => {
  await inWorld(async (world) => {
    await begin(world, 1)
    const actor = world.sim.actor('a', async (me) => {
      const group = await joinGroup(world.options(me))
      const stop = new AbortController()
      let begun = 0
      const source = {
        name: 'events',
        async *read(_: number, from: unknown) {
          for (let offset = (from as number | undefined) ?? 0; ; offset++) {
            await sleep(me.clock, 10)
            yield { offset, key: 'k', value: 1 }
          }
        },
      }
      const handler = (): void => void begun++
      const running = group.run(source, handler, { signal: stop.signal })
      await expect(group.run(source, handler)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await world.until(() => begun > 20, me)
      stop.abort()
      const { events, commits } = await running
      expect(events).toBe(begun)
      expect(commits).toBeGreaterThan(0)
      await sleep(me.clock, 2 * LEASE)
      expect(group.status().owned).toHaveLength(1)
      expect(begun).toBe(events)
      const again = group.run(source, handler)
      await world.until(() => begun > events, me)
      await group.leave()
      await again
      await expect(group.run(source, handler)).rejects.toMatchObject({ code: 'CLOSED' })
    })
    await actor.done
  })
})

test('when the control store is lost it is made anew, and the group goes on', async () => {
  await inWorld(
    async (world) => {
      await begin(world, 2)
      world.workMs = 3_000
      world.events = 60
      const members = ['a', 'b'].map((name) =>
        world.member(name, {}, async (group, me) => {
          await world.until(() => world.isCounted(), me)
          await group.leave()
        }),
      )
      await world.until(() => world.begun.length > 10)
      const { storage } = world
      await storage.anchor('s/group/anchor').remove()
      const { paths } = await storage.logs('s/group/')
      for (const path of paths) await storage.log(path).destroy()
      const { items } = await storage.blobs.list('s/group/')
      await storage.blobs.delete(items.map(({ name }) => name))
      await Promise.all(members.map(({ done }) => done))
      expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
    },
    { maxSteps: 400_000 },
  )
})

test('a shard of a group is not opened by hand, unless that is forced', async () => {
  await inWorld(async (world) => {
    await begin(world, 2)
    world.events = 1
    const member = world.member('a', {}, async (group, me) => {
      await world.until(() => group.status().owned.length === 2, me)
      await sleep(me.clock, LEASE)
      const place = {
        storage: world.sim.storage(world.storage),
        name: 's',
        clock: world.sim.clock,
        logger: false,
      } as const
      await expect(openStore({ ...place, shard: 1 })).rejects.toMatchObject({ code: 'CONFLICT' })
      expect(world.said.join()).not.toMatch(/!\d/)
      await group.leave()
      const store = await openStore({ ...place, shard: 1 })
      await store.close()
    })
    await member.done
  })
})
