// @ts-check
/** The page's main story in Chromium: count, kill, go back, leave for the bucket and return. */
import { chromium } from 'playwright-core'
import { chromiumFlags, findChromium } from '../../.ci/browsers.mjs'

/**
 * Gives what the page says after each step.
 *
 * @param {string} url
 */
export async function* checkPage(url) {
  const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags })
  try {
    const page = await browser.newPage()
    /** @type {string[]} */
    const troubles = []
    page.on('pageerror', (error) => troubles.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text())
    })
    await page.goto(`${url}?rest=0`)
    /** @param {string | RegExp} name @param {RegExp} says */
    const press = async (name, says) => {
      await page.getByRole('button', { name, exact: true }).click()
      const said = page.getByRole('status').filter({ hasText: says })
      await said.waitFor({ timeout: 60_000 }).catch(async () => {
        throw new Error(`After "${name}" it says "${await page.getByRole('status').textContent()}".`)
      })
      if (troubles.length > 0) throw new Error(troubles.join('; '))
      return String(await said.textContent())
    }
    yield await press('Start', /counts from flight 0 on/)
    for (let kills = 0; kills < 3; kills++)
      yield await press('Kill in mid-commit', /^Killed while version .* are right/)
    yield await press('Pause', /has stopped at version/)
    yield await press('Push to S3', /is in the bucket/)
    yield await press(/^Restore version/, /is back, as the new version/)
    yield await press('Pull from S3', /is here, with .* are right/)
    for (const figure of ['lost', 'counted twice']) {
      const shown = (await page.locator(`[data-figure="${figure}"]`).textContent())?.trim()
      if (shown !== '0') throw new Error(`It shows ${shown} flights ${figure}.`)
    }
  } finally {
    await browser.close()
  }
}
