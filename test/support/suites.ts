/** The suites that every adapter has to pass, one for each kind of promise. They run with vitest on Node and in browsers, and inside workerd. */
import { storageSuite } from 'tidemark/testing'
import type { Suite } from './adapters.mjs'
import { collectionSuite } from './suite-collection.js'
import { cutsSuite } from './suite-cuts.js'
import { equalitySuite } from './suite-equality.js'
import { lossSuite } from './suite-loss.js'
import type { SuiteOptions } from './suite-options.js'
import { recoverySuite } from './suite-recovery.js'

const suites: Readonly<Record<Suite, (options: SuiteOptions) => void>> = {
  conformance: ({ test, make }) => storageSuite({ test, create: make }),
  cuts: cutsSuite,
  recovery: recoverySuite,
  collection: collectionSuite,
  equality: equalitySuite,
  loss: lossSuite,
}

export interface AllSuitesOptions extends Omit<SuiteOptions, 'test'> {
  readonly test: (suite: Suite, name: string, run: () => Promise<void>) => unknown
}

export function allSuites({ test, ...options }: AllSuitesOptions): void {
  for (const suite of Object.keys(suites) as Suite[]) {
    suites[suite]({ ...options, test: (name, run) => test(suite, name, run) })
  }
}
