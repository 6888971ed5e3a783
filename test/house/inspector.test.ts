/** `<tidemark-inspector>` on a page of Chromium with a strict content policy. */
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Locator, Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildPage } from '../support/built-page.js'
import { sharedBrowser } from '../support/chromium.js'
import { expectAccessible, inspectorOn, listenTo } from '../support/inspector.js'

const root = join(import.meta.dirname, '../..')
const POLICY =
  "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
const HTML = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="${POLICY}; img-src data:"><meta name="color-scheme" content="light dark">
<script type="module" src="./app.js"></script></head><body><main><h1>Orders</h1></main></body></html>`

const chromium = sharedBrowser()
let path = ''
beforeAll(async () => {
  path = await buildPage('test/support/inspector-page.mjs', HTML)
}, 180_000)

/** Waits until the newest version is shown, and is the one that is looked at. */
async function atNewest(page: Page, slider: Locator): Promise<void> {
  await expect.poll(() => page.evaluate('globalThis.store?.version')).toBeGreaterThan(0)
  const version = await page.evaluate('store.version')
  await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(new RegExp(`^Version ${String(version)}, `))
}

describe('the element', () => {
  const open = async (): Promise<[Page, ReturnType<typeof inspectorOn>]> => {
    const page = await chromium.newPage()
    await page.goto(new URL(path, chromium.pages).href)
    const inspector = inspectorOn(page)
    await atNewest(page, inspector.slider)
    return [page, inspector]
  }

  test('shows versions, entries then and now, and what differs; by the keyboard, and with no request', async () => {
    const page = await chromium.newPage()
    const { troubles, requests } = listenTo(page)
    const folder = new URL('.', new URL(path, chromium.pages)).href
    await page.goto(`${folder}index.html`)
    const { slider, table, rows, button } = inspectorOn(page)
    await atNewest(page, slider)
    await slider.focus()
    await page.keyboard.press('Home')
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(/^Version \d+, \d{4}-.*Z, .*, first$/)
    await expect
      .poll(() => rows('Differences'))
      .toEqual([
        ['"o-05"', '{"total":5}', '{"total":500}'],
        ['"o-07"', '{"total":7}', 'none'],
      ])
    const first = await rows('Entries')
    expect(first.slice(5, 9)).toEqual([
      ['"o-05"', '{"total":5}', '{"total":500}'],
      ['"o-06"', '{"total":6}', '{"total":6}'],
      ['"o-07"', '{"total":7}', 'none'],
      ['"o-08"', '{"total":8}', '{"total":8}'],
    ])
    await button('Next keys').click()
    await expect.poll(async () => (await rows('Entries')).at(-1)?.[0]).toBe('"o-59"')
    // No key is shown twice, and none is left out.
    expect([...first, ...(await rows('Entries'))].map(([key]) => key)).toEqual(
      Array.from({ length: 60 }, (_, i) => `"o-${String(i).padStart(2, '0')}"`),
    )
    await table.selectOption('users')
    const ada = '{"since":Date(1970-01-01T00:00:00.000Z),"<img src=x>":1n}'
    await expect.poll(() => rows('Entries')).toEqual([['"ada"', 'none', ada]])
    expect(await page.locator('tidemark-inspector img').count()).toBe(0)
    // Its own parts are loaded when they are needed.
    expect(requests.filter((url) => !url.startsWith(folder) && !url.startsWith('data:'))).toEqual([])
    expect(troubles).toEqual([])
  })

  test('shows what is committed meanwhile, and stays at the version that is looked at', async () => {
    const [page, { slider, rows }] = await open()
    await page.evaluate(`store.set('o-00', 'new')`)
    await atNewest(page, slider)
    await slider.press('Home')
    await page.evaluate(`store.set('o-00', 'newer')`)
    await expect.poll(async () => (await rows('Differences'))[0]).toEqual(['"o-00"', '{"total":0}', '"newer"'])
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/, first$/)
  })

  test('draws partitions, log and segments with their sizes', async () => {
    const [page, { parts, slider, button }] = await open()
    const keys = async () =>
      (await parts()).slice(3).map((text) => Number(/^([\d,]+) keys?$/.exec(text)?.[1]?.replace(',', '')))
    await expect.poll(async () => (await keys()).reduce((sum, count) => sum + count, 0)).toBe(59)
    const [partitions, log, segments] = await parts()
    const version = await page.evaluate('store.version')
    expect(partitions).toBe(`4 partitions keys of the default table in version ${String(version)}`)
    expect(log).toMatch(/^The log 3 entries are in no segment yet, \d/)
    expect(segments).toMatch(/^Segments 1 segment in 1 run, [\d.]+ [KB]/)
    expect(await page.locator('svg.log rect').count()).toBe(3)
    expect(await page.locator('svg.segments rect title').textContent()).toMatch(/, 60 records, partitions 0 to 3$/)
    await slider.press('Home')
    await expect.poll(async () => (await keys()).reduce((sum, count) => sum + count, 0)).toBe(60)
    await page.evaluate('store.checkpoint()')
    await expect.poll(async () => (await parts())[1]).toBe('The log all of it is in segments')
    expect((await parts())[2]).toMatch(/^Segments [23] segments in [23] runs/)

    // What takes longer than a moment is counted when somebody asks for it.
    await slider.press('End')
    await page.evaluate(`(async () => {
      for (let i = 0; i < 10_000; i++) store.put('many-' + i, i)
      await store.commit()
      await store.checkpoint()
    })()`)
    await atNewest(page, slider)
    await button('Count the keys of each partition').click()
    await expect.poll(async () => (await keys()).reduce((sum, count) => sum + count, 0)).toBe(10_059)
  })

  test('compares any two versions, and nothing moves under a reader while others write', async () => {
    const [page, { slider, second, rows, button }] = await open()
    await slider.press('Home')
    await second.press('Home')
    await page.getByText('Choose an older version to see what has changed since.').waitFor()
    await second.press('ArrowRight')
    await expect.poll(() => rows('Differences')).toEqual([['"o-05"', '{"total":5}', '{"total":500}']])
    await button('Next keys').click()
    await expect.poll(async () => (await rows('Entries'))[0]?.[0]).toBe('"o-50"')
    const table = page.locator('.scroll[aria-label="Entries"]')
    await table.evaluate((element) => Object.assign(element, { isStill: true }))
    const { version } = (await page.evaluate(`store.set('o-00', 'new').then(({ version }) => ({ version }))`)) as {
      version: number
    }
    await page.locator('dd', { hasText: new RegExp(`^${version}$`) }).waitFor()
    await expect.poll(() => page.locator('svg.timeline rect').count()).toBe(5)
    expect((await rows('Entries'))[0]?.[0]).toBe('"o-50"')
    expect(await table.evaluate((element) => 'isStill' in element)).toBe(true)
  })

  test('tags, restores, and says what goes wrong', async () => {
    const [page, { slider, button, rows }] = await open()
    await slider.press('Home')
    const tag = page.getByLabel('Tag', { exact: true })
    await tag.fill('Not A Name')
    await button('Tag it').click()
    await expect.poll(() => page.getByRole('alert').textContent()).toMatch(/^tag|name/i)
    await tag.fill('before')
    await button('Tag it').click()
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(/, first, tag before$/)
    await page.getByText(/^Version \d+ is kept under the name before\.$/).waitFor()
    expect(await page.getByRole('alert').count()).toBe(0)
    await button('Restore this version').click()
    await expect.poll(() => page.evaluate(`store.get('o-05')`)).toEqual({ total: 5 })
    await expect.poll(() => rows('Differences')).toEqual([])
    const tagged = 'store.at("before").then((past) => past.get("o-07"))'
    expect(await page.evaluate(tagged)).toEqual({ total: 7 })
  })

  test.each(['light', 'dark'] as const)('has nothing that axe finds, and fits 380 px: %s', async (colorScheme) => {
    const [page, { slider }] = await open()
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width: 380, height: 800 })
    await slider.press('Home')
    await expect.poll(() => inspectorOn(page).rows('Differences')).toHaveLength(2)
    await expectAccessible(page)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(380)
  })

  test('adds at most 60 KiB to a page that has a store, and a page of a server has none of the core', async () => {
    const built = async (entry: string, isElsewhere: (id: string) => boolean) => {
      const bundle = await rolldown({ input: join(root, 'dist', entry), cwd: root, external: isElsewhere })
      const { output } = await bundle.generate({ format: 'esm', minify: true })
      await bundle.close()
      const chunks = output.flatMap((part) => (part.type === 'chunk' ? [part] : []))
      const bytes = chunks.reduce((sum, { code }) => sum + gzipSync(code).length, 0)
      return { bytes, files: chunks.flatMap(({ moduleIds }) => moduleIds.map((id) => basename(id))) }
    }
    const { files: core } = await built('index.js', () => false)
    const whole = await built('inspector.js', (id) => core.includes(basename(id)))
    expect(whole.files.some((name) => name.startsWith('local-'))).toBe(true)
    expect(whole.bytes).toBeLessThan(60 * 1024)
    const served = await built('inspector.js', (id) => basename(id).startsWith('local-'))
    expect(served.files.filter((name) => core.includes(name))).toEqual([])
    expect(served.bytes).toBeLessThan(whole.bytes)
  })
})
