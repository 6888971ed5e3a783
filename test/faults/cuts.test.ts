import { describe, expect, test } from 'vitest'
import type { Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, WAYS, worldOver } from 'tidemark/testing'
import { thinned } from '../support/extent.js'
import {
  advance,
  contents,
  open,
  persist,
  reached,
  stateAfter,
  verifyHistory,
  type Acknowledged,
} from '../support/history.js'

const LAST = 24
/** Folds so often that runs are merged within these commits. */
const OFTEN = { checkpoint: { entries: 2, bytes: 2_000 } }
/** The first run is the undisturbed one. */
let cutsMade = 0

/** Opens, commits, folds, merges, closes, opens again, and goes on; a follower looks at it in between. */
async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  const store = await persist(() => open(storage, OFTEN))
  await advance(store, 12, acknowledged)
  await persist(() => store.checkpoint())
  await store.close()
  const again = await persist(() => open(storage, OFTEN))
  await advance(again, LAST, acknowledged)
  if (cutsMade++ === 0) expect(store.metrics().compactions + again.metrics().compactions).toBeGreaterThan(0)
  const follower = await persist(() => open(storage, { mode: 'follower' }))
  expect(reached(follower)).toBe(LAST)
  expect(await persist(() => contents(follower))).toEqual(stateAfter(LAST))
  await persist(() => follower.close())
  await persist(() => again.close())
}

describe('a store on memory(), cut at every storage call in four ways', () => {
  test('loses nothing acknowledged, shows one version whole, and goes on', async () => {
    const result = await cuts<Acknowledged>({
      makeWorld: worldOver(() => memory()),
      scenario: life,
      only: thinned(WAYS, 5),
      verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
    })
    console.log(`cut points on memory(): ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(100)
    expect(result.missed).toBe(0)
  })
})
