/**
 * Rules R41 to R54 as a simulation: seeded interleavings of the node-fs log on a model of a file system, with
 * stalls, ends of processes and power losses before every kind of step. TIDEMARK_SEEDS sets how many. That it finds
 * damage where a rule is left out is shown by test/protocol/files-*.test.ts.
 */
import { expect, test } from 'vitest'
import { extent } from '../support/extent.js'
import { simulate, type Steps } from '../support/model-fs-simulation.js'

const SEEDS = Number(process.env['TIDEMARK_SEEDS'] ?? extent(5_000, 300))
/** Kinds of steps taken more often than this were disturbed in each way. */
const OFTEN = 4 * SEEDS

test(`${SEEDS} seeds: what anybody was told is so`, async () => {
  const sum = { committed: 0, lost: 0, unknown: 0, shared: 0, refused: 0, seen: 0, steps: 0 }
  const steps: Steps = new Map()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const told = await simulate(seed, steps).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    })
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += told[key]
    // A simulation lets no other task run: the runner of the tests has to hear something from time to time.
    if (seed % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  console.log(`${SEEDS} seeds:`, JSON.stringify(sum))
  expect(sum.committed).toBeGreaterThan(SEEDS)
  expect(sum.lost).toBeGreaterThan(SEEDS / 10)
  expect(sum.unknown).toBeGreaterThan(SEEDS / 100)
  expect(sum.shared).toBeGreaterThan(SEEDS / 2)
  expect(sum.refused).toBeGreaterThan(SEEDS / 10)
  expect(sum.seen).toBeGreaterThan(SEEDS / 10)
  const untouched = [...steps].filter(([, counts]) => counts.taken > OFTEN && Object.values(counts).includes(0))
  expect(untouched).toEqual([])
  console.log(`${steps.size} kinds of steps, taken and disturbed:\n${[...steps].map(line).sort().join('\n')}`)
}, 600_000)

function line([kind, counts]: readonly [string, Record<string, number>]): string {
  const each = Object.entries(counts).map(([what, count]) => `${what} ${count}`)
  return `  ${kind}: ${each.join(', ')}`
}
