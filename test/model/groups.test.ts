/** Whole groups in virtual time, with everything that may go wrong. */
import { expect, test } from 'vitest'
import { eagerRuns } from '../support/eager.js'
import { extent } from '../support/extent.js'
import { groupRun, MODES } from '../support/group-runs.js'

const SEEDS = extent(143, 6)
/** Each of them is opened many times once it is over. */
const FEWER = extent(60, 3)

test.each(MODES)(
  `groups in mode %s: ${SEEDS} seeds`,
  async (mode) => {
    for (let seed = 1; seed <= SEEDS; seed++) await groupRun(seed, mode)
  },
  600_000,
)

test(`groups whose owners collect while shards move: ${FEWER} seeds`, async () => {
  const { groupRun } = await eagerRuns()
  const all = { living: 0, sealed: 0 }
  for (let seed = 1; seed <= FEWER; seed++) {
    const { living, sealed } = await groupRun(seed, 'collections')
    all.living += living
    all.sealed += sealed
  }
  console.log(`deleted while the groups were there: ${JSON.stringify(all)}`)
  expect(all.living).toBeGreaterThan(FEWER)
  expect(all.sealed).toBeGreaterThan(0)
}, 600_000)
