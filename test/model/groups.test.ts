/** Whole groups in virtual time, with everything that may go wrong. */
import { test } from 'vitest'
import { extent } from '../support/extent.js'
import { groupRun, MODES } from '../support/group-runs.js'

const SEEDS = extent(1_000, 28)

test.each(MODES)(
  'groups in mode %s',
  async (mode) => {
    for (let seed = 1; seed <= SEEDS / MODES.length; seed++) {
      try {
        await groupRun(seed, mode)
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
      }
    }
  },
  600_000,
)
