/** Members whose handlers hang or fail, and shards that are damaged: what it costs others, and what it must not. */
import { TidemarkError } from 'tidemark'
import { joinGroup, type Group } from 'tidemark/group'
import { memory } from 'tidemark/memory'
import { expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'

/** Events of each partition, one every so often. */
const ticks = (world: World, everyMs: (partition: number) => number) => ({
  name: 'ticks',
  partitions: world.partitions,
  async *read(partition: number, from: unknown, { signal }: { signal: AbortSignal }) {
    for (let offset = (from as number | undefined) ?? 0; !signal.aborted; offset++) {
      await sleep(world.sim.clock, everyMs(partition))
      yield { offset, key: 'k', value: partition }
    }
  },
})

test('a handler that hangs has its signal aborted once another member has taken the shard', async () => {
  await inWorld(async (world) => {
    await world.create(1)
    let [took, aborted] = [Infinity, Infinity]
    const source = ticks(world, () => 100)
    const a = world.sim.actor('a', async (me) => {
      const group = await joinGroup(world.options(me))
      const running = group.run(source, async (_event, _state, _emit, { signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        aborted = Math.min(aborted, me.clock.monotonic())
      })
      await world.until(() => aborted < Infinity, me)
      await group.leave({ timeoutMs: 0 })
      await running
    })
    await world.pass(LEASE)
    const b = world.sim.actor('b', async (me) => {
      const group = await joinGroup(world.options(me, { weight: 100 }))
      const running = group.run(source, () => void (took = Math.min(took, me.clock.monotonic())))
      await world.until(() => aborted < Infinity, me)
      await group.leave()
      await running
    })
    await Promise.all([a.done, b.done])
    expect(aborted - took).toBeLessThan(LEASE)
  })
})

/** Leaves nothing of the log of a shard. */
async function lose({ storage }: World, id: string): Promise<void> {
  for (const path of (await storage.logs(`s/${id}/`)).paths) await storage.log(path).destroy()
  await storage.anchor(`s/${id}/anchor`).remove()
}

test('a shard that is lost keeps the others neither from going on when their owner dies, nor from being joined', async () => {
  await inWorld(async (world) => {
    world.events = 400
    world.workMs = 400
    await world.create(4)
    const a = world.member('a')
    await world.until(() => world.committed.length > 10)
    const owned = (group: Group): number[] => group.status().owned.map(({ first }) => first)
    const b = world.member('b', { weight: 0.001 }, async (group, me) => {
      await sleep(me.clock, LEASE)
      world.sim.crash(a)
      await lose(world, group.assignment()[1]!.id)
      await sleep(me.clock, 3 * LEASE)
      expect(owned(group)).toEqual([0, 2, 3])
      await group.leave({ timeoutMs: LEASE })
    })
    await b.done
    const c = world.member('c', {}, async (group, me) => {
      await sleep(me.clock, LEASE)
      expect(owned(group)).toEqual([0, 2, 3])
      await group.leave({ timeoutMs: LEASE })
    })
    await c.done
  })
})

const damages: Record<string, (storage: World['storage'], path: string) => Promise<unknown>> = {
  async 'a damaged entry'(storage, path) {
    const log = storage.log(path)
    const newest = (await log.list(1)).numbers.at(-1)!
    const bytes = (await log.read(newest)).bytes!.with(30, 7)
    await log.append(newest + 1, bytes, 0)
  },
  async 'a damaged anchor'(storage) {
    const anchor = storage.anchor('s/group/anchor')
    const { bytes, token } = await anchor.read()
    await anchor.swap(token, bytes!.with(20, bytes![20]! ^ 1), 0)
  },
  'no entries': (storage, path) => storage.log(path).destroy(),
}

const damageIn = async ({ storage }: World, how: string): Promise<void> => {
  const { paths } = await storage.logs('s/group/')
  await damages[how]!(storage, paths[0]!)
}

// Members look at the anchor seldom.
test.each(['a damaged entry', 'no entries'])(
  'a control store with %s is made anew by its members, who go on meanwhile',
  async (how) => {
    await inWorld(
      async (world) => {
        await world.create(2)
        world.workMs = 3_000
        world.events = 40
        const members = ['a', 'b'].map((each) =>
          world.member(each, {}, async (group, me) => {
            await world.until(() => world.isCounted(), me)
            await group.leave()
          }),
        )
        await world.until(() => world.begun.length > 10)
        await damageIn(world, how)
        await Promise.all(members.map(({ done }) => done))
        expect(await world.counts()).toEqual(Array.from({ length: world.partitions }, () => world.events))
      },
      { maxSteps: 400_000 },
    )
  },
)

test.each(Object.keys(damages))('a control store with %s is made anew by who joins', async (how) => {
  await inWorld(async (world) => {
    await world.create(2)
    for (const each of ['a', 'b']) {
      const member = world.member(each, {}, async (group, me) => {
        await world.until(() => group.status().owned.length === 2, me)
        await group.leave()
      })
      await member.done
      await damageIn(world, how)
    }
  })
})

test('shards that had long been idle go on at once when their owner dies, all of them', async () => {
  await inWorld(
    async (world) => {
      world.events = 0
      await world.create(8)
      const a = world.member('a')
      await world.pass(8 * LEASE)
      const b = world.member('b', { weight: 0.001 }, async (group, me) => {
        await sleep(me.clock, LEASE)
        world.sim.crash(a)
        await sleep(me.clock, 2 * LEASE)
        expect(group.status().owned).toHaveLength(8)
        await group.leave()
      })
      await b.done
    },
    { partitions: 8 },
  )
})

test.each(['FENCED', 'CLOSED', 'UNKNOWN_OUTCOME'] as const)(
  'a handler that fails with %s, by a store of its own, has its shard parked like any other',
  async (code) => {
    await inWorld(async (world) => {
      await world.create(1)
      let [calls, parked] = [0, 0]
      const member = world.sim.actor('a', async (me) => {
        const group = await joinGroup(world.options(me))
        group.on('parked', () => parked++)
        const running = group.run(
          ticks(world, () => 100),
          () => {
            calls++
            throw new TidemarkError(code, 'It is another store that says so.')
          },
        )
        await world.until(() => parked > 0, me)
        await group.leave({ timeoutMs: LEASE })
        await running
      })
      await member.done
      expect([calls, parked]).toEqual([3, 1])
    })
  },
)

test('a handler that throws at one event has its shard parked although other partitions go on', async () => {
  await inWorld(async (world) => {
    await world.create(1)
    let [throws, parked] = [0, 0]
    const member = world.sim.actor('a', async (me) => {
      const group = await joinGroup(world.options(me))
      group.on('parked', () => parked++)
      const running = group.run(
        ticks(world, (partition) => (partition === 3 ? 5 * LEASE : 200)),
        ({ value, offset }) => {
          if (value !== 3 || offset !== 2) return
          throws++
          throw new Error('It cannot be handled.')
        },
        { everyEvents: 1 },
      )
      await world.until(() => parked > 0, me)
      await group.leave({ timeoutMs: LEASE })
      await running
    })
    await member.done
    expect([throws, parked]).toEqual([3, 1])
  })
})

test('who no longer wants to join makes no store', async () => {
  const storage = memory()
  const joining = joinGroup({ storage, name: 's', signal: AbortSignal.abort(), logger: false })
  await expect(joining).rejects.toMatchObject({ code: 'ABORTED' })
  expect((await storage.logs('')).paths).toEqual([])
})

test('options of a run are checked when it is called', async () => {
  const group = await joinGroup({ storage: memory(), name: 's', leaseMs: 300, logger: false })
  const source = { name: 'none', read: () => [] }
  const wrong = [
    { everyMs: -1 },
    { everyEvents: 'many' },
    { epoch: 3 },
    { sink: {} },
    { onProgress: true },
    { signal: {} },
  ]
  for (const options of wrong)
    await expect(group.run(source, () => undefined, options as never)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  await expect(group.run({ ...source, partitions: 0 }, () => undefined)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  })
  await group.leave()
})
