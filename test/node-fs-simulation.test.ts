/**
 * Rules R41 to R54 as a simulation: seeded interleavings of the node-fs log on a model of a file system, with
 * stalls, ends of processes and power losses before every kind of step. TIDEMARK_SEEDS sets how many.
 */
import { expect, test } from 'vitest'
import { simulate, type Steps } from './support/model-fs-simulation.js'
import type * as Simulation from './support/model-fs-simulation.js'
import { mutated } from './support/mutated.js'

const SEEDS = Number(process.env['TIDEMARK_SEEDS'] ?? 5_000)
/** A rule that is left out has to be found well before all seeds are used up. */
const SEEDS_TO_FIND = 3_000
/** Kinds of steps taken more often than this were disturbed in each way. */
const OFTEN = 20_000

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

test.each([
  ['R41', 'freshFiles', "a former owner's file is recycled", /is damaged|was acknowledged/],
  ['R42', 'rewriteTail', 'the tail is not written again', /is missing|there is a hole|was acknowledged/],
  ['R43', 'syncBeforeName', 'a file has its name before its opening records are synced', /is damaged|was acknowl/],
  ['R44', 'checkAfterWrite', 'ownership is checked before the write', /was acknowledged|was lost and is/],
  ['R45', 'newestDecides', 'any newer file decides, or none', /was acknowledged|was lost and is/],
  ['R46', 'ownMarker', "another claim's marker is taken away", /was acknowledged|was lost and is/],
  ['R51', 'syncOnce', 'a sync that failed is tried again', /is damaged|was acknowledged/],
  ['R53', 'settledOnly', 'a follower shows what is not settled', /a follower saw/],
])(
  '%s: it finds damage without it (%s): %s',
  async (_, mutation, what, damage) => {
    const without = await mutated<typeof Simulation>('test/support/model-fs-simulation.ts', mutation)
    for (let seed = 1; seed <= SEEDS_TO_FIND; seed++) {
      const error = await without.simulate(seed).then(
        () => undefined,
        (thrown: unknown) => String(thrown),
      )
      if (error === undefined || !damage.test(error)) continue
      console.log(`${what}: found by seed ${seed}: ${error}`)
      return
    }
    throw new Error(`not found by ${SEEDS_TO_FIND} seeds`)
  },
  300_000,
)
