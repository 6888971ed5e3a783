/** Stores that are cut at their storage calls: nothing acknowledged is lost, one version is shown whole, work goes on. */
import { expect } from 'vitest'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, worldOver, type Way } from 'tidemark/testing'
import { probe } from '../../src/storage/probe.js'
import {
  advance,
  contents,
  hastyClock,
  open,
  persist,
  reached,
  stateAfter,
  verifyHistory,
  type Acknowledged,
} from './history.js'
import type { SuiteOptions } from './suite-options.js'
import { inTurn, type Share } from './thin.js'

const OFTEN = { checkpoint: { entries: 3, bytes: 2_000 } }
/** Commit 5 is a large one. */
const LAST = 9

/** Opens, commits, folds, closes, opens again and goes on. */
async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  const store = await persist(() => open(storage, OFTEN))
  await advance(store, 3, acknowledged)
  await persist(() => store.checkpoint())
  await store.close()
  const again = await persist(() => open(storage, OFTEN))
  await advance(again, LAST, acknowledged)
  expect(reached(again)).toBe(LAST)
  expect(await persist(() => contents(again))).toEqual(stateAfter(LAST))
  await persist(() => again.close())
}

/** Cuts that life at each call that `share` leaves, or at each in each way. */
export async function cutLife(make: () => Storage, ways: readonly Way[] = WAYS, share?: Share): Promise<void> {
  const makeWorld = worldOver(make)
  const { points, runs, missed } = await cuts<Acknowledged>({
    async makeWorld(decide) {
      const world = await makeWorld(decide)
      // Each run would else begin with the probe, whose cuts are the business of another test.
      await probe(memory(), 'history/0', hastyClock, world.storage)
      return world
    },
    scenario: life,
    verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
    ways,
    only: share && inTurn(share, ways),
    limitMs: 60_000,
  })
  console.log(`${make().capabilities.name}: ${points} cut points, ${runs} runs, ${missed} missed`)
  expect(points).toBeGreaterThan(50)
  // Storages that answer calls at once in another order have calls at other places.
  expect(missed).toBeLessThan(runs / 4)
}

export function cutsSuite({ test, make, share }: SuiteOptions): void {
  test('a store that commits, folds and is opened again loses nothing acknowledged at any storage call', () =>
    cutLife(make, WAYS, share))

  test('a store that is taken over from a living owner loses nothing acknowledged of either', async () => {
    const ways: readonly Way[] = ['reply-lost', 'error-after']
    const makeWorld = worldOver(make)
    let before: Acknowledged[] = []
    const { points, missed, runs } = await cuts<Acknowledged>({
      async makeWorld(decide) {
        let cutting = false
        const world = await makeWorld((point) => (cutting ? decide(point) : undefined))
        await probe(memory(), 'history/0', hastyClock, world.storage)
        const former = await open(await world.reopen())
        before = []
        await advance(former, 2, before)
        cutting = true
        return world
      },
      async scenario(storage, acknowledged) {
        acknowledged.push(...before)
        const successor = await persist(() => open(storage))
        await advance(successor, LAST, acknowledged)
        await persist(() => successor.close())
      },
      verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
      ways,
      only: inTurn(share, ways),
      limitMs: 60_000,
    })
    expect(points).toBeGreaterThan(15)
    expect(missed).toBeLessThan(runs / 4)
  })
}
