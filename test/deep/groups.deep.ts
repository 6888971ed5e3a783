/** Whole groups in virtual time, with everything that may go wrong, as long as there is time. */
import { expect, test } from 'vitest'
import { runInTurn } from '../support/in-turn.js'
import { groupRun, MODES } from '../support/group-runs.js'

test('groups lose, double and forget nothing, for as many seeds as there is time for', async () => {
  const seeds = await runInTurn({ groups: (seed) => groupRun(seed, MODES[seed % MODES.length]) })
  expect(seeds).toBeGreaterThan(0)
}, 2_000_000_000)
