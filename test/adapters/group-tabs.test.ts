/** A group of tabs of one Chromium, on the built package: they share out a store in IndexedDB, and a tab that is closed is missed by nobody. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { browsers } from '../support/chromium.js'
import { forAdapter } from '../support/counting.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('indexedDb')

const EVENTS = 300
const chromium = browsers()

interface Counted {
  readonly counts: readonly number[]
  readonly twice: number
}

test('three tabs share six shards out, one is closed in the midst of it, and each event counts once', async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page: first } = running
    const pages = [first, await context.newPage(), await context.newPage()] as const
    for (const page of pages) {
      await page.goto(`${chromium.pages}/group-page.html`)
      await page.waitForFunction('globalThis.join !== undefined')
      await page.evaluate(`join(${EVENTS})`)
    }
    await first.evaluate('split()')
    const owns = (page: Page): Promise<unknown> => page.waitForFunction('owned() > 0', undefined, { timeout: 60_000 })
    await Promise.all(pages.map(owns))
    await pages[1].close()
    await pages[2].waitForFunction('owned() >= 2', undefined, { timeout: 60_000 })
    let counted: Counted = { counts: [], twice: 0 }
    for (const until = Date.now() + 120_000; Date.now() < until;) {
      counted = await first.evaluate<Counted>('counted()')
      if (counted.counts.every((count) => count === EVENTS)) break
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    expect(counted).toEqual({ counts: [EVENTS, EVENTS, EVENTS, EVENTS, EVENTS, EVENTS], twice: 0 })
    await pages[2].evaluate('leave()')
    await first.evaluate('leave()')
  } finally {
    await running.kill()
  }
}, 240_000)
