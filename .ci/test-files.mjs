/** Which tests run where, and how many of them are about each adapter. */
import { suitesOf } from '../test/support/adapters.mjs'

/** Tests of stores on every adapter: on Node with the adapters there, and once more in the browser with its own. */
export const sharedTests = [
  'behaviour/store/store',
  'behaviour/store/opening',
  'behaviour/store/limits',
  'behaviour/store/past',
  'behaviour/store/snapshot',
  'behaviour/store/transaction',
  'behaviour/store/watch',
].map((name) => `test/${name}.test.ts`)

/** Tests of which `npm test` takes a part, and a deep run all (test/support/extent.ts). */
export const partialTests = [
  'adapters/browser-kill',
  'adapters/browser-tabs',
  'adapters/postgres-kills',
  'adapters/postgres-suites',
  'adapters/durable-object',
  'adapters/durable-object-kill',
  'adapters/r2',
  'adapters/s3-costs',
  'adapters/s3-faults',
  'adapters/s3-million',
  'adapters/s3-servers',
  'adapters/s3-store',
  'adapters/shared-writers',
  'adapters/suites',
  'integrations/level',
  'model/indexes',
  'model/leases',
  'model/live',
  'adapters/todo-tabs',
  'adapters/zustand-tabs',
  'faults/collect-beside',
  'faults/collect-cuts',
  'faults/collect-files',
  'faults/cuts',
  'faults/cuts-files',
  'faults/cuts-group',
  'faults/damage',
  'faults/damage-files',
  'faults/destroy-files',
  'behaviour/store/heap',
  'behaviour/store/retention',
  'behaviour/store/thinned',
  'behaviour/transfer/damaged',
  'behaviour/transfer/push',
  'faults/node-fs-cuts',
  'faults/processes',
  'faults/quota',
  'faults/rescale-cuts',
  'model/collect-simulation',
  'model/node-fs-simulation',
  'model/past',
  'model/repair',
  'model/shared-simulation',
  'model/simulation',
  'model/store',
  'model/watch',
  'faults/stream-cuts',
  'faults/thinned-cuts',
  'behaviour/stream/files',
  'faults/transfer-cuts',
].map((name) => `test/${name}.test.ts`)

/** Those that take longest, to begin with: the last one of a run should be short. */
export const longTests = [
  'adapters/suites',
  'adapters/postgres-suites',
  'model/collect-simulation',
  'integrations/level',
  'model/leases',
  'house/demo-group',
  'model/indexes',
  'house/package',
  'faults/rescale-cuts',
  'adapters/s3-faults',
  'house/strangers',
  'house/readme',
  'house/starts',
  'adapters/shared-writers',
  'adapters/s3',
  'adapters/r2',
  'behaviour/store/thinned',
  'behaviour/store/retention',
  'adapters/move',
  'house/recipes',
  'house/demo',
  'behaviour/shared/shared',
].map((name) => `test/${name}.test.ts`)

/** The tests that run in the browser alone lie in this folder. */
export const isBrowserTest = (file) => file.startsWith('test/browser/')

/**
 * Counts the tests that passed, each given as its meta (test/support/counting.ts): a row for each adapter, with a cell for each of its
 * suites and one for all tests about it. No cell may be empty.
 */
export function countByAdapter(metas) {
  return Object.entries(suitesOf).map(([adapter, suites]) => {
    const own = metas.filter((meta) => meta.adapter === adapter)
    const cells = suites.map((suite) => [suite, own.filter((meta) => meta.suite === suite).length])
    return { adapter, counts: Object.fromEntries([...cells, ['all', own.length]]) }
  })
}
