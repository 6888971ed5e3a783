import { expect, test } from 'vitest'
import { collectors } from '../support/collectors.js'

const SEEDS = 200_000
/** How long to go on, in milliseconds; the runner sets it for a bounded slice. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? Infinity)

test.each([
  ['collecting owners', 'exclusive'],
  ['writers in shared mode', 'shared'],
] as const)(
  `%s lose, double and delete nothing: ${SEEDS} seeds, or as many as there is time for`,
  async (_, mode) => {
    const end = performance.now() + SPAN
    // Other seeds each day, the same ones within it, and none of those of the test.
    const first = Math.floor(Date.now() / 86_400_000) * 1_000_000
    let seeds = 0
    for (; seeds < SEEDS && performance.now() < end; seeds++) await collectors(first + seeds, mode)
    console.log(`${mode}: ${seeds} seeds from ${first} on`)
    expect(seeds).toBeGreaterThan(0)
  },
  2_000_000_000,
)
