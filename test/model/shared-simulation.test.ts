import { test } from 'vitest'
import { collectors } from '../support/collectors.js'
import { extent } from '../support/extent.js'

const SEEDS = extent(1_000, 40)

test(`writers in shared mode, held up beyond the grace period, lose, double and delete nothing: ${SEEDS} seeds`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await collectors(seed, 'shared')
}, 600_000)
