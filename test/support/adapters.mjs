/**
 * The adapters, and the suites that each of them has to pass (suites.ts). A test run counts what its tests say of themselves in their
 * meta (counting.ts) against this list: an adapter of which a suite did not run fails it (.ci/test.mjs).
 *
 * @typedef {'memory' | 'nodeFs' | 'indexedDb' | 's3' | 's3Fetch' | 'r2' | 'postgres' | 'pglite' | 'durableObject'} Adapter
 * @typedef {'conformance' | 'cuts' | 'recovery' | 'collection' | 'equality' | 'loss'} Suite
 */

/** @type {readonly Suite[]} */
const every = ['conformance', 'cuts', 'recovery', 'collection', 'equality', 'loss']

/** @type {Readonly<Record<Adapter, readonly Suite[]>>} */
export const suitesOf = {
  memory: every,
  nodeFs: every,
  indexedDb: every,
  s3: every,
  s3Fetch: every,
  r2: every,
  postgres: every,
  pglite: every,
  durableObject: every,
}
