/**
 * Owners that take a store from one another and collect, beside a follower, in the seeded simulator: each held up now and
 * then for longer than the grace period, at the calls where that is most dangerous.
 */
import { memory } from 'tidemark/memory'
import { simulate, type Actor } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { sleep, systemClock } from '../../src/clock.js'
import { probe } from '../../src/storage/probe.js'
import type { Store } from '../../src/store/store.js'
import { GRACE, lineOf, NAME, objects, openWith, passing, read, type World } from './collecting-world.js'
import { Owner } from './collecting-owner.js'
import { collect } from './storages.js'
import { Truth } from './truth.js'

/** Looks at what appears, and reads it some time later. */
async function follower(me: Actor, world: World): Promise<void> {
  const { sim, truth } = world
  const line = lineOf(me, world)
  let store: Store<string> | undefined
  for (let i = 0; i < 5; i++) {
    await sleep(me.clock, sim.random.next() * (sim.random.chance(0.6) ? 300 : GRACE))
    const since = sim.clock.monotonic()
    try {
      if (store) await store.refresh()
      else store = await openWith(line, NAME, 'follower', me.clock, world.retain)
    } catch (error) {
      passing(error)
      if (store && sim.random.chance(0.5)) await store.reopen().catch(passing)
      continue
    }
    const view = await store.snapshot()
    if (sim.random.chance(0.6)) await sleep(me.clock, (sim.random.next() * GRACE) / 2)
    try {
      truth.compare(NAME, view.version, await read(view), `${me.name} read`)
    } catch (error) {
      passing(error)
      const age = sim.clock.monotonic() - since
      if (world.hasTime && age < GRACE / 2) throw new Error(`a view ${age} ms old is gone`, { cause: error })
    }
    await view.close()
  }
  await store?.close()
}

const HOUR = 3_600_000
/** From when simulations begin. */
const NEXT_HOUR = HOUR - (1_700_000_000_000 % HOUR)

/** One run; throws, naming the seed, when an invariant does not hold. */
export async function collectors(seed: number, mode: World['mode'] = 'exclusive'): Promise<number> {
  try {
    return await life(seed, mode)
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

async function life(seed: number, mode: World['mode']): Promise<number> {
  let world!: World
  const late = { ms: 0 }
  const options = { seed, slow: { chance: 0.01, ms: 3 * GRACE }, delayMs: [1, 6] } as const
  const { steps } = await simulate(options, async (sim) => {
    // In the course of most runs an hour ends, whose last version has to stay.
    const ahead = NEXT_HOUR - ((seed * 7_919) % 10_000)
    const clock = { ...systemClock, now: () => sim.clock.now() + late.ms + ahead }
    const kind = sim.random.below(8)
    const hasTime = kind > 1
    const isDuel = sim.random.chance(0.5)
    const truth = new Truth()
    const storage = truth.watch(objects(hasTime ? clock : undefined, kind === 2 ? 'create' : 'writer'))
    world = {
      sim,
      mode,
      truth,
      storage,
      hasTime,
      isDuel,
      absent: () => (hasTime ? { time: clock.now() } : {}),
      retain: 1 + sim.random.below(2),
      acknowledged: new Map(),
      refused: new Set(),
      doubtful: new Set(),
      tags: new Map(),
      untagged: new Set(),
      forks: new Map(),
    }
    await probe(memory(), 'sim/0', systemClock, storage)
    await (await openWith(storage, NAME, mode, sim.clock, world.retain)).close()
    const actors = [
      ...['a', 'b', 'c']
        .slice(0, !isDuel && sim.random.chance(0.4) ? 3 : 2)
        .map((name, i) => sim.actor(name, (me) => new Owner(me, world).run(), { skewMs: (i - 1) * 3_600_000 })),
      sim.actor('f', (me) => follower(me, world), { skewMs: 3_600_000 }),
    ]
    await Promise.all(actors.map(({ done }) => done))
  })
  await judge(world, false)
  if (seed % 4 === 0) {
    const owner = await openWith(world.storage, NAME, mode, systemClock, world.retain)
    for (let i = 0; i < 3; i++) {
      await owner.maintain()
      late.ms += 2 * GRACE
    }
    await owner.close()
    await judge(world, true)
  }
  return steps
}

/** Nobody is there any more: what is left is held against what happened. */
async function judge(world: World, thorough: boolean): Promise<void> {
  const { storage, truth, acknowledged, refused, tags, untagged, forks, retain } = world
  truth.check()
  const store = await openWith(storage, NAME, 'follower', systemClock, retain)
  if (store.version !== truth.newest(NAME)) {
    throw new Error(`the newest version is ${store.version}, it should be ${truth.newest(NAME)}`)
  }
  truth.compare(NAME, store.version, await read(store), 'in the end')
  const listed = (await collect(store.versions())).map(({ version }) => version)
  const gone = truth.newestOfEach(NAME, HOUR).find((version) => !listed.includes(version))
  if (gone) throw new Error(`version ${gone} is not kept, the newest of its hour; these are: ${listed.join(' ')}`)
  for (const version of listed) {
    const past = await store.at(version)
    truth.compare(NAME, version, await read(past), 'kept')
    await past.close()
  }
  for (const [tag, version] of tags) {
    if (untagged.has(tag)) continue
    const past = await store.at(tag)
    truth.compare(NAME, version, await read(past), `tag ${tag}`)
    await past.close()
  }
  await store.close()
  for (const [version, op] of acknowledged) {
    if (truth.versionOf(op) !== version) throw new Error(`${op} was acknowledged as version ${version}`)
  }
  for (const op of refused) if (truth.versionOf(op)) throw new Error(`${op} was refused, but applied`)
  for (const [name, version] of forks) {
    const fork = await openWith(storage, name, 'follower', systemClock, retain)
    truth.compare(NAME, version, await read(fork), `fork ${name}`)
    await fork.close()
  }
  if (!thorough) return
  const { damages } = await verify({ storage, name: NAME })
  if (damages.length > 0) throw new Error(`damages: ${damages.map(({ message }) => message).join('; ')}`)
}
