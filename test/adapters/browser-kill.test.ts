/** Chromium, killed with all of its processes in the middle of commits to IndexedDB, on the built package. */
import { expect, test } from 'vitest'
import { browsers } from '../support/chromium.js'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'
import { forAdapter } from '../support/counting.js'
import { until } from '../support/until.js'

forAdapter('indexedDb')

const KILLS = extent(30, 3)
const chromium = browsers()

test(`Chromium that is killed ${KILLS} times loses no commit that a page was told of, and leaves no hole`, async () => {
  let seed = 20_26
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
  const profile = temporaryFolder()
  const acknowledged = new Map<number, number>()
  let last = 0
  for (let k = 0; k < KILLS; k++) {
    const running = await chromium.start(profile)
    try {
      let opened: (() => void) | undefined
      let failed: ((error: Error) => void) | undefined
      const begun = new Promise<void>((resolve, reject) => {
        opened = resolve
        failed = reject
      })
      await running.page.exposeFunction('report', (what: string, i: number, version: number) => {
        if (what === 'committed') {
          last = i
          acknowledged.set(version, i)
        } else if (what === 'failed') failed!(new Error(String(version)))
        else if (i < last) failed!(new Error(`opened at ${i}, after ${last} was acknowledged`))
        else opened!()
      })
      await running.page.goto(`${chromium.pages}/browser-page.html#commit`)
      await begun
      // Every other one has acknowledged two commits, however slow the machine is.
      const before = last
      await until(() => k % 2 === 1 || last > before + 1)
      await new Promise((resolve) => setTimeout(resolve, random() * 300))
    } finally {
      await running.kill()
    }
  }
  const running = await chromium.start(profile)
  try {
    await running.page.exposeFunction('report', () => {})
    await running.page.goto(`${chromium.pages}/browser-page.html`)
    await running.page.waitForFunction('globalThis.check !== undefined')
    const found = await running.page.evaluate<{
      reached: number
      versions: [number, number][]
      entries: [unknown, unknown][]
    }>('check()')
    const { reached, versions } = found
    expect(reached).toBeGreaterThanOrEqual(last)
    expect(acknowledged.size).toBeGreaterThan(KILLS)
    const kept = new Map(versions)
    expect([...kept.values()]).toEqual(Array.from({ length: reached }, (_, n) => n + 1))
    for (const [version, i] of acknowledged) expect(kept.get(version)).toBe(i)
    const state = new Map(found.entries.map(([key, value]) => [JSON.stringify(key), value]))
    for (let n = reached; n > Math.max(0, reached - 50); n--) expect(state.get(`"k${n % 50}"`)).toEqual({ i: n })
    for (let n = reached; n > Math.max(0, reached - 3); n--) expect(state.get(`["last",${n % 3}]`)).toBe(n)
    console.log(
      `${KILLS} kills of Chromium, ${reached} commits, ${acknowledged.size} of them acknowledged, none missing`,
    )
  } finally {
    await running.kill()
  }
}, 180_000)
