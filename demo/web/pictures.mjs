// @ts-check
/**
 * Makes the pictures of README.md from the running page, light and dark: the page after a while, and a commit, a kill and a
 * recovery in three steps, side by side.
 *
 *     node demo/web/pictures.mjs
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { chromiumFlags, findChromium } from '../../.ci/browsers.mjs'
import { startSite } from './site.mjs'

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const WIDE = { width: 1120, height: 1400 }
const STEP = { width: 720, height: 610 }

await mkdir(FOLDER, { recursive: true })
const site = await startSite()
const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags })
try {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    const context = await browser.newContext({ viewport: STEP, colorScheme, reducedMotion: 'reduce' })
    const page = await context.newPage()
    await page.goto(`${site.url}?rest=40`)
    const press = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true }).click()
    const says = (/** @type {RegExp} */ text) => page.getByRole('status').filter({ hasText: text }).waitFor()
    const shown = `document.querySelector('[data-figure="flights counted"]').textContent.split('of')[0].replace(/\\D/g, '')`
    const counted = (/** @type {number} */ least) => page.waitForFunction(`Number(${shown}) >= ${least}`)
    const take = async () => {
      await page.evaluate('scrollTo(0, 0)')
      return page.screenshot()
    }
    await press('Start')
    await counted(3_000)
    const steps = [{ title: 'It commits.', png: await take() }]
    await press('Kill in mid-commit')
    await says(/^Killed/)
    steps.push({ title: 'Its worker is killed.', png: await take() })
    await counted(4_500)
    steps.push({ title: 'The next one goes on.', png: await take() })
    await counted(9_000)
    await press('Pause')
    await says(/has stopped/)
    await page.setViewportSize(WIDE)
    await writeFile(`${FOLDER}page-${colorScheme}.png`, await take())
    await page.setViewportSize({ width: 3 * STEP.width, height: STEP.height + 60 })
    await page.setContent(sideBySide(steps))
    await page.screenshot({ path: `${FOLDER}steps-${colorScheme}.png` })
    await context.close()
  }
} finally {
  await browser.close()
  await site.close()
}

/** @param {{ title: string, png: Buffer }[]} steps */
function sideBySide(steps) {
  const figures = steps.map(({ title, png }, i) => {
    const image = `data:image/png;base64,${png.toString('base64')}`
    return `<figure><figcaption>${i + 1}. ${title}</figcaption><img src="${image}"></figure>`
  })
  const style = `:root { color-scheme: light dark } body { margin: 0; display: flex; font: 600 26px system-ui }
    figure { margin: 0; flex: 1 } figcaption { padding: 14px 16px } img { width: 100% }`
  return `<!doctype html><style>${style}</style>${figures.join('')}`
}
