/** The to-do app of demo/todo in two tabs of one Chromium, on the built package: both click, type and delete at once. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { buildPage } from '../support/built-page.js'
import { browsers } from '../support/chromium.js'
import { forAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('indexedDb')

const BUSY_MS = extent(60_000, 4_000)
const FROZEN_MS = extent(10_000, 1_500)
/** The app's own one among them. */
const MOST_SCRIPTS = 12
const chromium = browsers()

/** A user: acts on the page, waits each time until the page shows it, and knows what it has to show in the end. */
function user(name: string, ms: number): Promise<{ acts: number; own: [string, boolean][] }> {
  const items = (): HTMLLIElement[] => [...document.querySelectorAll('li')]
  const textOf = (item: HTMLLIElement): HTMLInputElement => item.querySelectorAll('input')[1]!
  const boxOf = (item: HTMLLIElement): HTMLInputElement => item.querySelector('input')!
  const find = (text: string): HTMLLIElement | undefined => items().find((item) => textOf(item).value === text)
  const until = async (what: string, isThere: () => boolean): Promise<void> => {
    const end = performance.now() + 60_000
    while (!isThere()) {
      if (performance.now() > end) throw new Error(`${name} waited in vain: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  const own = new Map<string, boolean>()
  const run = async (): Promise<{ acts: number; own: [string, boolean][] }> => {
    let acts = 0
    for (const end = performance.now() + ms; performance.now() < end; acts++) {
      const texts = [...own.keys()]
      const text = texts[acts % texts.length]
      if (text === undefined || acts % 5 < 2) {
        const added = `${name}${acts}`
        const form = document.querySelector('form')!
        form.querySelector('input')!.value = added
        form.requestSubmit()
        await until(`adding ${added}`, () => find(added) !== undefined)
        own.set(added, false)
      } else if (acts % 5 === 2) {
        const done = !own.get(text)!
        boxOf(find(text)!).click()
        await until(`ticking ${text}`, () => boxOf(find(text)!).checked === done)
        own.set(text, done)
      } else if (acts % 5 === 3) {
        const changed = `${text}x`
        const input = textOf(find(text)!)
        input.focus()
        input.value = changed
        input.dispatchEvent(new FocusEvent('focusout', { bubbles: true }))
        await until(`typing ${changed}`, () => find(changed) !== undefined && find(text) === undefined)
        own.set(changed, own.get(text)!)
        own.delete(text)
      } else {
        find(text)!.querySelector('button')!.click()
        await until(`deleting ${text}`, () => find(text) === undefined)
        own.delete(text)
      }
      // Both are at one of these, too: who comes last counts, and both see the same.
      const shared = items().find((item) => textOf(item).value.startsWith('shared'))
      if (shared) boxOf(shared).click()
    }
    return { acts, own: [...own] }
  }
  return run()
}

test('the app is the one that the docs show', () => {
  const root = join(import.meta.dirname, '../..')
  const app = readFileSync(join(root, 'demo/todo/app.jsx'), 'utf8')
  expect(readFileSync(join(root, 'docs/react.md'), 'utf8')).toContain(`\n\`\`\`javascript\n${app}\`\`\`\n`)
})

const shown = (page: Page): Promise<[string, boolean][]> =>
  page.evaluate(() =>
    [...document.querySelectorAll('li')].map((item) => {
      const [box, text] = item.querySelectorAll('input')
      return [text!.value, box!.checked] as [string, boolean]
    }),
  )

test('in two tabs of a to-do app no error is seen, both show the same, and every acknowledged change is there', async () => {
  const html = readFileSync(join(import.meta.dirname, '../../demo/todo/index.html'), 'utf8')
  const path = await buildPage('demo/todo/app.jsx', html.replace('app.jsx', 'app.js'))
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page: first } = running
    const second = await context.newPage()
    const troubles: string[] = []
    const scripts = new Set<string>()
    for (const page of [first, second]) {
      page.on('pageerror', (error) => troubles.push(String(error)))
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
      })
      page.on('request', (request) => {
        if (request.resourceType() === 'script') scripts.add(new URL(request.url()).pathname)
      })
      await page.goto(new URL(path, chromium.pages).href)
      await page.waitForSelector('form')
    }
    await first.evaluate(`{
      const form = document.querySelector('form')
      form.querySelector('input').value = 'shared'
      form.requestSubmit()
    }`)
    for (const page of [first, second]) await page.waitForSelector('li')

    const act = (page: Page, name: string, ms = BUSY_MS): ReturnType<typeof user> =>
      page.evaluate(`(${user.toString()})('${name}', ${ms})`)
    const busy = await Promise.all([act(first, 'one-'), act(second, 'two-')])
    // One of them is frozen while the other one goes on, and then both are busy again.
    const devtools = await context.newCDPSession(second)
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    const meanwhile = await act(first, 'three-', FROZEN_MS)
    await devtools.send('Page.setWebLifecycleState', { state: 'active' })
    const after = await Promise.all([act(first, 'four-', BUSY_MS / 2), act(second, 'five-', BUSY_MS / 2)])

    const known = [...busy, meanwhile, ...after]
    const acts = known.reduce((sum, each) => sum + each.acts, 0)
    console.log(
      `${acts} acts of two tabs (${known.map((each) => each.acts).join(', ')}); ${scripts.size} scripts were loaded`,
    )
    expect(known.every((each) => each.acts > 0)).toBe(true)
    const expected = known.flatMap(({ own }) => own)
    await expect
      .poll(async () => {
        const [one, two] = [await shown(first), await shown(second)]
        return JSON.stringify(one) === JSON.stringify(two) && one.length === expected.length + 1
      })
      .toBe(true)
    const list = await shown(first)
    expect(Object.fromEntries(list.filter(([text]) => text !== 'shared'))).toEqual(Object.fromEntries(expected))
    expect(troubles).toEqual([])

    // What is there is what was stored: a page that comes later shows the same.
    await first.reload()
    await first.waitForSelector('li')
    expect(await shown(first)).toEqual(await shown(second))
    expect(scripts.size).toBeLessThanOrEqual(MOST_SCRIPTS)
  } finally {
    await running.kill()
  }
}, 300_000)
