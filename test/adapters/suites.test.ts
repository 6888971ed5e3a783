/**
 * The suites that every adapter has to pass, on those that run on Node. S3 is the S3 API of a local R2; in a quick run it is that for
 * the conformance alone, as the others make many calls: they ask our own server.
 */
import { eachAdapter, suiteTest } from '../support/counting.js'
import { afterAll, beforeAll } from 'vitest'
import { WHOLE, extent } from '../support/extent.js'
import { filesWorld } from '../support/loss-files.js'
import { placeAt, s3Adapters, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'
import { adapters } from '../support/storages.js'
import { MANY_LOSSES, FEW_LOSSES, MORE_LOSSES, SOME_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

eachAdapter(adapters, '%s', (make, adapter) => {
  // A file is flushed at each call; test/faults/cuts-files.test.ts meets all of them on a model.
  const share =
    adapter === 'memory'
      ? { writes: extent(1, 3), reads: extent(1, 3) }
      : { writes: extent(6, 8), reads: extent(60, 80) }
  const loss = WHOLE ? MANY_LOSSES : SOME_LOSSES
  allSuites({ test: suiteTest(adapter), make, share, loss, world: adapter === 'nodeFs' ? filesWorld : undefined })
})

let real!: { place: S3Place; dispose(): Promise<void> }
let own!: S3Server
let runs = 0
beforeAll(async () => {
  real = await startMiniflare()
  // As the real one it does not tell its time.
  own = await startS3Server({ skewMs: undefined })
})
afterAll(async () => {
  await own.close()
  await real.dispose()
})

eachAdapter(s3Adapters, '%s', (make, adapter) => {
  const test = suiteTest(adapter)
  const on = (isReal: boolean) => ({
    test: (...of: Parameters<typeof test>) => (of[0] === 'conformance' || WHOLE) === isReal && test(...of),
    make: () => make(isReal ? real.place : placeAt(own.url), `run-${runs++}`),
    share: { writes: extent(10, 30), reads: extent(120, 360) },
    loss: WHOLE ? MORE_LOSSES : FEW_LOSSES,
  })
  allSuites(on(true))
  allSuites(on(false))
})
