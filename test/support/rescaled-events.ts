/**
 * Owners that commit what follows from a source, planners that split and merge their shards, and followers, in the seeded simulator: held up
 * for longer than the grace period, cut off and killed where that is most dangerous.
 */
import { memory } from 'tidemark/memory'
import { simulate, type Actor } from 'tidemark/testing'
import { sleep, systemClock } from '../../src/clock.js'
import { closeLog } from '../../src/engine/context.js'
import { replaceOwned } from '../../src/engine/shards/owned.js'
import { probe } from '../../src/storage/probe.js'
import { StoreHandle } from '../../src/store/handle.js'
import { toHex } from '../../src/bytes/hex.js'
import { objects, passing } from './collecting-world.js'
import { PARTITIONS, positionOf, EventsTruth } from './rescaled-events-truth.js'
import {
  commitEvents,
  compare,
  EVENTS,
  GRACE,
  lineOf,
  NAME,
  openWith,
  optionsOf,
  over,
  partitionsOf,
  rescaleTo,
  takeEvents,
  valueIn,
  type Opened,
  type EventsWorld,
} from './rescaled-events-world.js'

/** One run; throws, naming the seed, when an invariant does not hold. */
export async function rescaledEvents(seed: number): Promise<number> {
  try {
    return await life(seed)
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

async function life(seed: number): Promise<number> {
  let world!: EventsWorld
  const options = { seed, slow: { chance: 0.01, ms: 3 * GRACE }, delayMs: [1, 6] } as const
  const { steps } = await simulate(options, async (sim) => {
    const { random } = sim
    const kind = random.below(8)
    const truth = new EventsTruth(Array.from({ length: EVENTS }, () => random.below(PARTITIONS)))
    const clock = kind > 1 ? { ...systemClock, now: () => sim.clock.now() } : undefined
    const storage = truth.watch(objects(clock, kind === 2 ? 'create' : 'writer'))
    const absent = (): unknown => (clock ? { time: clock.now() } : {})
    world = { sim, mode: random.chance(0.25) ? 'shared' : 'exclusive', truth, storage, absent }
    await probe(memory(), `${NAME}/0`, systemClock, storage)
    await (await openWith(storage, sim.clock, { mode: world.mode })).store.close()
    const skew = (i: number): { readonly skewMs: number } => ({ skewMs: (i - 1) * 3_600_000 })
    const actors = [
      ...['a', 'b', 'c']
        .slice(0, 2 + random.below(2))
        .map((name, i) => sim.actor(name, (me) => new Owner(me, world).run(), skew(i))),
      ...['p', 'q']
        .slice(0, 1 + random.below(2))
        .map((name, i) => sim.actor(name, (me) => planner(me, world), skew(i))),
      sim.actor('f', (me) => follower(me, world), skew(2)),
    ]
    await Promise.all(actors.map(({ done }) => done))
  })
  await judge(world)
  return steps
}

class Owner {
  readonly #me: Actor
  readonly #world: EventsWorld
  readonly #storage: ReturnType<typeof lineOf>
  #ops = 0

  constructor(me: Actor, world: EventsWorld) {
    this.#me = me
    this.#world = world
    this.#storage = lineOf(me, world)
  }

  async run(): Promise<void> {
    const { random } = this.#world.sim
    for (let round = 0; round < 3; round++) {
      await sleep(this.#me.clock, random.next() * (random.chance(0.7) ? 300 : GRACE))
      await this.#own(random.below(PARTITIONS))
    }
  }

  async #own(shard: number): Promise<void> {
    const { mode } = this.#world
    const opened = await this.#try(() => openWith(this.#storage, this.#me.clock, { mode, shard }))
    if (opened) await this.#work(opened, 2 + this.#world.sim.random.below(5))
  }

  /** Works with a store, and closes it. */
  async #work(opened: Opened, acts: number): Promise<void> {
    await this.#try(() => compare(opened, this.#world.truth, `${this.#me.name} opened`))
    for (let act = 0; act < acts; act++) {
      const isFine = await this.#act(opened)
      this.#world.truth.check()
      if (isFine === 'gone') return
      if (!isFine) {
        opened.store.discard()
        if (!(await this.#try(() => opened.store.reopen().then(() => true)))) break
        await this.#try(() => compare(opened, this.#world.truth, `${this.#me.name} opened again`))
      }
    }
    await opened.store.close()
  }

  async #act(opened: Opened): Promise<boolean | 'gone'> {
    const { sim, mode } = this.#world
    const lot = sim.random.next()
    if (lot < 0.65) return this.#commit(opened)
    if (lot < 0.75) return (await this.#try(() => opened.store.checkpoint().then(() => true))) ?? true
    if (lot < 0.85) return (await this.#try(() => opened.store.maintain().then(() => true))) ?? true
    if (mode === 'shared') return this.#commit(opened)
    return (await (lot < 0.93 ? this.#split(opened) : this.#merge(opened))) ? 'gone' : false
  }

  /** `false` when the handle may not write any more. */
  async #commit(opened: Opened): Promise<boolean> {
    const { sim, truth } = this.#world
    const op = `${this.#me.name}${++this.#ops}`
    try {
      const positions = await takeEvents(opened, truth, 1 + sim.random.below(3))
      const isLarge = sim.random.chance(0.15)
      if (isLarge) {
        const changed = new Map<number, string>()
        for (const p of partitionsOf(opened)) changed.set(p, await valueIn(opened.store, p))
        truth.large.set(op, changed)
        opened.store.partition(partitionsOf(opened)[0]!).put('large', op.padEnd(1_100, '.'))
      }
      await commitEvents(opened, truth, positions, op)
      return true
    } catch (error) {
      const code = passing(error)
      if (code !== 'UNKNOWN_OUTCOME' && truth.has(op)) throw new Error(`${op} failed as ${code}, but was applied`)
      opened.store.discard()
      return code === 'CONFLICT' || code === 'STORAGE_UNAVAILABLE'
    }
  }

  /** The owner ends its shard, and goes on in one of those that come of it. */
  async #split(opened: Opened): Promise<boolean> {
    const { random } = this.#world.sim
    const own = partitionsOf(opened)
    const cut = own[0]! + random.below(own.length)
    const parts = [own.filter((p) => p < cut), own.filter((p) => p >= cut)].filter((part) => part.length > 0)
    return this.#replace([opened], parts)
  }

  async #merge(opened: Opened): Promise<boolean> {
    const next = partitionsOf(opened).at(-1)! + 1
    if (next === PARTITIONS) return this.#split(opened)
    const { mode } = this.#world
    const other = await this.#try(() => openWith(this.#storage, this.#me.clock, { mode, shard: next }))
    if (!other) return false
    return this.#replace([opened, other], [[...partitionsOf(opened), ...partitionsOf(other)]])
  }

  async #replace(all: readonly Opened[], parts: readonly (readonly number[])[]): Promise<boolean> {
    const children = parts.map((part) => ({ first: part[0]!, last: part.at(-1)! }))
    const shards = all.map(({ handle }) => handle.shard)
    const succession = await this.#try(() => replaceOwned(shards, children, undefined))
    for (const { store } of all) await store.close()
    const [mine, ...others] = succession?.born ?? []
    for (const { context, log } of others) await closeLog(context, log)
    if (mine) {
      const options = optionsOf(this.#storage, this.#me.clock, {
        mode: 'exclusive',
        shard: mine.state.carried.own!.first,
      })
      const handle = await this.#try(() => StoreHandle.adopt(options, mine))
      if (handle) await this.#work(over(handle, options), 2)
    }
    return true
  }

  /** `undefined` when it failed as it may. */
  async #try<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act()
    } catch (error) {
      passing(error)
      return undefined
    } finally {
      this.#world.truth.check()
    }
  }
}

/** Splits and merges anything to anything. */
async function planner(me: Actor, world: EventsWorld): Promise<void> {
  const { random } = world.sim
  const storage = lineOf(me, world)
  for (let round = 0; round < 3; round++) {
    await sleep(me.clock, random.next() * (random.chance(0.7) ? 500 : GRACE))
    try {
      await rescaleTo(storage, me.clock, someCuts(random))
    } catch (error) {
      passing(error)
    }
    world.truth.check()
  }
}

function someCuts(random: EventsWorld['sim']['random']): readonly number[] {
  return [1, 2, 3].filter(() => random.chance(0.45))
}

/** Looks at all shards together, or at one. */
async function follower(me: Actor, world: EventsWorld): Promise<void> {
  const { random } = world.sim
  const storage = lineOf(me, world)
  const shard = random.chance(0.4) ? { shard: random.below(PARTITIONS) } : {}
  let opened: Opened | undefined
  const before = new Map<number, number>()
  for (let round = 0; round < 5; round++) {
    await sleep(me.clock, random.next() * (random.chance(0.6) ? 300 : GRACE))
    try {
      if (opened) await opened.store.refresh()
      else opened = await openWith(storage, me.clock, { mode: 'follower', ...shard })
      const snapshot = await opened.store.snapshot()
      for (const p of partitionsOf(opened)) {
        const value = await valueIn(snapshot, p)
        if (!world.truth.everHeld(p, value)) throw new Error(`${me.name} read "${value}" of partition ${p}`)
        if (value.length < (before.get(p) ?? 0)) throw new Error(`partition ${p} went back to "${value}"`)
        before.set(p, value.length)
      }
      await snapshot.close()
    } catch (error) {
      passing(error)
      if (opened && random.chance(0.5)) await opened.store.reopen().catch(passing)
    }
  }
  await opened?.store.close()
}

/** Nobody is there any more, and nothing fails: all goes on from where the history ends. */
async function judge({ storage, truth, mode, sim }: EventsWorld): Promise<void> {
  truth.check()
  for (let p = 0; p < PARTITIONS; p++) {
    const opened = await openWith(storage, systemClock, { mode, shard: p })
    const living = toHex(opened.handle.state.logId)
    if (truth.living[p]!.id !== living)
      throw new Error(`partition ${p} opens as ${living}, and lives in ${truth.living[p]!.id}`)
    await compare(opened, truth, 'in the end')
    await opened.store.close()
  }
  for (const [round, cuts] of [someCuts(sim.random), []].entries()) {
    const shards = await rescaleTo(storage, systemClock, cuts)
    if (shards.length !== cuts.length + 1)
      throw new Error(`${shards.length} shards after a rescale to ${cuts.length + 1}`)
    for (const { first } of shards) {
      const opened = await openWith(storage, systemClock, { mode, shard: first })
      await compare(opened, truth, 'after the last rescale')
      const most = round === 0 ? 5 : EVENTS * PARTITIONS
      await commitEvents(opened, truth, await takeEvents(opened, truth, most), `last of ${first} in round ${round}`)
      await compare(opened, truth, 'after the last commit')
      if (round > 0) checkWhole(opened)
      await opened.store.close()
    }
    truth.check()
  }
}

function checkWhole({ handle }: Opened): void {
  for (let p = 0; p < PARTITIONS; p++) {
    const at = positionOf(handle.state.carried, p)
    if (at !== EVENTS) throw new Error(`partition ${p} stands still at ${at}`)
  }
}
