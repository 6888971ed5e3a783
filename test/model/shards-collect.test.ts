import { test } from 'vitest'
import { rescaledVersions } from '../support/rescaled-versions.js'
import { extent } from '../support/extent.js'

/** That it finds what goes wrong where a rule is left out is shown by the tests of those rules (test/protocol). */
const SEEDS = extent(200, 6)

test(`shards that are split, merged, put back, tagged and collected at once: ${SEEDS} seeds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await rescaledVersions(seed)
}, 600_000)
