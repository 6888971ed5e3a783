/**
 * What every adapter has to stand, one suite for each kind of promise. The kind begins the name of each test, and the
 * adapter runs count by it (.ci/test-files.mjs). They run with vitest on Node and in browsers, and inside workerd.
 */
import type { Storage } from 'tidemark'
import { storageSuite } from 'tidemark/testing'
import { collectionSuite } from './suite-collection.js'
import { cutsSuite } from './suite-cuts.js'
import { equalitySuite } from './suite-equality.js'
import { recoverySuite } from './suite-recovery.js'
import type { Share } from './thin.js'

export interface SuiteOptions {
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** A storage that is fresh and empty; called within a test. */
  readonly make: () => Storage
  /** What of the cut points is run. */
  readonly share: Share
}

export function allSuites({ test, make, share }: SuiteOptions): void {
  storageSuite({ test: (name, run) => test(`conformance: ${name}`, run), create: make })
  cutsSuite({ test: (name, run) => test(`cuts: ${name}`, run), make, share })
  recoverySuite({ test: (name, run) => test(`recovery: ${name}`, run), make, share })
  collectionSuite({ test: (name, run) => test(`collection: ${name}`, run), make, share })
  equalitySuite({ test: (name, run) => test(`equality: ${name}`, run), make, share })
}
