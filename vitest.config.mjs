import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { root, sourceAliases } from './.ci/entries.mjs'
import { BaseSequencer } from 'vitest/node'
import { mutationsPlugin } from './.ci/mutations.mjs'
import { longTests, partialTests } from './.ci/test-files.mjs'

const includes = {
  test: ['test/**/*.test.ts'],
  adapters: ['test/adapters/*.test.ts'],
  deep: ['test/deep/**/*.deep.ts'],
  whole: partialTests,
}

class LongFirst extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => {
      const place = longTests.findIndex((name) => moduleId === join(root, name))
      return place < 0 ? longTests.length : place
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

/** `--mode deep` runs the long simulations instead of the tests, `--mode whole` those tests that are otherwise cut short. Tests see the sources under the package's own name. */
export default defineConfig(({ mode }) => ({
  root,
  plugins: [mutationsPlugin],
  resolve: { alias: sourceAliases },
  cacheDir: 'node_modules/.cache/vite',
  test: {
    include: includes[mode] ?? includes.test,
    exclude: ['test/browser/**'],
    environment: 'node',
    pool: 'forks',
    setupFiles: ['test/support/loaded.ts'],
    // Importing the sources anew for each file takes longer than many of the tests.
    isolate: false,
    // Stores that are opened by the thousand leave much behind at once: with room for it, it is collected less often.
    execArgv: ['--max-semi-space-size=32'],
    // Some wait for a disk or a server most of their time.
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    testTimeout: mode === 'deep' ? deepTimeout() : 180_000,
    hookTimeout: 60_000,
    // An event that a test waits for comes late on a busy machine; a second, the default, decides nothing.
    expect: { poll: { timeout: 60_000 } },
  },
}))

/** A deep case that knows its time gets a minute more; without a bound it may take a day. */
function deepTimeout() {
  return (Number(process.env.TIDEMARK_DEEP_MS) || 24 * 3_600_000) + 60_000
}
