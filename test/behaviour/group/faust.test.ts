/**
 * What Faust tests of assignment, rebalancing, standbys and recovery of tables, told anew for groups.
 *
 * - Assignors: in faust-assignment.test.ts.
 * - Rebalances tell what is assigned, new, revoked, with a generation. A client may get nothing, and must be ready all the same.
 * - Revocation: what is in hand is finished, buffers are flushed and offsets committed before a partition goes.
 * - Recovery: streams go on only when the tables are there; one that a second rebalance or a stop interrupts is begun again or ended.
 * - Offsets: recovery begins behind what was applied, the first event included; an offset that was persisted never goes back, and is
 *   persisted with the changes that belong to it, deletions too.
 * - Standbys: they follow, become active, and others take their place.
 * - Stores: one that cannot be opened yet is tried again; active partitions only are read, all of them by global tables; a key is
 *   looked up at its owner.
 * - Isolated partitions: an agent for each, and what one of them throws is its own affair.
 * - Topics that are read together have their partitions assigned together, or agree on their number.
 *
 * Not here: a leader that assigns, as anybody decides in a transaction; acknowledgements with gaps, as the events of a partition are
 * handled one after another; changelog topics with their high waters, statistics of what remains and pauses of a consumer, as the log
 * is the table; the lock of a database that two processes of one machine share, and opening it with retries up to a limit, as nobody
 * holds a lock; threads of a consumer and its spans.
 */
import type { Group, GroupOptions } from 'tidemark/group'
import { faulty, simulate, type Actor } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { sleep } from '../../../src/clock.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'
import { Agents, Toggling } from '../../support/other-worlds.js'

const list = (shards: readonly { readonly first: number }[]): number[] =>
  shards.map(({ first }) => first).sort((a, b) => a - b)

/** Waits until all is counted, and leaves. */
const toTheEnd =
  (world: World) =>
  async (group: Group, me: Actor): Promise<void> => {
    await world.until(() => world.isCounted(), me)
    await group.leave()
  }

const once = (world: World): void => {
  const events = world.begun.map(({ partition, offset }) => `${partition}/${offset}`)
  expect(new Set(events).size).toBe(events.length)
}

describe('rebalances', () => {
  test('tell each member what it has, what is new and what it gave, in generations that rise', async () => {
    await inWorld(async (world) => {
      world.workMs = 100
      world.events = 150
      await world.create(4)
      const has = new Map<string, number[]>()
      const listening = (name: string) => async (group: Group, me: Actor) => {
        let newest = 0
        has.set(name, [])
        group.on('rebalance', ({ generation, assigned, newlyAssigned, revoked, lost }) => {
          expect(generation).toBeGreaterThanOrEqual(newest)
          newest = generation
          const gone = new Set(list([...revoked, ...lost]))
          const expected = [...has.get(name)!.filter((first) => !gone.has(first)), ...list(newlyAssigned)]
          expect(list(assigned)).toEqual(expected.sort((x, y) => x - y))
          has.set(name, list(assigned))
        })
        await toTheEnd(world)(group, me)
      }
      const a = world.member('a', {}, listening('a'))
      await world.until(() => has.get('a')?.length === 4)
      const b = world.member('b', {}, listening('b'))
      await world.until(() => has.get('b')?.length === 2 && has.get('a')!.length === 2)
      await Promise.all([a.done, b.done])
      expect([...has.values()]).toEqual([[], []])
      once(world)
    })
  })

  test('a member for which there is nothing is a member all the same, and takes what comes free', async () => {
    await inWorld(
      async (world) => {
        world.workMs = 100
        world.events = 200
        let isFree = false
        const a = world.member('a', {}, async (group, me) => {
          await world.until(() => isFree, me)
          await group.leave()
        })
        await world.until(() => world.begun.length > 2)
        const b = world.member('b', {}, async (group, me) => {
          await world.pass(LEASE)
          expect(group.status().owned).toEqual([])
          expect(group.members()).toHaveLength(2)
          isFree = true
          await toTheEnd(world)(group, me)
        })
        await Promise.all([a.done, b.done])
        expect(world.begun.some(({ by }) => by === 'b')).toBe(true)
        once(world)
      },
      { partitions: 1 },
    )
  })
})

describe('revocation', () => {
  test('the event in hand is finished and committed before the shard goes, and nothing is begun after it', async () => {
    await inWorld(
      async (world) => {
        world.workMs = 2500
        world.events = 4
        const a = world.member('a', {}, async (group, me) => {
          await world.until(() => world.begun.length === 2 && group.members().length === 2, me)
          await group.leave()
        })
        await world.until(() => world.begun.length === 1)
        const b = world.member('b', {}, toTheEnd(world))
        await Promise.all([a.done, b.done])
        expect(world.begun.map(({ offset }) => offset)).toEqual([0, 1, 2, 3])
        const [first] = world.begun.filter(({ by }) => by === 'b')
        const last = world.committed.findLast(({ by }) => by === 'a')!
        expect(last.at).toBeLessThan(first!.at)
        expect(last.version).toBeLessThan(first!.token)
        expect(world.said.filter((said) => !said.endsWith('!'))).toEqual([])
      },
      { partitions: 1 },
    )
  })
})

describe('recovery', () => {
  test.each(['dies', 'leaves'])(
    'that is interrupted, as the next owner %s while it waits for the shard, is begun by another',
    async (how) => {
      await inWorld(
        async (world) => {
          world.workMs = 5000
          world.events = 6
          let isTaking = false
          const a = world.member('a', {}, async (group, me) => {
            await world.until(() => world.begun.length === 1 && group.members().length === 2, me)
            const leaving = group.leave()
            isTaking = true
            await leaving
          })
          await world.until(() => world.begun.length === 1)
          const b = world.member('b', {}, async (group, me) => {
            await world.until(() => isTaking, me)
            await sleep(me.clock, 2000)
            if (how === 'leaves') await group.leave()
            else await sleep(me.clock, 1e6)
          })
          await world.until(() => isTaking)
          const c = world.member('c', {}, toTheEnd(world))
          await world.pass(2000)
          if (how === 'dies') world.sim.crash(b)
          await Promise.all([a.done, b.done, c.done])
          expect(await world.counts()).toEqual([6])
          if (how === 'leaves') once(world)
        },
        { partitions: 1 },
      )
    },
  )

  test('begins behind the very first event, when that is all there is', async () => {
    await inWorld(
      async (world) => {
        world.events = 1
        const first = world.member('a', {}, toTheEnd(world))
        await first.done
        world.events = 2
        await world.member('b', {}, toTheEnd(world)).done
        expect(world.begun.map(({ by, offset }) => `${by} ${offset}`)).toEqual(['a 0', 'b 1'])
      },
      { partitions: 1 },
    )
  })

  test('has the offset with the changes that belong to it, deletions too, and no offset goes back', async () => {
    await simulate({ seed: 3, slow: { chance: 0, ms: 0 }, maxSteps: 200_000 }, async (sim) => {
      const world = new Toggling(sim, 1)
      world.events = 61
      const toggle = async (group: Group, me: Actor): Promise<void> => {
        await world.until(() => world.next >= world.events, me)
        await group.leave()
      }
      const a = world.member('a', { standbys: 1 }, toggle)
      await world.until(() => world.next > 10)
      const b = world.member('b', {}, toggle)
      await world.pass(LEASE)
      sim.crash(a)
      await b.done
      expect(await world.isOn()).toBe(true)
      expect(world.offsets).toEqual([...world.offsets].sort((x, y) => x - y))
      expect(world.wrong).toBe(0)
    })
  })
})

describe('standbys', () => {
  test('follow at another member, become owners, and others take their place', async () => {
    await inWorld(
      async (world) => {
        world.workMs = 250
        world.events = 150
        await world.create(2)
        const groups = new Map<string, Group>()
        const body = async (group: Group, me: Actor): Promise<void> => {
          groups.set(me.name, group)
          await toTheEnd(world)(group, me)
        }
        const actors = ['a', 'b', 'c'].map((name) => world.member(name, { standbys: 1 }, body))
        const shards = () => groups.get('c')?.assignment() ?? []
        const idOf = (name: string): string => groups.get(name)!.status().member
        const isWhole = (): boolean =>
          shards().length === 2 &&
          groups.size === 3 &&
          shards().every(
            ({ owner, next, standbys }) => owner && !next && standbys.length === 1 && standbys[0] !== owner,
          )
        await world.until(isWhole)
        await world.pass(LEASE)
        const [one] = shards()
        const names = ['a', 'b', 'c'].filter((name) => one!.owner === idOf(name) || one!.standbys[0] === idOf(name))
        const dying = names.find((name) => name !== 'c')!
        const wasOwner = one!.owner === idOf(dying)
        world.sim.crash(actors[['a', 'b', 'c'].indexOf(dying)]!)
        const dead = idOf(dying)
        // A standby is promoted, before anything is made even; or the owner goes on, with another standby.
        const following = wasOwner ? one!.standbys[0] : one!.owner
        await world.until(() => shards()[0]?.owner === following)
        await world.until(
          () => shards().every(({ owner, standbys }) => owner !== dead && !standbys.includes(dead)) && isWhole(),
        )
        await Promise.all(actors.map(({ done }) => done))
        expect(await world.counts()).toEqual([150, 150])
      },
      { partitions: 2 },
    )
  })
})

describe('stores', () => {
  test('a shard that cannot be opened yet is tried again, with a warning', async () => {
    await inWorld(
      async (world) => {
        world.events = 3
        await world.create(1)
        let isBroken = true
        const warnings: string[] = []
        const member = world.member(
          'a',
          {},
          async (group, me) => {
            group.on('warning', ({ message }) => void warnings.push(message))
            await world.until(() => warnings.length > 2, me)
            isBroken = false
            await toTheEnd(world)(group, me)
          },
          (storage) =>
            faulty(storage, ({ path, method }) =>
              isBroken && method === 'claim' && /^s.0.[^p]/.test(path) ? 'error-before' : undefined,
            ),
        )
        await world.until(() => world.committed.length > 0)
        await member.done
        expect(warnings.every((message) => message.startsWith('Shard 0-0'))).toBe(true)
      },
      { partitions: 1 },
    )
  })

  test('an owner reads its own partitions, a follower all of them, and a key is found at its owner by its address', async () => {
    await inWorld(async (world) => {
      world.workMs = 100
      world.events = 150
      await world.create(4)
      const groups = new Map<string, Group>()
      const actors = ['a', 'b'].map((name) =>
        world.member(name, { info: { address: `http://${name}` } }, async (group, me) => {
          groups.set(name, group)
          await toTheEnd(world)(group, me)
        }),
      )
      const ofEach = () => ['a', 'b'].map((name) => groups.get(name)?.status().owned ?? [])
      await world.until(() => ofEach().every((owned) => owned.length === 2))
      await world.pass(LEASE)
      for (let partition = 0; partition < world.partitions; partition++) {
        const key = Array.from({ length: 200 }, (_, i) => `k${i}`).find(
          (each) => groups.get('a')!.ownerOf(each)?.shard.first === partition,
        )!
        const [told, alike] = ['a', 'b'].map((name) => groups.get(name)!.ownerOf(key))
        expect(told).toEqual(alike)
        const holder = ['a', 'b'].find((name) => list(groups.get(name)!.status().owned).includes(partition))
        expect(told!.info).toEqual({ address: `http://${holder}` })
      }
      await Promise.all(actors.map(({ done }) => done))
      expect(await world.counts()).toEqual([150, 150, 150, 150])
    })
  })
})

const withAgents = (partitions: number, run: (world: Agents) => Promise<void>) =>
  simulate({ seed: 5, slow: { chance: 0, ms: 0 }, maxSteps: 200_000 }, (sim) => run(new Agents(sim, partitions)))

describe('agents', () => {
  test('what the handler of one shard throws is no matter of the others, and in the end that shard is parked', async () => {
    await withAgents(3, async (world) => {
      world.events = 20
      world.throwsIn = 1
      await world.create(3)
      const parked: number[] = []
      const member = world.member('a', {}, async (group, me) => {
        group.on('parked', ({ shard }) => void parked.push(shard.first))
        await world.until(() => parked.length > 0 && world.handled.length >= 40, me)
        await group.leave()
      })
      await member.done
      expect(parked).toEqual([1])
      expect(world.handled).toHaveLength(40)
      for (const { key, shard } of world.handled) expect(shard.first).toBe(Number(key))
    })
  })

  test('a source of another number of partitions than the store reaches each key at its owner, once', async () => {
    await withAgents(4, async (world) => {
      world.events = 10
      world.sourcePartitions = 3
      await world.create(4)
      const body = async (group: Group, me: Actor): Promise<void> => {
        await world.until(() => world.handled.length >= 30, me)
        await world.pass(1000)
        await group.leave()
      }
      const options: Partial<GroupOptions> = {}
      await Promise.all(['a', 'b'].map((name) => world.member(name, options, body).done))
      expect(new Set(world.handled.map(({ key }) => key)).size).toBe(30)
      expect(world.handled).toHaveLength(30)
    })
  })
})
