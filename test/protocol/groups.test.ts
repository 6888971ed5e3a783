/** Rules G6 to G11 of docs/protocol.md: who decides, who owns, and what becomes of shards that kill their owners. */
import type { Storage } from 'tidemark'
import type { Actor } from 'tidemark/testing'
import { expect } from 'vitest'
import { sleep } from '../../src/clock.js'
import { rescale } from '../../src/group/rescale.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import { edit, rule, type Edit, type RuleOptions } from '../support/mutated.js'
import type * as Groups from '../support/groups.js'

type World = Groups.World

function groups(
  number: `G${number}`,
  title: string,
  edits: readonly Edit[],
  body: (sources: typeof Groups) => Promise<void>,
  options?: Pick<RuleOptions, 'wrong'>,
): void {
  rule<typeof Groups>(number, title, edits, body, { module: 'test/support/groups.ts', ...options })
}

/** A storage of which `before` is asked before each call. */
const asked =
  (before: (call: Call) => Promise<void> | undefined) =>
  (storage: Storage): Storage =>
    intercept(storage, async (call, run) => {
      await before(call)
      return run(call.signal)
    })

const isOfLog = ({ target, path }: Call): boolean => target === 'log' && path.startsWith('s/0/')

/** Events that were begun more than once. */
const twice = ({ begun }: World): string[] => {
  const events = begun.map(({ partition, offset }) => `${partition}/${offset}`)
  return events.filter((event, i) => events.indexOf(event) !== i)
}

/** Freezes a process before it sends something, and has it send that when it has woken up. */
async function freeze(world: World, actor: Actor, ms: number, clock?: 'runs' | 'stops'): Promise<void> {
  world.sim.stall(actor, ms, clock)
  await sleep(actor.clock, 1)
}

groups(
  'G6',
  'of two that decide at once, the second sees what the first has decided',
  [edit('src/group/control.ts', 'const before = await knownOf(this.#store.version, tx)', 'const before = this.#known')],
  async ({ inWorld }) => {
    const answers: string[] = []
    await inWorld(async (world) => {
      const targets: Record<string, number> = { a: 2, b: 4 }
      const members = ['a', 'b'].map((name) =>
        world.member(name, {}, async (group, me) => {
          await world.until(() => group.members().length === 2 && group.status().generation > 3, me)
          await world.pass(9_000 - (world.sim.clock.monotonic() % 9_000))
          const rescaling = group.rescale({ shards: targets[name]! }).then(
            () => 'done',
            (error: { code: string }) => error.code,
          )
          answers.push(await Promise.race([rescaling, sleep(me.clock, 30_000).then(() => 'late')]))
          await group.leave()
        }),
      )
      await Promise.all(members.map(({ done }) => done))
    })
    expect(answers.toSorted()).toEqual(['CONFLICT', 'done'])
  },
  // Both targets were written, and shards were made for both.
  { wrong: /^AssertionError: |its shards do not have each of 4 partitions once/ },
)

groups(
  'G7',
  'who was sent long ago takes nothing from who was sent later',
  [
    edit('src/group/turn.ts', 'known && known.generation > generation', 'known && known.generation < 0'),
    edit('src/group/turn.ts', '(newer.carried.turn?.generation ?? 0) > generation', 'generation < 0'),
  ],
  async ({ inWorld, LEASE }) => {
    const said = await inWorldOf(inWorld, async (world) => {
      await prepare(world)
      let isFirst = true
      const a: Actor = world.member(
        'a',
        {},
        async (group, me) => {
          await sleep(me.clock, 10 * LEASE)
          await group.leave()
        },
        asked((call) => {
          if (!isFirst || !isOfLog(call) || call.method !== 'claim') return undefined
          isFirst = false
          return freeze(world, a, 3 * LEASE)
        }),
      )
      await world.until(() => !isFirst)
      const b = world.member('b', {}, async (group, me) => {
        await sleep(me.clock, 12 * LEASE)
        await group.leave()
      })
      await Promise.all([a.done, b.done])
    })
    expect(said.filter((line) => line.startsWith('b') && /!\d/.test(line))).toEqual([])
  },
)

groups(
  'G8',
  'a shard moves when its next owner has read it',
  [
    edit(
      'src/group/keeper.ts',
      '    const follower = await this.#followed()\n    const before',
      "    if (this.role === 'next') return control.transact((state, now) => taken(state, this.shard.id, member, now))\n    const follower = await this.#followed()\n    const before",
    ),
  ],
  async ({ inWorld, LEASE }) => {
    let pause = 0
    await inWorldOf(inWorld, async (world) => {
      world.workMs = 40
      world.events = 400
      const a = world.member('a', {}, async (group, me) => {
        await world.until(() => world.begun.length > 30 && group.members().length === 2, me)
        await group.leave({ timeoutMs: 10 * LEASE })
      })
      await world.until(() => world.begun.length > 10)
      let reads = 0
      const b = world.member(
        'b',
        {},
        async (group, me) => {
          await world.until(() => world.begun.at(-1)!.by === 'b', me)
          await group.leave()
        },
        // Reading what there is takes long.
        asked((call) => {
          const isReading = reads > 3 && reads < 7 && call.path.startsWith('s/0/')
          if (call.path.startsWith('s/0/')) reads++
          return isReading ? sleep(world.sim.clock, LEASE) : undefined
        }),
      )
      await Promise.all([a.done, b.done])
      const last = world.begun.findLast(({ by }) => by === 'a')!
      pause = world.begun.find(({ by }) => by === 'b')!.at - last.at
    })
    expect(pause).toBeLessThan(LEASE / 2)
  },
)

groups(
  'G9',
  'the former owner ends the event in hand, and commits it, before the new one begins',
  [edit('src/group/turn.ts', 'turn === undefined || turn.isReleased)', 'turn === undefined || turn)')],
  async ({ inWorld }) => {
    let again: readonly string[] = []
    await inWorldOf(inWorld, async (world) => {
      world.workMs = 700
      const a = world.member('a', {}, async (group, me) => {
        await world.until(() => world.begun.length > 8 && group.members().length === 2, me)
        await group.leave()
      })
      await world.until(() => world.begun.length > 3)
      const b = world.member('b', {}, async (group, me) => {
        await world.until(() => world.begun.length > 40, me)
        await group.leave()
      })
      await Promise.all([a.done, b.done])
      again = twice(world)
    })
    expect(again).toEqual([])
  },
)

groups(
  'G9',
  'an owner whose handler never returns is waited for no longer than handoffMs',
  [edit('src/group/turn.ts', 'waitedMs >= handoffMs + leaseMs / 3', 'waitedMs < 0')],
  async ({ inWorld, LEASE }) => {
    let begun: readonly string[] = []
    await inWorldOf(inWorld, async (world) => {
      const a = world.member('a', {}, async (group, me) => {
        await world.until(() => world.begun.length > 2 && group.members().length === 2, me)
        world.workMs = 1e9
        await sleep(me.clock, 1000)
        world.workMs = 50
        void group.leave({ timeoutMs: 100 * LEASE })
      })
      await world.until(() => world.begun.length > 1)
      const b = world.member('b', { handoffMs: LEASE })
      await world.pass(12 * LEASE)
      begun = world.begun.map(({ by }) => by)
      for (const each of [a, b]) world.sim.crash(each)
    })
    expect(begun).toContain('b')
  },
)

/** An owner that leaves and is frozen for less than a lease, so that it does not let go in time. Tells what it begins when it wakes up. */
async function overtaken(
  { inWorld, LEASE }: typeof Groups,
  { at, stops = false }: { readonly stops?: boolean; readonly at: 'handler' | 'commit' },
): Promise<readonly string[]> {
  let late: readonly string[] = []
  await inWorldOf(inWorld, async (world) => {
    world.workMs = 100
    world.events = 200
    const frozenMs = 0.55 * LEASE
    let isArmed = false
    let isLeaving = false
    let isFollowing = false
    let woke = Infinity
    const stall = (): void => {
      isArmed = false
      woke = world.sim.clock.monotonic() + frozenMs
      world.sim.stall(a, frozenMs, stops ? 'stops' : 'runs')
    }
    const a: Actor = world.member(
      'a',
      {},
      async (group, me) => {
        await world.until(() => group.members().length === 2, me)
        isLeaving = true
        await group.leave()
      },
      asked((call) => {
        if (isArmed && isOfLog(call) && call.method === 'append') stall()
        return undefined
      }),
      // While a machine sleeps one of its clocks may stand still.
      (me) => (stops ? { ...me.clock, now: () => world.sim.clock.now() } : me.clock),
    )
    await world.until(() => world.begun.length > 10)
    const b = world.member(
      'b',
      { handoffMs: 10 },
      async (group, me) => {
        await world.until(() => world.sim.clock.monotonic() > woke + LEASE, me)
        await group.leave()
      },
      asked((call) => {
        isFollowing ||= isLeaving && isOfLog(call)
        // It has made itself warm, and takes the shard by its word.
        const isTaking = isFollowing && call.path.startsWith('s/group') && call.method === 'claim'
        if (!isTaking || woke < Infinity || isArmed) return undefined
        if (at === 'handler') stall()
        else isArmed = true
        return undefined
      }),
    )
    await Promise.all([a.done, b.done])
    const [first] = world.begun.filter(({ by }) => by === 'b')
    late = world.begun.flatMap(({ by, at: time, partition, offset }) =>
      by === 'a' && first && first.at < woke && time > woke - 1 ? [`${partition}/${offset}`] : [],
    )
    expect(first!.at).toBeLessThan(woke)
  })
  return late
}

groups(
  'G10',
  'who was frozen looks at the log before it begins an event',
  [edit('src/group/tenure.ts', 'since(clock, this.#proof) > leaseMs / 3', 'since(clock, this.#proof) < 0')],
  async (sources) => {
    expect(await overtaken(sources, { at: 'handler' })).toEqual([])
  },
)

groups(
  'G10',
  'the clock that went on counts, and not the one that stood still',
  [
    edit(
      'src/group/since.ts',
      'Math.max(clock.monotonic() - then.monotonic, clock.now() - then.now)',
      'clock.monotonic() - then.monotonic',
    ),
  ],
  async (sources) => {
    expect(await overtaken(sources, { at: 'handler', stops: true })).toEqual([])
  },
)

groups(
  'G10',
  'a commit proves what was so when it was sent',
  [
    edit(
      'src/group/tenure.ts',
      'this.#proof = this.#sent\n    this.hasCommitted',
      'this.#proof = instant(this.#options.clock)\n    this.hasCommitted',
    ),
  ],
  async (sources) => {
    expect(await overtaken(sources, { at: 'commit' })).toEqual([])
  },
)

/** The second of three shards has the only events, and one of them kills each process that handles it. Others come in their place. */
async function poisoned({ inWorld, LEASE }: typeof Groups): Promise<{ deaths: number; parked: readonly string[] }> {
  let deaths = 0
  const parked = new Set<string>()
  await inWorld(
    async (world) => {
      await prepare(world)
      await rescale({ storage: world.sim.storage(world.storage), name: 's' }, { shards: 3 }, { clock: world.sim.clock })
      world.hasEvents = (partition) => partition === 1
      world.kills = () => true
      let ids = 0
      const actors = new Set<Actor>()
      const live = new Set<Actor>()
      const join = (): void => {
        const actor = world.member(`m${++ids}`, {}, async (group, me) => {
          group.on('parked', ({ shard }) => parked.add(`${shard.first}-${shard.last}`))
          await sleep(me.clock, 1e9)
        })
        actors.add(actor)
        live.add(actor)
        void actor.done.then(() => {
          live.delete(actor)
          deaths++
        })
      }
      for (let i = 0; i < 70 && deaths < 6; i++) {
        while (live.size < 3) join()
        await world.pass(LEASE / 2)
        // What is idle could still be parked.
        if (parked.size > 0 && i < 66) i = 66
      }
      const left = Array.from(live)
      for (const actor of left) {
        live.delete(actor)
        deaths--
        world.sim.crash(actor)
      }
      await world.pass(1)
    },
    { partitions: 3 },
  )
  return { deaths, parked: [...parked] }
}

groups(
  'G11',
  'the third death of its owners parks a shard',
  [edit('src/group/transitions.ts', 'const MOST_FAILS = 3', 'const MOST_FAILS = 1e9')],
  async (sources) => {
    const { deaths, parked } = await poisoned(sources)
    expect(parked).toEqual(['1-1'])
    // One that died when it had been given to somebody else already is not blamed on it.
    expect(deaths).toBeLessThan(5)
  },
)

groups(
  'G11',
  'an idle shard is not parked because its owners are killed by something else',
  [edit('src/group/blame.ts', "if (isTrial) return 'trial'", "return 'trial'")],
  async ({ inWorld, LEASE }) => {
    let isParked = true
    await inWorld(
      async (world) => {
        world.hasEvents = () => false
        for (let i = 1; i <= 4; i++) {
          const member = world.member(`m${i}`, {}, (_, me) => sleep(me.clock, 1e9))
          const until = world.sim.clock.monotonic() + 5 * LEASE
          await world.until(() => world.said.length === i || world.sim.clock.monotonic() > until)
          world.sim.crash(member)
        }
        const last = world.member('last', {}, async (group, me) => {
          await world.until(() => group.members().length === 1, me)
          isParked = group.assignment()[0]!.parked
          await group.leave()
        })
        await last.done
      },
      { partitions: 1 },
    )
    expect(isParked).toBe(false)
  },
)

/** The store is there, and its shards are written down, before anybody joins. */
async function prepare(world: World): Promise<void> {
  const member = world.member('first', {}, (group) => group.leave())
  await member.done
}

async function inWorldOf(inWorld: typeof Groups.inWorld, run: (world: World) => Promise<void>): Promise<string[]> {
  const said: string[] = []
  await inWorld(async (world) => {
    await run(world)
    said.push(...world.said)
  })
  return said
}
