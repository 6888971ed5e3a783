/**
 * What a group promises in numbers: how much moves, how often, how long a shard is closed, and how soon it goes on after a death. All
 * in virtual time, so that it does not depend on the machine. What an idle group sends is counted in costs.test.ts.
 */
import type { Storage } from 'tidemark'
import type { Group } from 'tidemark/group'
import type { Actor } from 'tidemark/testing'
import { describe, expect, test } from 'vitest'
import { intercept, type Call } from '../../../src/storage/intercept.js'
import { extent } from '../../support/extent.js'
import { inWorld, LEASE, type World } from '../../support/groups.js'

/** A storage of which each request is told when it is sent, and its outcome when it is answered. */
const told = (inner: Storage, sent: (call: Call) => (outcome?: string) => void): Storage =>
  intercept(inner, async (call, run) => {
    const answered = sent(call)
    const answer = await run(undefined)
    answered((answer as { readonly outcome?: string } | undefined)?.outcome)
    return answer
  })

/** Members of the world, and what each of them gained and when. */
class Moves {
  readonly gained: { readonly by: string; readonly shard: number; readonly at: number; readonly from?: string }[] = []
  readonly groups = new Map<string, Group>()
  readonly actors = new Map<string, Actor>()
  #isOver = false

  constructor(readonly world: World) {}

  join(name: string): void {
    const { world } = this
    const actor = world.member(name, {}, async (group, me) => {
      this.groups.set(name, group)
      group.on('rebalance', ({ newlyAssigned }) => {
        for (const { first } of newlyAssigned) {
          this.gained.push({ by: name, shard: first, at: world.sim.clock.monotonic() })
        }
      })
      await world.until(() => this.#isOver || this.groups.get(name) !== group, me)
      await group.leave()
    })
    this.actors.set(name, actor)
  }

  /** Begins to leave. */
  leave(name: string): void {
    this.groups.delete(name)
  }

  owned(name: string): number[] {
    return this.groups
      .get(name)!
      .status()
      .owned.map(({ first }) => first)
  }

  /** Waits until every shard is owned, and nothing moves any more. */
  async rest(names: readonly string[]): Promise<void> {
    const { world } = this
    const count = (): number =>
      names.reduce((sum, name) => sum + (this.groups.get(name)?.status().owned.length ?? 0), 0)
    const isQuiet = (): boolean => names.every((name) => this.groups.has(name)) && count() === world.partitions
    for (let quiet = 0; quiet < 2; quiet++) {
      await world.until(isQuiet)
      const { length } = this.gained
      await world.pass(LEASE)
      if (this.gained.length > length || !isQuiet()) quiet = -1
    }
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all([...this.actors.values()].map(({ done }) => done))
  }
}

describe('what moves', () => {
  test.each([
    [12, 3],
    [7, 2],
  ])(
    'of %i partitions a join to %i members moves its share at most, to who joins; a leave only what the leaver had',
    async (partitions, count) => {
      await inWorld(
        async (world) => {
          world.events = 1
          await world.create(partitions)
          const moves = new Moves(world)
          const names = ['a', 'b', 'c', 'd'].slice(0, count)
          for (const name of names) moves.join(name)
          await moves.rest(names)
          let before = moves.gained.length
          moves.join('new')
          names.push('new')
          await moves.rest(names)
          const joined = moves.gained.slice(before)
          expect(joined.length).toBeGreaterThan(0)
          expect(joined.length).toBeLessThanOrEqual(Math.ceil(partitions / names.length))
          expect(new Set(joined.map(({ by }) => by))).toEqual(new Set(['new']))
          before = moves.gained.length
          const leavers = moves.owned('a')
          moves.leave('a')
          await moves.rest(names.slice(1))
          const left = moves.gained.slice(before).map(({ shard }) => shard)
          expect(left).toHaveLength(leavers.length)
          expect(new Set(left)).toEqual(new Set(leavers))
          await moves.end()
        },
        { partitions },
      )
    },
  )

  test('no shard moves twice within a lease, however many come at once, one after another', async () => {
    await inWorld(
      async (world) => {
        world.events = 1
        await world.create(12)
        const moves = new Moves(world)
        moves.join('a')
        await moves.rest(['a'])
        const names = ['b', 'c', 'd', 'e', 'f']
        for (const name of names) {
          moves.join(name)
          await world.pass(LEASE / 4)
        }
        await moves.rest(['a', ...names])
        const last = new Map<number, number>()
        for (const { shard, at } of moves.gained) {
          expect(at - (last.get(shard) ?? -Infinity)).toBeGreaterThan(LEASE)
          last.set(shard, at)
        }
        expect(moves.gained.length).toBeGreaterThan(5)
        await moves.end()
      },
      { partitions: 12 },
    )
  })
})

describe('a planned handoff', () => {
  test.each(Array.from({ length: extent(12, 2) }, (_, i) => i + 1))(
    'to who joins takes three round trips at most, and begins no event twice: seed %i',
    async (seed) => {
      await inWorld(
        async (world) => {
          world.workMs = 60
          world.events = 150
          await world.create(4)
          const sent: { by: string; method: string; path: string; at: number; answered: number }[] = []
          const on = (by: string) => (storage: Storage) =>
            told(storage, ({ target, path, method }) => {
              const now = (): number => world.sim.clock.monotonic()
              const call = { by, method, path, at: now(), answered: Infinity }
              if (target === 'log' && !path.startsWith('s/group/')) sent.push(call)
              return () => void (call.answered = now())
            })
          const body = async (group: Group, me: Actor): Promise<void> => {
            await world.until(() => world.isCounted(), me)
            await group.leave()
          }
          const a = world.member('a', {}, body, on('a'))
          await world.until(() => world.begun.length > 20)
          const b = world.member('b', {}, body, on('b'))
          await Promise.all([a.done, b.done])
          const events = world.begun.map(({ partition, offset }) => `${partition}/${offset}`)
          expect(new Set(events).size).toBe(events.length)
          expect(world.said.every((said) => said.endsWith('!'))).toBe(true)
          let handoffs = 0
          for (const path of new Set(sent.map((call) => call.path))) {
            const own = sent.filter((call) => call.path === path)
            const fence = own.findIndex(({ by, method }) => by === 'b' && method === 'claim')
            if (fence < 0) continue
            handoffs++
            const last = own.slice(0, fence).findLast(({ by, method }) => by === 'a' && method === 'append')!
            // A read that was sent before the commit was there may have come too early.
            const pause = own.slice(0, fence + 1).filter(({ at, method }) => at > last.answered && method !== 'close')
            const calls = pause.map(({ by, method }) => `${by} ${method}`)
            expect(calls.filter((call) => !call.startsWith('b read'))).toEqual(
              last.answered < own[fence]!.at ? ['b claim'] : [],
            )
            expect(calls.length).toBeLessThanOrEqual(2)
          }
          expect(handoffs).toBe(2)
        },
        { partitions: 4, seed },
      )
    },
  )
})

/** What the first owner sent and said after it was frozen, as far as it was still in its old turn. */
class Former {
  thawed = Infinity
  readonly signals = new Map<number, AbortSignal>()
  /** Of its commits from then on: what became of them, and whether its handlers knew by the answer. */
  readonly late: { readonly outcome: string | undefined; readonly hadHeard: boolean }[] = []
  readonly #again = new Set<string>()

  constructor(readonly world: World) {
    world.onBegin = ({ by, partition, at }, { signal }) => {
      if (by === 'a' && at < this.thawed) this.signals.set(partition, signal)
    }
  }

  watch = (storage: Storage): Storage =>
    told(storage, ({ method, path }) => {
      const isThawed = this.world.sim.clock.monotonic() >= this.thawed
      // It has become a member again, and an owner.
      if (isThawed && method === 'claim') this.#again.add(path)
      const isCommit = method === 'append' && !path.startsWith('s/group/')
      if (!isThawed || !isCommit || this.#again.has(path)) return () => undefined
      return (outcome) => void this.late.push({ outcome, hadHeard: this.hasHeard })
    })

  get hasHeard(): boolean {
    return [...this.signals.values()].every((signal) => signal.aborted)
  }
}

/** An owner of two shards ends, or is frozen, at a moment of its turn, while another member stands by. */
async function failover(phase: number, clockOf?: 'runs' | 'stops'): Promise<void> {
  await inWorld(
    async (world) => {
      const { clock } = world.sim
      world.workMs = 150
      world.events = 150
      await world.create(2)
      const former = new Former(world)
      const ready: { group?: Group } = {}
      let isOver = false
      const body = async (group: Group, me: Actor): Promise<void> => {
        ready.group ??= group
        await world.until(() => isOver, me)
        await group.leave({ timeoutMs: 0 })
      }
      const a = world.member('a', { standbys: 1 }, body, former.watch)
      await world.until(() => world.begun.length > 4)
      const b = world.member('b', { weight: 0.001 }, body)
      await world.until(() => ready.group!.assignment().every(({ standbys }) => standbys.length === 1))
      await world.pass(LEASE + phase)
      expect(ready.group!.status().owned.map(({ first }) => first)).toEqual([0, 1])
      const died = clock.monotonic()
      if (clockOf) world.sim.stall(a, 3 * LEASE, clockOf)
      else world.sim.crash(a)
      former.thawed = clockOf ? died + 3 * LEASE : Infinity
      await world.until(() => clock.monotonic() >= died + 2 * LEASE)
      /** By the first partition of each shard. */
      const fences = [0, 1].map((first) => {
        const commit = world.committed.find(({ by, shard }) => by === 'b' && shard.first === first)
        expect(commit?.at ?? Infinity, `shard ${first}, ${phase} ms into a turn`).toBeLessThan(died + 2 * LEASE)
        return world.begun.find(({ by, partition }) => by === 'b' && partition === first)!.token
      })
      if (clockOf) {
        await world.until(() => clock.monotonic() > former.thawed + LEASE / 2)
        expect(former.hasHeard).toBe(true)
        expect(former.late.filter(({ outcome }) => outcome !== 'lost')).toEqual([])
        // Where its clocks stood still as well, only the answer can tell it.
        if (clockOf === 'runs') expect(former.late.filter(({ hadHeard }) => !hadHeard)).toEqual([])
      }
      await world.until(() => world.isCounted())
      const own = world.begun.filter(({ by, at }) => by === 'a' && at >= former.thawed)
      const stale = own.filter(({ partition, token }) => token < fences[partition]!)
      if (clockOf !== 'stops') expect(stale).toEqual([])
      for (const { by, shard, version, at } of world.committed) {
        const isAgain = own.some((each) => each.partition === shard.first && each.at < at && !stale.includes(each))
        if (by === 'a' && !isAgain) expect(version).toBeLessThan(fences[shard.first]!)
      }
      isOver = true
      await Promise.all([a.done, b.done])
    },
    { partitions: 2 },
  )
}

const COUNT = extent(24, 4)
const PHASES = Array.from({ length: COUNT }, (_, i) => Math.round(((i + 0.5) * LEASE) / 3 / COUNT))

describe('with a standby', () => {
  test.each(PHASES)('shards of an owner that dies %i ms into its turn commit again within two leases', (phase) =>
    failover(phase),
  )

  test.each(PHASES.map((phase, i) => [phase, i % 2 ? 'stops' : 'runs'] as const))(
    'an owner that froze %i ms into its turn, while its clock %s, is not acknowledged when it thaws, and its handlers know',
    (phase, clock) => failover(phase, clock),
  )
})
