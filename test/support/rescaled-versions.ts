/** Those who write, split, merge, collect, tag, put back and read shards at once, in the seeded simulator. */
import { systemClock } from 'tidemark'
import { memory } from 'tidemark/memory'
import { simulate, type Actor } from 'tidemark/testing'
import { sleep } from '../../src/clock.js'
import { closeLog, currentTime, type ShardContext } from '../../src/engine/context.js'
import { buildEntry } from '../../src/engine/entry-builder.js'
import { stateAt } from '../../src/engine/history/past.js'
import { putPin } from '../../src/engine/history/pin-version.js'
import { lookAt, rangeOf } from '../../src/engine/shards/end.js'
import { leaves, making } from '../../src/engine/shards/family.js'
import { holdFor } from '../../src/engine/shards/holds.js'
import { rescaleLogs } from '../../src/engine/shards/rescale.js'
import { sideBySide } from '../../src/engine/shards/side-by-side.js'
import { Undertaking } from '../../src/engine/shards/undertaking.js'
import type { OpenLog } from '../../src/engine/state.js'
import { assertNotTrimmed, sendEntry } from '../../src/engine/write/send.js'
import { probe } from '../../src/storage/probe.js'
import type { Store } from '../../src/store/store.js'
import { GRACE, objects, read } from './collecting-world.js'
import { PARTITIONS, VersionsTruth } from './rescaled-versions-truth.js'
import {
  contextIn,
  finish,
  judgeShards,
  KEYS,
  lineIn,
  mayHappen,
  openShardOf,
  type VersionsWorld,
} from './rescaled-versions-world.js'

const ALL = { minDeletes: 1, maxDeletes: Infinity, inTime: () => true, dryRun: false }

/** Opens the shard of some partition, and writes, folds and collects there. */
async function owner(me: Actor, world: VersionsWorld): Promise<void> {
  const { random } = world.sim
  const line = lineIn(me, world)
  for (let turn = 0; turn < 3; turn++) {
    await sleep(me.clock, random.next() * (random.chance(0.7) ? 400 : 2 * GRACE))
    const shard = random.below(PARTITIONS)
    let store: Store<string> | undefined
    try {
      store = await openShardOf(world, line, me.clock, { shard })
      for (let i = 1 + random.below(5); i > 0; i--) {
        const { first, last } = store.shards[0]!
        const partition = first + random.below(last - first + 1)
        const key = KEYS[partition]![random.below(2)]!
        store.put(key, `${me.name}${turn}.${i}`)
        await store.commit()
        if (random.chance(0.3)) await store.checkpoint()
        if (random.chance(0.4)) await store.maintain()
        await sleep(me.clock, random.next() * 50)
      }
    } catch (error) {
      mayHappen(error)
    }
    await store?.close().catch(mayHappen)
    world.truth.check()
  }
}

/** Splits and merges. */
async function planner(me: Actor, world: VersionsWorld): Promise<void> {
  const { random } = world.sim
  const line = lineIn(me, world)
  for (let turn = 0; turn < 3; turn++) {
    await sleep(me.clock, random.next() * GRACE)
    const cuts = [1, 2, 3].filter(() => random.chance(0.4))
    try {
      await rescaleLogs(contextIn(world, line, me.clock), () => cuts)
    } catch (error) {
      mayHappen(error)
    }
    world.truth.check()
  }
}

/** Collects what was sealed, for any of the shards that live. */
export async function undertaker(me: Actor, world: VersionsWorld): Promise<void> {
  const { random } = world.sim
  const line = lineIn(me, world)
  for (let turn = 0; turn < 8; turn++) {
    await sleep(me.clock, random.next() * GRACE)
    await undertakeAll(contextIn(world, line, me.clock), () => random.chance(0.6)).catch(mayHappen)
  }
}

async function undertakeAll(ctx: ShardContext, isChosen: () => boolean): Promise<void> {
  for (const leaf of (await leaves(ctx, making)) ?? []) {
    await closeLog(leaf.context, leaf.log)
    if (leaf.seal || !isChosen()) continue
    const undertaking = new Undertaking({ context: leaf.context, state: leaf.state }, new AbortController().signal)
    await undertaking.run(ALL, false)
    await undertaking.stop()
  }
}

/** A version of one of the logs that were sealed, as somebody reads it who knows the log. */
async function oldVersion(
  world: VersionsWorld,
  ctx: ShardContext,
): Promise<{ readonly key: string; readonly n: number; readonly source: OpenLog } | undefined> {
  const { truth, sim } = world
  const sealed = [...truth.logs].filter(([, log]) => log.sealedAt !== undefined)
  if (sealed.length === 0) return undefined
  const [key, log] = sealed[sim.random.below(sealed.length)]!
  const versions = truth.versionsOf(key)
  if (versions.length === 0) return undefined
  const n = versions[Math.max(0, versions.length - 1 - sim.random.below(3))]!
  const own = { ...ctx, shard: log.path.split('/')[1] === '0' ? undefined : key }
  const look = await lookAt(own, { first: log.range[0], last: log.range[1] })
  if (look === undefined || !look.seal || look.n < n) return undefined
  if ((look.sealed?.keeps ?? look.state?.carried.keeps ?? 0) > n) return undefined
  const state = look.state ?? { ...(await stateAt(own, look.log, look.n)), seal: look.seal }
  return { key, n, source: { context: own, log: look.log, state } }
}

/** Tags versions of logs that were sealed. */
export async function tagger(me: Actor, world: VersionsWorld): Promise<void> {
  const { random } = world.sim
  const line = lineIn(me, world)
  for (let turn = 0; turn < 4; turn++) {
    await sleep(me.clock, random.next() * GRACE)
    try {
      const old = await oldVersion(world, contextIn(world, line, me.clock))
      if (!old) continue
      const { source, key, n } = old
      const state = await stateAt(source.context, source.log, n)
      if (random.chance(0.3)) await sleep(me.clock, random.next() * 3 * GRACE)
      const request = { kind: 'tag', name: 'old', ttlMs: 0, state, from: undefined } as const
      const { blob } = await putPin(source, request)
      world.tags.set(blob, { key, n })
    } catch (error) {
      mayHappen(error)
    }
  }
}

/** Puts versions of logs that were sealed back, in a shard that came of them. */
async function restorer(me: Actor, world: VersionsWorld): Promise<void> {
  const { random } = world.sim
  const line = lineIn(me, world)
  for (let turn = 0; turn < 4; turn++) {
    await sleep(me.clock, random.next() * GRACE)
    try {
      await restore(me, world, contextIn(world, line, me.clock))
    } catch (error) {
      mayHappen(error)
    }
    world.truth.check()
  }
}

async function restore(me: Actor, world: VersionsWorld, ctx: ShardContext): Promise<void> {
  const { truth, sim } = world
  const old = await oldVersion(world, ctx)
  if (!old) return
  const { key, n, source } = old
  const [from, to] = truth.logs.get(key)!.range
  const living = [...truth.logs].filter(([, { sealedAt, range }]) => !sealedAt && range[0] >= from && range[1] <= to)
  const [target] = living[sim.random.below(living.length)] ?? []
  if (target === undefined || truth.logs.get(target)!.path.split('/')[1] === '0') return
  const look = await lookAt({ ...ctx, shard: target })
  if (look === undefined || look.seal) return
  const theirs = await stateAt(source.context, source.log, n)
  const { first, last } = rangeOf(look.state)
  const hold = await holdFor(source, theirs, { path: look.log.path, n: look.state.head + 1 })
  const { manifest, memtable } = sideBySide([{ range: [from, to], state: theirs }], [first, last])
  const origin = { log: source.log.path, version: n, partitions: [] }
  const time = currentTime(look.context, look.log)
  const built = await buildEntry(look.log, look.state, { kind: 'reset', time, memtable, reset: { manifest, origin } })
  if (sim.random.chance(0.3)) await sleep(me.clock, sim.random.next() * 4 * GRACE)
  const told = await sendEntry(look.context, look.log, look.state.head, built)
  if (told.outcome === 'committed') await assertNotTrimmed(look.context, look.log, built.entry.n, told.time)
  await hold.release(told.outcome)
}

/** Looks at what appears, and reads it some time later. */
export async function reader(me: Actor, world: VersionsWorld): Promise<void> {
  const { sim, truth } = world
  const line = lineIn(me, world)
  for (let i = 0; i < 5; i++) {
    await sleep(me.clock, sim.random.next() * GRACE)
    const since = sim.clock.monotonic()
    let store: Store<string> | undefined
    try {
      store = await openShardOf(world, line, me.clock, { mode: 'follower' })
      const view = await store.snapshot()
      const shards = store.shards
      if (sim.random.chance(0.6)) await sleep(me.clock, (sim.random.next() * GRACE) / 2)
      try {
        const found = await read(view)
        for (const { first, last, version } of shards) {
          const own = new Map(
            [...found].filter(([key]) => KEYS.slice(first, last + 1).some((keys) => keys.includes(key))),
          )
          if (version > 0) truth.compare(truth.logOf(first, last, version), version, own, `${me.name} read`)
        }
      } catch (error) {
        mayHappen(error, 'CORRUPT')
        const age = sim.clock.monotonic() - since
        if (world.hasTime && age < GRACE / 2) throw new Error(`a view ${age} ms old is gone`, { cause: error })
      }
      await view.close()
    } catch (error) {
      mayHappen(error)
    }
    await store?.close()
  }
}

/** One run; throws, naming the seed, when an invariant does not hold. */
export async function rescaledVersions(seed: number): Promise<number> {
  try {
    return await life(seed)
  } catch (error) {
    throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
  }
}

async function life(seed: number): Promise<number> {
  let world!: VersionsWorld
  const late = { ms: 0 }
  const clock = { ...systemClock, now: () => 1_700_000_000_000 + late.ms, monotonic: () => late.ms }
  const options = { seed, slow: { chance: 0.01, ms: 3 * GRACE }, delayMs: [1, 6], maxSteps: 400_000 } as const
  const { steps } = await simulate(options, async (sim) => {
    const now = { ...systemClock, now: () => sim.clock.now() + late.ms }
    clock.now = () => sim.clock.now() + late.ms
    const hasTime = sim.random.chance(0.75)
    const truth = new VersionsTruth()
    const storage = truth.watch(objects(hasTime ? now : undefined, sim.random.chance(0.3) ? 'create' : 'writer'))
    const absent = (): unknown => (hasTime ? { time: now.now() } : {})
    world = { sim, truth, storage, hasTime, retain: 1 + sim.random.below(3), absent, tags: new Map() }
    await probe(memory(), 'sim/0', systemClock, storage)
    const first = await openShardOf(world, storage, sim.clock)
    for (const keys of KEYS) first.put(keys[0]!, 'begin')
    await first.commit()
    if (sim.random.chance(0.5)) await first.checkpoint()
    await first.close()
    const roles = [owner, owner, planner, undertaker, undertaker, tagger, restorer, reader]
    const skews = hasTime ? 3_600_000 : 0
    const actors = roles.map((role, i) =>
      sim.actor(`${role.name}${i}`, (me) => role(me, world), { skewMs: (i - 4) * skews }),
    )
    await Promise.all(actors.map(({ done }) => done))
  })
  const end = world.sim.clock.now()
  clock.now = () => end + late.ms
  await judgeShards(world, clock)
  await finish(world, clock, late)
  return steps
}
