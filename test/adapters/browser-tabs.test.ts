/** Tabs of one Chromium that write one store together, on the built package. */
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { browsers } from '../support/chromium.js'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'
import { forAdapter } from '../support/counting.js'

forAdapter('indexedDb')

const COMMITS = extent(1_000, 40)
const TABS = 4
const UPDATES = extent(500, 40)
const chromium = browsers()

interface Found {
  readonly entries: [string, number][]
  readonly versions: number[]
}

const newestOf = (versions: readonly number[]): number => Math.max(...versions)

test(`tabs that write one store commit ${COMMITS} times each, and a frozen one goes on`, async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page: first } = running
    const second = await context.newPage()
    for (const page of [first, second]) {
      await page.goto(`${chromium.pages}/browser-page.html`)
      await page.waitForFunction('globalThis.openShared !== undefined')
      await page.evaluate('openShared()')
    }
    const call = <T>(page: Page, what: string): Promise<T> => page.evaluate<T>(what)
    const started = performance.now()
    const [ones, twos] = await Promise.all([
      call<number[]>(first, `write('one', ${COMMITS})`),
      call<number[]>(second, `write('two', ${COMMITS})`),
    ])
    console.log(`${2 * COMMITS} commits of two tabs in ${Math.round(performance.now() - started)} ms`)

    // Every version was acknowledged to one of them, and both are told of all, without asking.
    const versions = [...ones, ...twos].toSorted((a, b) => a - b)
    expect(new Set(versions).size).toBe(2 * COMMITS)
    const keys = ['one', 'two'].flatMap((name) =>
      Array.from({ length: COMMITS }, (_, i) => [`${name}${i}`, i] as const),
    )
    const expected = Object.fromEntries(keys)
    for (const page of [first, second]) {
      expect(await call(page, `atLeast(${newestOf(versions)})`)).toBe(newestOf(versions))
      const found = await call<Found>(page, 'contents()')
      expect(Object.fromEntries(found.entries)).toEqual(expected)
      expect(found.versions).toEqual(versions)
    }

    // Transactions of both count each other's.
    await Promise.all([call(first, 'increment(100)'), call(second, 'increment(100)')])
    expect(await call(first, 'store.refresh().then(() => store.get("n"))')).toBe(200)

    // A tab that is frozen misses what the other one does, and goes on after it.
    const devtools = await context.newCDPSession(second)
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    const meanwhile = await call<number[]>(first, `write('meanwhile', 50)`)
    await devtools.send('Page.setWebLifecycleState', { state: 'active' })
    const [version] = await call<number[]>(second, `write('thawed', 1)`)
    expect(version).toBeGreaterThan(newestOf(meanwhile))
    await call(second, 'increment(1)')
    expect(await call(first, 'store.refresh().then(() => store.getMany(["n", "thawed0"]))')).toEqual([201, 0])
  } finally {
    await running.kill()
  }
}, 180_000)

test(`${TABS} tabs that call update() ${UPDATES} times each on one key count all of them, without an error`, async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page } = running
    const pages = [page, ...(await Promise.all(Array.from({ length: TABS - 1 }, () => context.newPage())))]
    for (const each of pages) {
      await each.goto(`${chromium.pages}/browser-page.html`)
      await each.waitForFunction('globalThis.openShared !== undefined')
      await each.evaluate('openShared()')
    }
    const started = performance.now()
    const took = await Promise.all(pages.map((each) => each.evaluate<number>(`update(${UPDATES})`)))
    console.log(
      `${TABS * UPDATES} updates of ${TABS} tabs in ${Math.round(performance.now() - started)} ms; the slowest of each took ${took.map(Math.round).join(', ')} ms`,
    )
    for (const each of pages) expect(await each.evaluate('store.get("n", { fresh: true })')).toBe(TABS * UPDATES)
  } finally {
    await running.kill()
  }
}, 180_000)

test('a frozen tab goes on after what it had read was collected', async () => {
  const running = await chromium.start(temporaryFolder())
  try {
    const { context, page: first } = running
    const second = await context.newPage()
    const options = `{ graceMs: 200, retain: { versions: 3 }, checkpoint: { entries: 4 } }`
    for (const page of [first, second]) {
      await page.goto(`${chromium.pages}/browser-page.html`)
      await page.waitForFunction('globalThis.openShared !== undefined')
      await page.evaluate(`openShared(${options})`)
    }
    await second.evaluate(`write('before', 5)`)
    const devtools = await context.newCDPSession(second)
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    for (let i = 0; i < 4; i++) {
      await first.evaluate(`write('k', 20).then(() => store.maintain())`)
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    await devtools.send('Page.setWebLifecycleState', { state: 'active' })
    const [version] = await second.evaluate<number[]>(`write('after', 1)`)
    expect(await first.evaluate(`atLeast(${version})`)).toBe(version)
    expect(await first.evaluate('store.getMany(["before4", "after0", "k19"])')).toEqual([4, 0, 19])
    expect(await second.evaluate('store.getMany(["before4", "after0", "k19"])')).toEqual([4, 0, 19])
  } finally {
    await running.kill()
  }
}, 180_000)
