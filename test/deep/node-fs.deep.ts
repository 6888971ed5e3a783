import { expect, test } from 'vitest'
import { simulate } from '../support/model-fs-simulation.js'

/** How long to go on, in milliseconds; the runner sets it for a bounded slice. Without it all seeds run. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? Infinity)
const SEEDS = 200_000

test('the log of node-fs keeps what it told anybody, for as many of 200,000 seeds as there is time for', async () => {
  const end = performance.now() + SPAN
  // Other seeds each day, the same ones within it; those of the short test are never among them.
  const first = (Math.floor(Date.now() / 86_400_000) + 1) * 1_000_000
  let seeds = 0
  for (; seeds < SEEDS && performance.now() < end; seeds++) {
    await simulate(first + seeds).catch((error: unknown) => {
      throw new Error(`seed ${first + seeds}: ${String(error)}`, { cause: error })
    })
    // A simulation lets no other task run: the runner of the tests has to hear something from time to time.
    if (seeds % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  console.log(`${seeds} seeds from ${first} on`)
  expect(seeds).toBeGreaterThan(0)
}, 2_000_000_000)
