/** The demo's page, built and served once for the tests of a file, and what they do with it. */
import { test as base, expect, type Locator, type Page } from '@playwright/test'
import type { Store } from 'tidemark'
import { startSite } from '../../demo/web/site.mjs'

type Site = Awaited<ReturnType<typeof startSite>>

export { expect }

/** Errors that the page and its console have told; a test that leaves one has failed. */
export const test = base.extend<{ troubles: string[] }, { site: Site }>({
  site: [
    // oxlint-disable-next-line no-empty-pattern -- Playwright reads from the pattern which fixtures are wanted
    async ({}, use) => {
      const site = await startSite()
      await use(site)
      await site.close()
    },
    { scope: 'worker' },
  ],
  troubles: [
    async ({ context }, use) => {
      const troubles: string[] = []
      context.on('weberror', (error) => troubles.push(error.error().message))
      context.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
      })
      await use(troubles)
      expect(troubles).toEqual([])
    },
    { auto: true },
  ],
})

/** Opens the page. The worker rests so many milliseconds after each commit. */
export async function visit(page: Page, { url }: Site, restMs = 0): Promise<void> {
  await page.goto(`${url}?rest=${restMs}`)
  await expect(page.getByRole('heading', { name: 'How it is stored' })).toBeVisible()
}

export const button = (page: Page, name: string | RegExp): Locator => page.getByRole('button', { name, exact: true })

export const said = (page: Page): Locator => page.getByRole('status')

/** Presses a button and waits for the sentence that tells its effect. */
export async function press(page: Page, name: string | RegExp, says: RegExp): Promise<string> {
  await button(page, name).click()
  await expect(said(page)).toHaveText(says)
  return (await said(page).textContent())!
}

/** A number as the page writes it. */
export const figured = (count: number): string => count.toLocaleString('en-US')

/** A figure that the page shows. */
export async function figure(page: Page, name: string): Promise<number> {
  const text = await page.locator(`[data-figure="${name}"]`).textContent()
  return Number(text!.replaceAll(',', '').trim().split(' ')[0])
}

export async function hasCounted(page: Page, atLeast: number): Promise<void> {
  await expect.poll(() => figure(page, 'flights counted')).toBeGreaterThanOrEqual(atLeast)
}

/** Lets some of the flights be counted, and pauses. */
export async function countSome(page: Page, atLeast = 1500): Promise<number> {
  await press(page, 'Start', /counts from flight/)
  await hasCounted(page, atLeast)
  await press(page, 'Pause', /has stopped at version/)
  return figure(page, 'flights counted')
}

/** The facts about the page's store, from the store itself. */
export function inStore(page: Page): Promise<{ version: number; flights: number; next: number; live: number }> {
  return page.evaluate(async () => {
    const { store } = globalThis as unknown as { store: Store }
    await store.refresh()
    let flights = 0
    for await (const [, value] of store.table<string, { count: number }>('airports').entries()) flights += value.count
    const next = Object.values(store.offsets['flights'] ?? {})[0] ?? store.offsets['flights'] ?? 0
    return { version: store.version, flights, next: Number(next), live: store.metrics().segments.live }
  })
}

/** The figures of the page and the store itself say the same, and nothing is lost or counted twice. */
export async function agrees(page: Page): Promise<void> {
  const { version, flights, next, live } = await inStore(page)
  await expect.poll(() => figure(page, 'version')).toBe(version)
  expect(flights).toBe(next)
  expect(await figure(page, 'flights counted')).toBe(flights)
  expect([await figure(page, 'lost'), await figure(page, 'counted twice')]).toEqual([0, 0])
  const inUse = page.locator('[data-figure="segments in use"]')
  await expect(inUse).toHaveText(live === 0 ? 'none yet' : new RegExp(`^${live} in use`))
}
