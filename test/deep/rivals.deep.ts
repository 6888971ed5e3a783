import { expect, test } from 'vitest'
import { rivals } from '../support/rivals.js'

/** How long to go on, in milliseconds; the runner sets it for a bounded slice. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? 600_000)

test('rival writers lose, double and invent nothing, for as many seeds as there is time for', async () => {
  const end = performance.now() + SPAN
  // Other seeds each day, the same ones within it.
  const first = Math.floor(Date.now() / 86_400_000) * 1_000_000
  let seeds = 0
  for (; performance.now() < end; seeds++) await rivals(first + seeds)
  console.log(`${seeds} seeds from ${first} on`)
  expect(seeds).toBeGreaterThan(0)
}, 2_000_000_000)
