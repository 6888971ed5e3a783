/** Stores of any age that have lost any thing, or any two, as long as there is time. */
import { expect, test } from 'vitest'
import { memory } from 'tidemark/memory'
import { Random } from '../../src/testing/random.js'
import { filesWorld } from '../support/loss-files.js'
import { objectsWorld } from '../support/loss-worlds.js'
import { tryLosses } from '../support/suite-loss.js'

/** How long to go on, in milliseconds; the runner sets it for a bounded slice. */
const SPAN = Number(process.env['TIDEMARK_DEEP_MS'] ?? Number.MAX_SAFE_INTEGER)
const OLDEST = 300
const SHARE = { singles: 12, pairs: 12, acts: 2, others: 0 }

test.each([
  ['memory()', () => objectsWorld(memory())],
  ['nodeFs()', filesWorld],
])(
  'a store on %s that has lost any thing, or any two, shows all that was acknowledged or says so, at any age',
  async (name, world) => {
    const end = performance.now() + SPAN
    const first = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1_000_000)
    let ages = 0
    for (let seed = first; ages === 0 || performance.now() < end; seed++) {
      const random = new Random(seed)
      const age = 1 + random.below(OLDEST)
      await tryLosses(age, SHARE, world, world(), random).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
      })
      ages++
    }
    console.log(`${name}: ${ages} ages from seed ${first} on`)
    expect(ages).toBeGreaterThan(0)
  },
  2_000_000_000,
)
