import { test } from 'vitest'
import { extent } from '../support/extent.js'
import { lives } from '../support/lives.js'

const SEEDS = extent(800, 80)

test(`no member is buried that was not away for a lease, the dead are found in time, and copies end up as others: ${SEEDS} seeds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await lives(seed)
}, 600_000)
