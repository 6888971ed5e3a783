/** Which tests run where, and what tells the adapter that a test is about. */

/** Tests of stores on every adapter: on Node with the adapters there, and once more in the browser with its own. */
export const sharedTests = [
  'store',
  'store-limits',
  'store-past',
  'store-snapshot',
  'store-transaction',
  'store-watch',
].map((name) => `test/${name}.test.ts`)
