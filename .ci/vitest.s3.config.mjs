import { defineConfig } from 'vitest/config'
import { root, sourceAliases } from './entries.mjs'

/** The tests of `npm run test:s3`: a storage somewhere else may be slow, and each test waits for it most of the time. */
export default defineConfig({
  root,
  resolve: { alias: sourceAliases },
  cacheDir: 'node_modules/.cache/vite',
  test: {
    include: ['test/external/s3.ts', 'test/external/s3-fetch.ts'],
    environment: 'node',
    pool: 'forks',
    sequence: { concurrent: true },
    maxConcurrency: 8,
    maxWorkers: 2,
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
  },
})
