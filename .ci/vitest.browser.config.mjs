import { playwright } from '@vitest/browser-playwright'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { chromiumFlags, findChromium, firefoxLaunch } from './browsers.mjs'
import { root, sourceAliases } from './entries.mjs'
import { sharedTests } from './test-files.mjs'

/**
 * The browser's own tests, and tests of stores that run on Node too: there they get the storages that the browser has.
 * `--mode firefox` runs them in Firefox.
 */
export default defineConfig(({ mode }) => ({
  root,
  resolve: {
    alias: [
      ...sourceAliases,
      { find: /^(\.|(\.\.\/)+support)\/storages\.js$/, replacement: join(root, 'test/browser/storages.ts') },
    ],
  },
  cacheDir: 'node_modules/.cache/vite-browser',
  // Found while a test runs, they would reload the page.
  optimizeDeps: {
    include: ['idb', 'fflate', '@noble/hashes/sha2.js', 'fast-check', 'abstract-level', 'abstract-level/test'],
  },
  test: {
    include: ['test/browser/**/*.browser.test.ts', ...sharedTests],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 60_000,
    // An event that comes in its own time comes late on a busy machine. The default, a second, would fail it.
    expect: { poll: { timeout: 60_000 } },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: mode === 'firefox' ? firefoxLaunch() : chromiumLaunch() }),
      instances: [{ browser: mode === 'firefox' ? 'firefox' : 'chromium' }],
    },
  },
}))

function chromiumLaunch() {
  return { executablePath: findChromium(), args: chromiumFlags }
}
