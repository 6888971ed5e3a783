/** The published suite of abstract-level on the IndexedDB of a browser. */
// @ts-expect-error It comes without types.
import published from 'abstract-level/test'
import { TidemarkLevel, type TidemarkLevelOptions } from 'tidemark/level'
import { expect, test } from 'vitest'
import { runSuite } from '../support/tape.js'
import { freshName, ownedDb } from './storages.js'

test('the suite of abstract-level passes on IndexedDB', async () => {
  const suite = published as unknown as (options: object) => void
  const storage = ownedDb(freshName())
  let made = 0
  const cases = await runSuite((each) =>
    suite({
      test: each,
      factory: (options: TidemarkLevelOptions<string, string>) =>
        new TidemarkLevel({ storage, name: `suite-${made++}` }, options),
    }),
  )
  expect(cases).toBeGreaterThan(1_400)
}, 300_000)
