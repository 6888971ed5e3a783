/** The suites that every adapter has to pass, on those that run on Node; S3 is the S3 API of a local R2. */
import { eachAdapter, suiteTest, type AdapterRow } from '../support/counting.js'
import { afterAll, beforeAll } from 'vitest'
import { WHOLE, extent } from '../support/extent.js'
import { filesWorld } from '../support/loss-files.js'
import { byFetch, bySdk, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { adapters } from '../support/storages.js'
import { MANY_LOSSES, FEW_LOSSES, MORE_LOSSES, SOME_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

eachAdapter(adapters, '%s', (make, adapter) => {
  // A file is flushed at each call; test/faults/cuts-files.test.ts meets all of them on a model.
  const share = adapter === 'memory' ? { writes: 1, reads: 1 } : { writes: extent(6, 8), reads: extent(60, 80) }
  const loss = WHOLE ? MANY_LOSSES : SOME_LOSSES
  allSuites({ test: suiteTest(adapter), make, share, loss, world: adapter === 'nodeFs' ? filesWorld : undefined })
})

let real!: { place: S3Place; dispose(): Promise<void> }
let runs = 0
beforeAll(async () => {
  real = await startMiniflare()
})
afterAll(() => real.dispose())

const places: readonly AdapterRow[] = [
  { adapter: 's3', make: () => bySdk(real.place, `run-${runs++}`) },
  { adapter: 's3Fetch', make: () => byFetch(real.place, `run-${runs++}`) },
]
eachAdapter(places, '%s', (make, adapter) =>
  allSuites({
    test: suiteTest(adapter),
    make,
    share: { writes: extent(10, 60), reads: extent(120, 720) },
    loss: WHOLE ? MORE_LOSSES : FEW_LOSSES,
  }),
)
