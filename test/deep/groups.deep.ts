/** Whole groups in virtual time, with everything that may go wrong, as long as there is time. */
import { expect, test } from 'vitest'
import { eagerRuns } from '../support/eager.js'
import { groupRun, MODES } from '../support/group-runs.js'
import { runInTurn } from '../support/in-turn.js'

test('groups lose, double and forget nothing, for as many seeds as there is time for', async () => {
  const eager = await eagerRuns()
  const seeds = await runInTurn({
    groups: (seed) => groupRun(seed, MODES[seed % MODES.length]!),
    'groups that collect': (seed) => eager.groupRun(seed, 'collections'),
  })
  expect(seeds).toBeGreaterThan(1)
}, 2_000_000_000)
