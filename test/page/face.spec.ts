/** The face of the page: for everybody, at every width, with honest figures. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import AxeBuilder from '@axe-core/playwright'
import { button, countSome, expect, figure, press, said, test, visit } from './page.js'

test('axe finds nothing, and nothing scrolls sideways, in light and dark colours, wide and narrow', async ({
  page,
  site,
}) => {
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await visit(page, site)
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
  await countSome(page, 2500)
  await page
    .getByLabel('A line for the list')
    .fill('a-line-of-one-word-that-is-as-long-as-the-list-lets-one-be-with-eighty-letters--')
  await button(page, 'Add').click()
  await press(page, /^Tag version/, /is kept as/)
  await press(page, 'Push to S3', /is in the bucket/)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [1280, 380]) {
      await page.setViewportSize({ width, height: 800 })
      expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
    }
  }
})

test('the figures of the log are those of the store', async ({ page, site }) => {
  await visit(page, site)
  await countSome(page, 3000)
  const { versions, tail, size } = await page.evaluate(async () => {
    const { store } = globalThis as any
    const versions = []
    for await (const version of store.versions()) versions.push(version)
    let size = 0
    for (const table of ['routes', 'airports']) {
      for await (const entry of store.table(table).entries()) size += JSON.stringify(entry).length
    }
    return { versions, tail: store.metrics().tail, size }
  })
  const shown = Math.min(60, versions.length)
  await expect(page.locator('.log rect')).toHaveCount(shown)
  await expect(page.getByText(/(entry|entries) not yet in segments|all of it is in segments/)).toContainText(
    tail === 0 ? 'all of it' : `${tail} entr`,
  )
  // Entries that make no version, such as that of a fold at the end, have no bar.
  expect(await page.locator('.log rect.fresh').count()).toBeLessThanOrEqual(tail)
  const kB = (bytes: number): string =>
    bytes < 1000 ? `${bytes} B` : `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`
  await expect(page.locator('[data-figure="last commit"]')).toHaveText(kB(versions.at(-1).bytes))
  await expect(page.locator('[data-figure="commits"]')).toHaveText(`${versions.length} commits`)
  await expect(page.locator('[data-figure="state"]')).toHaveText(kB(size))
  await expect(page.locator('.partitions li')).toHaveCount(4)
})

test('the job is started and stopped by keyboard alone', async ({ page, site }) => {
  await visit(page, site, 20)
  await page.keyboard.press('Tab')
  await expect(button(page, 'Start')).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(said(page)).toHaveText(/counts from flight/)
  // Whoever has pressed a button is still there when the button has another name.
  await expect(button(page, 'Pause')).toBeEnabled()
  await expect(button(page, 'Pause')).toBeFocused()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await expect(said(page)).toHaveText(/^Killed while version .* are right/)
  await expect(button(page, 'Kill in mid-commit')).toBeFocused()
  await page.keyboard.press('Shift+Tab')
  await expect(button(page, 'Pause')).toBeEnabled()
  await page.keyboard.press('Space')
  await expect(said(page)).toHaveText(/has stopped/)
  expect(await figure(page, 'lost')).toBe(0)
})

test('every control is reached by keyboard, in the order of the page, and says what it is for', async ({
  page,
  site,
}) => {
  await visit(page, site)
  await countSome(page, 300)
  await page.getByLabel('A line for the list').fill('Milk')
  await page.keyboard.press('Enter')
  await expect(button(page, 'Remove Milk')).toBeVisible()
  await button(page, 'Start').focus()
  const walked: number[] = []
  const controls = await page.locator('button, input').count()
  for (let i = 0; i < controls; i++) {
    walked.push(
      await page.evaluate(() => [...document.querySelectorAll('button, input')].indexOf(document.activeElement!)),
    )
    await page.keyboard.press('Tab')
  }
  expect(walked).toEqual(Array.from({ length: controls }, (_, i) => i))
  const roles = ['button', 'slider', 'textbox', 'checkbox'] as const
  const names = [/\w/, /Look at|Beside it/, /tag|list/, /Milk/]
  let named = 0
  for (const [i, role] of roles.entries()) named += await page.getByRole(role, { name: names[i]! }).count()
  expect(named).toBe(controls)
})

/** Runs `npm run demo:web -- …` without npm. */
function start(...args: string[]): Promise<{ code: number | null; output: string }> {
  const program = fileURLToPath(new URL('../../demo/web/start.mjs', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

test('--check drives the page through its story and ends well; wrong options are refused in a sentence', async () => {
  const { code, output } = await start('--check')
  expect(output).toContain('The page does what it says.')
  expect(code).toBe(0)
  expect(await start('--port', 'x')).toEqual({
    code: 1,
    output: 'demo:web: --port takes a whole number from 0 to 65,535, not "x".\n',
  })
  expect(await start('--chek')).toEqual({ code: 1, output: "demo:web: Unknown option '--chek'.\n" })
})
