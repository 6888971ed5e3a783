/** Indexes under random lives, and mistakes that such lives find. */
import { expect, test } from 'vitest'
import { extent } from '../support/extent.js'
import { IndexLife } from '../support/index-life.js'
import * as sources from '../support/sources.js'

test('indexes are what their functions make of the rows, whatever happens to these', async () => {
  const runs = Number(process.env["TIDEMARK_RUNS"] ?? extent(400, 60))
  const first = Number(process.env['TIDEMARK_SEED'] ?? 1)
  for (let seed = first; seed < first + runs; seed++) {
    try {
      await new IndexLife(sources, seed).run(60)
    } catch (error) {
      throw new Error(`Seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
  expect(runs).toBeGreaterThan(0)
})
