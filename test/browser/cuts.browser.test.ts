/** The scenario of test/cuts.test.ts, shorter, as each call takes a flush of the disk here. */
import { describe, expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { indexedDb } from 'tidemark/indexeddb'
import { cuts, worldOver } from 'tidemark/testing'
import type { Storage } from 'tidemark'
import { probe } from '../../src/storage/probe.js'
import { advance, contents, hastyClock, open, persist, reached, stateAfter } from '../support/history.js'
import { verifyHistory, type Acknowledged } from '../support/history.js'
import { freshName } from './storages.js'

const LAST = 4
const OFTEN = { checkpoint: { entries: 2, bytes: 2_000 } }

/** Opens, commits, folds, closes, opens again by another connection, and goes on. */
async function life(storage: Storage, acknowledged: Acknowledged[]): Promise<void> {
  // The probe is cut on memory(); its 67 calls would be most of those here.
  await probe(memory(), 'history/0', hastyClock, storage)
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

describe('a store on indexedDb(), cut at every storage call in four ways', () => {
  test('loses nothing acknowledged, shows one version whole, and goes on', async () => {
    const result = await cuts<Acknowledged>({
      makeWorld: worldOver(() => indexedDb(freshName())),
      scenario: life,
      verify: (storage, acknowledged) => verifyHistory(storage, acknowledged, LAST),
    })
    console.log(`cut points on indexedDb(): ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(20)
    expect(result.missed).toBe(0)
  })
})
