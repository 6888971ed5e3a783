/** The tests of the demo's page, by @playwright/test, in the Chromium that .ci/browsers.mjs finds. */
import { join } from 'node:path'
import { defineConfig } from '@playwright/test'
import { chromiumFlags, findChromium, firefoxLaunch } from './browsers.mjs'
import { root } from './entries.mjs'

/** `npm run test:browsers` runs them in Firefox. */
const inFirefox = process.env.TIDEMARK_PAGE_BROWSER === 'firefox'

export default defineConfig({
  testDir: join(root, 'test/page'),
  testMatch: '*.spec.ts',
  outputDir: join(root, 'coverage/page'),
  workers: 1,
  forbidOnly: true,
  // Only the tools of Chromium set a quota.
  ...(inFirefox && { grepInvert: /@chromium/ }),
  timeout: 120_000,
  // An event that a test waits for comes late on a busy machine; how soon it comes decides nothing.
  expect: { timeout: 60_000 },
  use: inFirefox
    ? { browserName: 'firefox', launchOptions: firefoxLaunch() }
    : { browserName: 'chromium', launchOptions: { executablePath: findChromium(), args: chromiumFlags } },
})
