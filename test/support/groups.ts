/** Groups in virtual time: members on actors of a simulation, a source that can be read again, and what they did. */
import { sleep } from '../../src/clock.js'
import { memory } from 'tidemark/memory'
import { openStore, type Storage } from 'tidemark'
import {
  joinGroup,
  rescale,
  type Group,
  type GroupOptions,
  type HandlerContext,
  type ShardProgress,
  type ShardRange,
} from 'tidemark/group'
import { simulate, type Actor, type Simulation } from 'tidemark/testing'

export const LEASE = 9_000

export interface Begun {
  readonly by: string
  readonly partition: number
  readonly offset: number
  readonly at: number
  readonly token: number
}

/** A commit that was acknowledged to its owner. */
export interface Committed {
  readonly by: string
  readonly shard: ShardRange
  readonly version: number
  readonly at: number
}

/** One group over one storage, with everything that its members did. */
export class World {
  readonly storage: Storage
  /** The events that were begun. */
  readonly begun: Begun[] = []
  readonly committed: Committed[] = []
  readonly said: string[] = []
  /** Is told of each event that is begun. */
  onBegin: (begun: Begun, context: HandlerContext) => void = () => undefined
  /** How many events each partition has. */
  events = 20
  /** Whether a partition has events. */
  hasEvents = (_partition: number): boolean => true
  /** Whether an event kills its process. */
  kills = (_partition: number, _offset: number): boolean => false
  /** Whether the handler of an event throws. */
  throws = (_partition: number, _offset: number): boolean => false
  /** How long a handler takes. */
  workMs = 50

  constructor(
    readonly sim: Simulation,
    readonly partitions = 4,
    storage: Storage = memory(),
  ) {
    this.storage = storage
  }

  options(me: Actor, more: Partial<GroupOptions> = {}): GroupOptions {
    const { clock } = me
    const storage = me.storage(this.storage)
    return {
      storage,
      name: 's',
      partitions: this.partitions,
      leaseMs: LEASE,
      clock,
      logger: false,
      info: me.name,
      ...more,
    }
  }

  /** Creates the store, of so many shards. */
  async create(shards: number): Promise<void> {
    const { sim, partitions } = this
    const place = { storage: sim.storage(this.storage), name: 's' }
    const store = await openStore({ ...place, partitions, clock: sim.clock, logger: false })
    await store.close()
    if (shards > 1) await rescale(place, { shards }, { clock: sim.clock })
  }

  /** A member that runs until it leaves. */
  member(
    name: string,
    more: Partial<GroupOptions> = {},
    body?: (group: Group, me: Actor) => Promise<void>,
    decorate = (storage: Storage): Storage => storage,
    clockOf = (me: Actor): Actor['clock'] => me.clock,
  ): Actor {
    return this.sim.actor(name, async (me) => {
      const options = this.options(me, more)
      const group = await joinGroup({ ...options, storage: decorate(options.storage), clock: clockOf(me) })
      group.on('rebalance', ({ newlyAssigned, revoked, lost }) => {
        const list = (shards: readonly { first: number; last: number }[]): string =>
          shards.map(({ first, last }) => `${first}-${last}`).join()
        this.said.push(`${name}: +${list(newlyAssigned)} -${list(revoked)} !${list(lost)}`)
        this.sim.note(this.said.at(-1)!)
      })
      group.on('warning', ({ message, cause }) => this.sim.note(`${name} warns: ${message} ${String(cause)}`))
      const running = this.run(group, me)
      await (body ? body(group, me) : running)
      await running
    })
  }

  async run(group: Group, me: Actor): Promise<void> {
    const { events, begun, partitions } = this
    const last = (partition: number): number => (this.hasEvents(partition) ? events : 0)
    const source = {
      name: 'events',
      partitions,
      async *read(partition: number, from: unknown, { signal }: { signal: AbortSignal }) {
        for (let offset = (from as number | undefined) ?? 0; offset < last(partition) && !signal.aborted; offset++) {
          yield { offset, key: `k${partition}`, value: 1 }
        }
      },
    }
    const handler = async (
      event: { offset: unknown; key: string },
      state: { get(key: string): Promise<unknown>; put(key: string, value: unknown): void },
      _emit: unknown,
      context: HandlerContext,
    ): Promise<void> => {
      const partition = Number(event.key.slice(1))
      const { token } = context
      begun.push({ by: me.name, partition, offset: event.offset as number, at: this.sim.clock.monotonic(), token })
      this.onBegin(begun.at(-1)!, context)
      this.sim.note(`${me.name} begins ${event.key} ${String(event.offset)}`)
      await sleep(me.clock, this.workMs)
      if (this.kills(partition, event.offset as number)) {
        this.sim.crash(me)
        await new Promise(() => undefined)
      }
      if (this.throws(partition, event.offset as number)) throw new Error('The handler cannot do this.')
      state.put('n', (((await state.get('n')) as number | undefined) ?? 0) + 1)
    }
    const onProgress = ({ shard, version }: ShardProgress): void =>
      void this.committed.push({ by: me.name, shard, version, at: this.sim.clock.monotonic() })
    await group.run(source as never, handler as never, { everyMs: 200, onProgress })
  }

  /** What the store counted in each partition. */
  async counts(): Promise<number[]> {
    const { clock } = this.sim
    const storage = this.sim.storage(this.storage)
    const store = await openStore<string, number>({ storage, name: 's', mode: 'follower', logger: false, clock })
    const counts: number[] = []
    for (let i = 0; i < this.partitions; i++) counts.push((await store.partition(i).get('n')) ?? 0)
    await store.close()
    return counts
  }

  pass(ms: number): Promise<void> {
    return sleep(this.sim.clock, ms)
  }

  /** Waits by the clock of an actor: who is frozen sees nothing. */
  async until(what: () => boolean | Promise<boolean>, { clock }: Actor = this.sim): Promise<void> {
    const end = this.sim.clock.monotonic() + 600_000
    while (!(await what())) {
      if (this.sim.clock.monotonic() > end) throw new Error('it never came')
      await sleep(clock, 100)
    }
  }

  /** Whether all events are counted, each once. */
  async isCounted(): Promise<boolean> {
    if (this.begun.length < this.events * this.partitions) return false
    const counts = await this.counts()
    return counts.every((count) => count === this.events)
  }
}

export const inWorld = (
  run: (world: World) => Promise<void>,
  options: {
    seed?: number
    partitions?: number
    maxSteps?: number
    slow?: boolean
    storage?: Storage
    /** How long each request takes; left out, some take longer than others. */
    tripMs?: number
  } = {},
): Promise<{ readonly trace: readonly string[] }> =>
  simulate(
    {
      seed: options.seed ?? 1,
      maxSteps: options.maxSteps ?? 200_000,
      ...(options.slow ? {} : { slow: { chance: 0, ms: 0 } }),
      ...(options.tripMs && { delayMs: [options.tripMs / 2, options.tripMs / 2] as const }),
    },
    (sim) => run(new World(sim, options.partitions, options.storage)),
  )
