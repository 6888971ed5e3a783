/**
 * The conformance suite. It proves with any test runner that an adapter keeps the contract (src/storage/contract.ts), sentence
 * by sentence. It cannot prove durability: no test in a process pulls the plug.
 */
import { systemClock, type Clock } from '../clock.js'
import type { Log, Storage } from '../storage/contract.js'
import { within } from './assert.js'
import { anchorTests } from './suite-anchor.js'
import { answerTests } from './suite-answers.js'
import { blobTests } from './suite-blobs.js'
import { logTests } from './suite-log.js'
import { shardTests } from './suite-shards.js'
import { tailTests } from './suite-tail.js'

/** Options of `storageSuite`. */
export interface StorageSuiteOptions {
  /**
   * Registers a test with the runner: `test` of node:test, vitest or jest, `Deno.test`, …
   * @when Give it the function of the runner that you have.
   */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /**
   * Gives a fresh, empty storage for each test.
   * @when Give it your adapter on a fresh place.
   */
  readonly create: () => Storage | Promise<Storage>
  /**
   * Clears up after each test, also one that failed.
   * @default nothing is cleared up
   * @when Set it when tests leave something behind, such as folders.
   */
  readonly destroy?: ((storage: Storage) => unknown) | undefined
  /**
   * How long one test may take before it counts as hanging, in milliseconds.
   * @default 60000
   * @unit milliseconds
   * @when Raise it for a storage far away.
   */
  readonly limitMs?: number | undefined
  /**
   * Measures `limitMs`.
   * @default the platform's
   * @when Only tests of the suite replace it.
   */
  readonly clock?: Clock | undefined
}

/**
 * Registers the tests of the suite, each named by the promise that it checks. A test fails with an `Error` that says what was
 * expected. An error of `test` itself comes through.
 *
 * @example
 *     import { test } from 'node:test'
 *     import { storageSuite } from 'tidemark/testing'
 *     storageSuite({ test, create: () => mine({ prefix: `run-${crypto.randomUUID()}` }) })
 */
export function storageSuite(options: StorageSuiteOptions): void {
  const { test, create, destroy, limitMs = 60_000, clock = systemClock } = options
  for (const [promise, show] of [
    ...blobTests,
    ...logTests,
    ...tailTests,
    ...shardTests,
    ...anchorTests,
    ...answerTests,
  ]) {
    test(promise, async () => {
      const storage = await create()
      const logs: Log[] = []
      try {
        await within(clock, limitMs, show(tracked(storage, logs)), promise)
      } finally {
        await Promise.allSettled(logs.map((log) => log.close()))
        await destroy?.(storage)
      }
    })
  }
}

function tracked(storage: Storage, logs: Log[]): Storage {
  return {
    capabilities: storage.capabilities,
    blobs: storage.blobs,
    log(path, options) {
      const log = storage.log(path, options)
      logs.push(log)
      return log
    },
    anchor: (path) => storage.anchor(path),
    logs: (prefix, options) => storage.logs(prefix, options),
  }
}
