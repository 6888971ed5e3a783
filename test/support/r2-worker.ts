/**
 * Runs in workerd: the suites on the R2 binding, one test for each request. `GET /` answers the suites and names of the tests,
 * `GET /<index>` runs one and answers `null` or what went wrong.
 */
import { r2, type R2BucketLike } from 'tidemark/r2'
import { FEW_LOSSES } from './suite-loss.js'
import { allSuites } from './suites.js'

interface Env {
  readonly BUCKET: R2BucketLike
  /** As in extent.ts; there is no environment here. */
  readonly WHOLE: boolean
}

export default {
  async fetch(request: { readonly url: string }, { BUCKET, WHOLE }: Env): Promise<Response> {
    const tests: { suite: string; name: string; run: () => Promise<void> }[] = []
    allSuites({
      test: (suite, name, run) => tests.push({ suite, name, run }),
      make: () => r2(BUCKET, { prefix: `run-${crypto.randomUUID()}` }),
      share: WHOLE ? { writes: 5, reads: 60 } : { writes: 20, reads: 240 },
      loss: FEW_LOSSES,
    })
    const index = new URL(request.url).pathname.slice(1)
    if (index === '') return Response.json(tests.map(({ suite, name }) => [suite, name]))
    try {
      await tests[Number(index)]!.run()
      return Response.json(null)
    } catch (error) {
      return Response.json(error instanceof Error ? `${error.message}\n${error.stack}` : String(error))
    }
  },
}
