/** The suites that every adapter has to pass, on those that run on Node; S3 is the S3 API of a local R2. */
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Storage } from 'tidemark'
import { WHOLE, extent } from '../support/extent.js'
import { filesWorld } from '../support/loss-files.js'
import { byFetch, bySdk, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { adapters } from '../support/storages.js'
import { MANY_LOSSES, FEW_LOSSES, MORE_LOSSES, SOME_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

describe.each(adapters)('%s', (name, make) => {
  // A file is flushed at each call; test/faults/cuts-files.test.ts meets all of them on a model.
  const share = name === 'memory()' ? { writes: 1, reads: 1 } : { writes: extent(4, 8), reads: extent(40, 80) }
  const loss = WHOLE ? MANY_LOSSES : SOME_LOSSES
  allSuites({ test, make, share, loss, world: name === 'nodeFs()' ? filesWorld : undefined })
})

let real!: { place: S3Place; dispose(): Promise<void> }
let runs = 0
beforeAll(async () => {
  real = await startMiniflare()
})
afterAll(() => real.dispose())

const places: [string, () => Storage][] = [
  ['s3()', () => bySdk(real.place, `run-${runs++}`)],
  ['s3Fetch()', () => byFetch(real.place, `run-${runs++}`)],
]
describe.each(places)('%s', (_name, make) =>
  allSuites({
    test,
    make,
    share: { writes: extent(5, 20), reads: extent(60, 240) },
    loss: WHOLE ? MORE_LOSSES : FEW_LOSSES,
  }),
)
