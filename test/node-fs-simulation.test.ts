/** Seeded interleavings of the node-fs log on a model of a file system; TIDEMARK_SEEDS sets how many. */
import { expect, test } from 'vitest'
import type { LogRules } from '../adapters/node-fs/log-rules.js'
import { simulate } from './support/model-fs-simulation.js'

const SEEDS = Number(process.env['TIDEMARK_SEEDS'] ?? 300)

/** The first seed that finds damage. */
async function firstFailure(rules: Partial<LogRules>, seeds: number): Promise<string> {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await simulate(seed, rules)
    } catch (error) {
      return `seed ${seed}: ${String(error)}`
    }
  }
  return 'none'
}

test(`${SEEDS} seeds: what anybody was told is so`, async () => {
  const sum = { committed: 0, lost: 0, unknown: 0, seen: 0, steps: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const told = await simulate(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    })
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += told[key]
  }
  console.log(`${SEEDS} seeds:`, JSON.stringify(sum))
  expect(sum.committed).toBeGreaterThan(SEEDS)
  expect(sum.lost).toBeGreaterThan(SEEDS / 10)
  expect(sum.unknown).toBeGreaterThan(0)
  expect(sum.seen).toBeGreaterThan(SEEDS / 10)
}, 600_000)

test('it finds damage when ownership is checked before the write', async () => {
  expect(await firstFailure({ checkAfterWrite: false }, 200)).toMatch(/^seed/)
}, 300_000)

test('it finds damage when the tail is not written again', async () => {
  expect(await firstFailure({ rewriteTail: false }, 400)).toMatch(/^seed/)
}, 300_000)
