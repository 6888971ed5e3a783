/**
 * What simulated groups stand on. Most have a store with room for all that happens. Of some it is so small that owners let versions go and
 * delete what is free, of their own logs and of those that were sealed, while shards move: there the true history of each log is kept, and
 * compared in the end with each version that should still be there.
 */
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import type { Simulation } from 'tidemark/testing'
import { systemClock } from '../../src/clock.js'
import { evenCuts } from '../../src/engine/shards/plan.js'
import { rescaleLogs } from '../../src/engine/shards/rescale.js'
import { rescale } from '../../src/group/rescale.js'
import { intercept } from '../../src/storage/intercept.js'
import { contextOf } from '../../src/transfer/options.js'
import { objects } from './collecting-world.js'
import { PARTITIONS, VersionsTruth } from './rescaled-versions-truth.js'
import { reader, tagger, undertaker } from './rescaled-versions.js'
import { contextIn, finish, judgeShards, KEYS, NAME, tiny, type VersionsWorld } from './rescaled-versions-world.js'

export interface Ground {
  readonly storage: Storage
  readonly partitions: number
  /** How many events each partition has. */
  readonly events: number
  /** How shards are opened. */
  readonly store: object
  /** Makes it so many shards, from outside of the group. */
  readonly rescale: (storage: Storage, shards: number) => Promise<unknown>
  /** The keys of a partition: under the first one events are counted, and the second one has large values. */
  readonly keysOf: (partition: number) => readonly string[]
  /** Begins what is done beside the group. */
  begin(): void
  /** After the simulation. */
  judge(): Promise<Collected>
}

/** What was deleted while the group was there. */
export interface Collected {
  /** Of logs that were written by then. */
  readonly living: number
  /** Of logs that were sealed. */
  readonly sealed: number
}

export function roomyGround(sim: Simulation): Ground {
  return {
    storage: memory(),
    partitions: 3 + sim.random.below(4),
    events: 10,
    store: {},
    // Through the group, or past it.
    rescale: (storage, shards) =>
      sim.random.chance(0.5)
        ? rescale({ storage, name: NAME }, { shards }, { clock: sim.clock })
        : rescaleLogs(contextOf({ storage, name: NAME }, sim.clock), (all) => evenCuts(shards, all)),
    keysOf: () => ['n'],
    begin: () => undefined,
    judge: () => Promise.resolve({ living: 0, sealed: 0 }),
  }
}

export function smallGround(sim: Simulation): Ground {
  const { random } = sim
  const late = { ms: 0 }
  const clock = { ...systemClock, now: () => sim.clock.now() + late.ms, monotonic: () => late.ms }
  const truth = new VersionsTruth()
  const deleted = { living: 0, sealed: 0 }
  const watched = truth.watch(objects(clock, random.chance(0.3) ? 'create' : 'writer'))
  const storage = intercept(watched, async (call, run) => {
    const { method, path } = call
    if (['delete', 'remove', 'destroy'].includes(method)) {
      const log = [...truth.logs.values()].find((each) => path.startsWith(`${each.path}/`) || path === each.path)
      if (log) deleted[log.sealedAt === undefined ? 'living' : 'sealed']++
    }
    return run(call.signal)
  })
  const retain = 1 + random.below(3)
  const absent = (): unknown => ({ time: clock.now() })
  const world: VersionsWorld = { sim, truth, storage, hasTime: true, retain, absent, tags: new Map() }
  return {
    storage,
    partitions: PARTITIONS,
    events: 16,
    store: tiny(retain),
    // Its grace period is that of the owners.
    rescale: (line, shards) => rescaleLogs(contextIn(world, line, sim.clock), (all) => evenCuts(shards, all)),
    keysOf: (partition) => KEYS[partition]!,
    begin() {
      const others = [reader, tagger, ...(random.chance(0.5) ? [undertaker] : [])]
      for (const [i, other] of others.entries()) {
        sim.actor(other.name, (me) => other(me, world), { skewMs: (i - 1) * 3_600_000 })
      }
    },
    async judge() {
      const collected = { ...deleted }
      await judgeShards(world, clock)
      await finish(world, clock, late)
      return collected
    },
  }
}
