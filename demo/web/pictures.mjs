// @ts-check
/**
 * Makes the pictures of README.md from the running page, light and dark: the page after a while, and the figures and the log
 * before a kill, during it and after the recovery, side by side.
 *
 *     node demo/web/pictures.mjs
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { chromiumFlags, findChromium } from '../../.ci/browsers.mjs'
import { startSite } from './site.mjs'

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url))
const WIDE = { width: 1120, height: 1200 }
const STEP = { width: 720, height: 630 }
/** A step shows the figures and the log, and leaves out what is the same in all three. */
const LEFT_OUT =
  '.name, h1, .lead, .buttons, .count ~ * > p, .count ~ * h2, .drawing > :first-child { display: none } main { padding-top: 0 }'

await mkdir(FOLDER, { recursive: true })
const site = await startSite()
const browser = await chromium.launch({ executablePath: findChromium(), args: chromiumFlags })
try {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    const context = await browser.newContext({ viewport: STEP, colorScheme, reducedMotion: 'reduce' })
    const page = await context.newPage()
    await page.goto(`${site.url}?rest=100`)
    const press = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true }).click()
    const says = (/** @type {RegExp} */ text) => page.getByRole('status').filter({ hasText: text }).waitFor()
    const shown = `document.querySelector('[data-figure="flights counted"]').textContent.split('of')[0].replace(/\\D/g, '')`
    const counted = (/** @type {number} */ least) => page.waitForFunction(`Number(${shown}) >= ${least}`)
    const take = async () => {
      await page.evaluate('scrollTo(0, 0)')
      return page.screenshot()
    }
    await press('Start')
    const onlySteps = await page.addStyleTag({ content: LEFT_OUT })
    await counted(2_500)
    const steps = [{ title: 'It commits.', png: await take() }]
    await page.evaluate(
      `[...document.querySelectorAll('button')].find((button) => button.textContent === 'Kill in mid-commit').click()`,
    )
    await page.locator('.dot.killed').waitFor()
    steps.push({ title: 'Its worker is killed in mid-commit.', png: await take() })
    await says(/are right/)
    await counted(3_500)
    steps.push({ title: 'The next one goes on.', png: await take() })
    await onlySteps.evaluate((/** @type {any} */ style) => style.remove())
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
  const style = `:root { color-scheme: light dark; background: light-dark(#f7f8fa, #0f151b) }
    body { margin: 0; display: flex; gap: 2px; font: 600 26px system-ui }
    figure { margin: 0; flex: 1 } figcaption { padding: 14px 16px } img { width: 100% }`
  return `<!doctype html><style>${style}</style>${figures.join('')}`
}
