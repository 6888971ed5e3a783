/** Which tests run where, and which adapter a test is about. */

/** Tests of stores on every adapter: on Node with the adapters there, and once more in the browser with its own. */
export const sharedTests = [
  'store',
  'store-limits',
  'store-past',
  'store-snapshot',
  'store-transaction',
  'store-watch',
].map((name) => `test/${name}.test.ts`)

/** The tests that run in the browser alone lie in this folder. */
export const isBrowserTest = (file) => file.startsWith('test/browser/')

/** Each adapter by what the names of its tests, or of their files, say; one without a test fails a whole run. */
const adapters = {
  indexedDb: /\bindexedDb\(|^test\/(browser\/|adapters\/(indexeddb|browser-kill))/,
  s3: /^(?!.*s3Fetch).*\bs3\b/i,
  s3Fetch: /\bs3Fetch\b/,
  r2: /^test\/adapters\/r2/,
}

/** Counts by adapter the tests that passed, each given as its file and full name. */
export function countByAdapter(tests) {
  const holds = (pattern, { file, name }) => pattern.test(file) || pattern.test(name)
  return Object.entries(adapters).map(([adapter, pattern]) => ({
    adapter,
    count: tests.filter((test) => holds(pattern, test)).length,
  }))
}
