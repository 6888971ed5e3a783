/** Rule S3 of docs/protocol.md, seen from outside: a sink that takes nothing with a lower token than it has taken already. */
import type { Actor } from 'tidemark/testing'
import { expect } from 'vitest'
import { sleep } from '../../src/clock.js'
import { edit, rule, type Edit } from '../support/mutated.js'
import type * as Groups from '../support/groups.js'

type World = Groups.World

/** What a handler has sent to the sink. */
interface Sent {
  readonly by: string
  readonly offset: number
  readonly token: number
}

class Sink {
  readonly taken: Sent[] = []
  readonly refused: Sent[] = []
  readonly #highest = new Map<number, number>()

  send(partition: number, sent: Sent): void {
    const highest = this.#highest.get(partition) ?? 0
    if (sent.token < highest) return void this.refused.push(sent)
    this.#highest.set(partition, sent.token)
    this.taken.push(sent)
  }
}

function tokens(title: string, edits: readonly Edit[], body: (sources: typeof Groups) => Promise<void>): void {
  rule<typeof Groups>('S3', title, edits, body, { module: 'test/support/groups.ts' })
}

const isBegunBy = ({ begun }: World, name: string, times: number): boolean =>
  begun.filter(({ by }) => by === name).length >= times

tokens(
  'an outside sink takes what owners of merged shards send',
  [
    edit(
      'src/engine/shards/succession.ts',
      '1 + Math.max(...parents.map((parent) => parent.ended.n))',
      '1 + parents[0]!.ended.n',
    ),
  ],
  async ({ inWorld, LEASE }) => {
    const sink = new Sink()
    let hasMerged = false
    await inWorld(
      async (world) => {
        await world.create(2)
        world.events = 2_000
        world.hasEvents = (partition) => partition === 1
        world.onBegin = ({ partition, ...sent }) => sink.send(partition, sent)
        const a = world.member('a', {}, async (group, me) => {
          await world.until(() => world.begun.length > 20 && group.members().length === 2, me)
          await group.leave()
        })
        await world.until(() => world.begun.length > 20)
        const b = world.member('b', {}, async (group, me) => {
          // The fence of the second shard has a high number, and the log of the first one is short.
          await world.until(() => isBegunBy(world, 'b', 3), me)
          void group.rescale({ shards: 1 }).catch(() => undefined)
          await sleep(me.clock, 1e9)
        })
        const isMerged = ({ shard }: Groups.Committed): boolean => shard.first === 0 && shard.last === 1
        const end = world.sim.clock.monotonic() + 20 * LEASE
        await world.until(() => world.committed.some(isMerged) || world.sim.clock.monotonic() > end)
        hasMerged = world.committed.some(isMerged)
        for (const each of [a, b]) world.sim.crash(each)
      },
      { partitions: 2 },
    )
    expect(sink.refused).toEqual([])
    expect(hasMerged).toBe(true)
  },
)

tokens(
  'an outside sink takes nothing from a former owner once the new one has sent something',
  [edit('src/group/tenure.ts', 'this.token = handle.state.head', 'this.token = 1')],
  async ({ inWorld, LEASE }) => {
    const sink = new Sink()
    await inWorld(
      async (world) => {
        const actors = new Map<string, Actor>()
        const isOver = (): boolean =>
          sink.taken.some(({ by }) => by === 'b') && woken < world.sim.clock.monotonic() - LEASE
        let woken = Infinity
        // At the end of its work the handler sends what it has made.
        world.onBegin = ({ by, partition, offset, token }) =>
          void sleep(actors.get(by)!.clock, world.workMs).then(() => sink.send(partition, { by, offset, token }))
        const body = async (group: { leave(): Promise<void> }, me: Actor): Promise<void> => {
          await world.until(isOver, me)
          await group.leave()
        }
        actors.set('a', world.member('a', {}, body))
        await world.until(() => world.begun.length >= 5)
        world.sim.stall(actors.get('a')!, 4 * LEASE)
        woken = world.sim.clock.monotonic() + 4 * LEASE
        actors.set('b', world.member('b', {}, body))
        await Promise.all([...actors.values()].map(({ done }) => done))
      },
      { partitions: 1 },
    )
    expect(sink.refused.map(({ by }) => by)).toEqual(['a'])
    const byNew = sink.taken.findIndex(({ by }) => by === 'b')
    expect(sink.taken.slice(byNew).filter(({ by }) => by === 'a')).toEqual([])
  },
)
