/** Ten tabs of one Chromium that share a state of zustand, on the built package. */
import { expect, test } from 'vitest'
import { browsers } from '../support/chromium.js'
import { buildPage } from '../support/built-page.js'
import { forAdapter } from '../support/counting.js'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('indexedDb')

const TABS = 10
const TIMES = extent(1_000, 60)
const chromium = browsers()

test(`${TABS} tabs with ${TIMES} increments each show ${TABS * TIMES} in the end`, async () => {
  const path = await buildPage('test/support/zustand-tab.mjs', '<script type="module" src="app.js"></script>')
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page } = running
    const pages = [page, ...(await Promise.all(Array.from({ length: TABS - 1 }, () => context.newPage())))]
    for (const each of pages) {
      await each.goto(new URL(path, chromium.pages).href)
      await each.waitForFunction('globalThis.count !== undefined')
    }
    const errors = await Promise.all(pages.map((each) => each.evaluate<string[]>(`count(${TIMES})`)))
    expect(errors.flat()).toEqual([])
    const shown = (): Promise<number[]> => Promise.all(pages.map((each) => each.evaluate<number>('shown()')))
    await expect.poll(shown).toEqual(pages.map(() => TABS * TIMES))
  } finally {
    await running.kill()
  }
}, 180_000)
