/** Splits and merges in virtual time, with all that can go wrong on the way. */
import { test } from 'vitest'
import { extent } from '../support/extent.js'
import { rescaledEvents } from '../support/rescaled-events.js'

const SEEDS = extent(600, 50)

test(`shards that are split and merged while they are written lose, double and forget nothing: ${SEEDS} seeds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await rescaledEvents(seed)
}, 600_000)
