import { defineConfig } from 'vitest/config'
import { root, sourceAliases } from './entries.mjs'

/** The tests of `npm run test:s3`: a storage somewhere else may be slow. */
export default defineConfig({
  root,
  resolve: { alias: sourceAliases },
  cacheDir: 'node_modules/.cache/vite',
  test: {
    include: ['test/external/s3.ts'],
    environment: 'node',
    pool: 'forks',
    testTimeout: 1_800_000,
    hookTimeout: 600_000,
  },
})
