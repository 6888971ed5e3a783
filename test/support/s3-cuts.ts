import type { Storage } from 'tidemark'
import { cuts, worldOver, type CutsResult, type Way } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import { advance, hastyClock, open, verifyHistory, type Acknowledged } from './history.js'

const LAST = 6

/** A short life of a store, cut at each of its calls: over a line each call takes its time. */
export async function cutShortLife(make: () => Storage, ways: readonly Way[]): Promise<CutsResult> {
  const makeWorld = worldOver(make)
  return cuts<Acknowledged>({
    async makeWorld(decide) {
      const world = await makeWorld(decide)
      // Each run would else begin with the probe, whose cuts are the business of other tests.
      await probe(await world.reopen(), 'history/0', hastyClock, world.storage)
      return world
    },
    async scenario(storage, acknowledged) {
      const store = await open(storage)
      await advance(store, 4, acknowledged)
      await store.checkpoint()
      await advance(store, LAST, acknowledged)
      await store.close()
    },
    verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
    ways,
    limitMs: 60_000,
  })
}
