/** The suites that every adapter has to pass, one for each kind of promise. They run with vitest on Node and in browsers, and inside workerd. */
import type { Storage } from 'tidemark'
import { storageSuite } from 'tidemark/testing'
import type { Suite } from './adapters.mjs'
import { collectionSuite } from './suite-collection.js'
import { cutsSuite } from './suite-cuts.js'
import { equalitySuite } from './suite-equality.js'
import { lossSuite, type LossShare } from './suite-loss.js'
import type { LossWorld } from './loss-worlds.js'
import { recoverySuite } from './suite-recovery.js'
import type { Share } from './thin.js'

export interface SuiteOptions {
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** A storage that is fresh and empty; called within a test. */
  readonly make: () => Storage
  /** What of the cut points is run. */
  readonly share: Share
  /** What of the losses is tried. */
  readonly loss: LossShare
  /** Where single objects, or files, can be lost. Default: on what `make` makes, as objects. */
  readonly world?: (() => LossWorld) | undefined
}

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
