/**
 * What every adapter has to stand, one suite for each kind of promise. The kind begins the name of each test, and the
 * adapter runs count by it (.ci/test-files.mjs). They run with vitest on Node and in browsers, and inside workerd.
 */
import type { Storage } from 'tidemark'
import { storageSuite } from 'tidemark/testing'
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

export function allSuites(options: SuiteOptions): void {
  const { test, make } = options
  storageSuite({ test: (name, run) => test(`conformance: ${name}`, run), create: make })
  const named = (kind: string): SuiteOptions => ({ ...options, test: (name, run) => test(`${kind}: ${name}`, run) })
  cutsSuite(named('cuts'))
  recoverySuite(named('recovery'))
  collectionSuite(named('collection'))
  equalitySuite(named('equality'))
  lossSuite(named('loss'))
}
