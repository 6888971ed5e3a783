/** Which tests run where, and which adapter a test is about. */

/** Tests of stores on every adapter: on Node with the adapters there, and once more in the browser with its own. */
export const sharedTests = [
  'behaviour/store/store',
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
  'adapters/s3-million',
  'adapters/shared-writers',
  'adapters/suites',
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
  'faults/node-fs-cuts',
  'faults/processes',
  'faults/quota',
  'model/shared-simulation',
  'model/simulation',
  'model/store',
  'faults/stream-cuts',
  'behaviour/stream/files',
  'faults/transfer-cuts',
].map((name) => `test/${name}.test.ts`)

/** Those that take longest, to begin with: the last one of a run should be short. */
export const longTests = [
  'collect-simulation',
  'adapters/suites',
  'node-fs-simulation',
  'adapters/shared-writers',
  'adapters/s3-faults',
  'behaviour/store/retention',
  'behaviour/shared/shared',
  'house/demo',
].map((name) => `test/${name}.test.ts`)

/** The tests that run in the browser alone lie in this folder. */
export const isBrowserTest = (file) => file.startsWith('test/browser/')

/** Each adapter by what the names of its tests, or of their files, say. */
const adapters = {
  memory: /\bmemory\(|^test\/conformance\.test/,
  nodeFs: /\bnodeFs\(|^test\/node-fs/,
  indexedDb: /\bindexedDb\(|^test\/(browser\/|adapters\/(indexeddb|browser-))/,
  s3: /^(?!.*s3Fetch).*\bs3\b/i,
  s3Fetch: /\bs3Fetch\b/,
  r2: /^test\/adapters\/r2/,
}

/** The suites that each adapter passes (test/support/suites.ts); their names begin the names of their tests. */
const suites = ['conformance', 'cuts', 'recovery', 'collection', 'equality', 'loss']

/**
 * Counts the tests that passed, each given as its file and full name: a row for each adapter, with a cell for each suite
 * and one for all tests of the adapter. No cell may be empty.
 */
export function countByAdapter(tests) {
  return Object.entries(adapters).map(([adapter, pattern]) => {
    const own = tests.filter(({ file, name }) => pattern.test(file) || pattern.test(name))
    const inSuite = (suite) =>
      own.filter(({ name }) => name.startsWith(`${adapter}() `) && name.includes(` ${suite}: `))
    const cells = suites.map((suite) => [suite, inSuite(suite).length])
    return { adapter, counts: Object.fromEntries([...cells, ['all', own.length]]) }
  })
}
