/** The published suite of abstract-level on the IndexedDB of a browser. */
// @ts-expect-error It comes without types.
import published from 'abstract-level/test'
import { TidemarkLevel, type TidemarkLevelOptions } from 'tidemark/level'
import { tapeSuite } from '../support/tape.js'
import { freshName, ownedDb } from './storages.js'

tapeSuite((test) => {
  const suite = published as unknown as (options: object) => void
  suite({
    test,
    factory: (options: TidemarkLevelOptions<string, string>) =>
      new TidemarkLevel({ storage: ownedDb(freshName()), name: 'suite' }, options),
  })
})
