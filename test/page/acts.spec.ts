/** The other buttons of the page: old versions, harm, a second tab, and the bucket. */
import { openStore } from 'tidemark'
import { s3Fetch } from 'tidemark/s3-fetch'
import type { Page } from '@playwright/test'
import type { Store } from 'tidemark'
import {
  agrees,
  button,
  countSome,
  expect,
  figure,
  figured,
  hasCounted,
  inStore,
  press,
  said,
  test,
  visit,
} from './page.js'

/** How many values were changed and added since a version, by the values themselves. */
function between(page: Page, version: number): Promise<{ changed: number; added: number }> {
  return page.evaluate(async (at) => {
    const { store } = globalThis as unknown as { store: Store }
    const past = await store.at(at)
    let [changed, added] = [0, 0]
    for (const table of ['airports', 'routes']) {
      const old = new Map(
        (await past.table(table).toArray()).map(([key, value]) => [String(key), JSON.stringify(value)]),
      )
      for (const [key, value] of await store.table(table).toArray()) {
        const before = old.get(String(key))
        if (before === undefined) added++
        else if (before !== JSON.stringify(value)) changed++
      }
    }
    await past.close()
    return { changed, added }
  }, version)
}

test('versions are looked at, compared, tagged and restored', async ({ page, site }) => {
  await visit(page, site)
  const counted = await countSome(page)
  const slider = page.getByLabel('Look at')
  await slider.focus()
  await page.keyboard.press('Home')
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowRight')
  const shown = (await slider.getAttribute('aria-valuetext'))!
  const version = Number(/\d+/.exec(shown)![0])
  const past = await page.evaluate(async (at) => {
    const snapshot = await (globalThis as any).store.at(at)
    const airports = await snapshot.table('airports').toArray()
    return { dfw: airports.find(([key]: [string]) => key === 'DFW')[1].count, next: JSON.stringify(snapshot.offsets) }
  }, version)
  const dfw = page.getByRole('row').filter({ hasText: 'DFW' })
  await expect(dfw.getByRole('cell').first()).toHaveText(String(past.dfw))

  const { changed, added } = await between(page, version)
  await press(
    page,
    'Compare the two',
    new RegExp(
      `From version ${version} to \\d+: ${figured(changed)} values? changed, ${figured(added)} added, 0 removed`,
    ),
  )
  await page.getByLabel('Name of a tag').fill('early')
  await press(page, `Tag version ${version}`, /is kept as “early”/)
  expect(await page.evaluate(() => (globalThis as any).store.tags())).toMatchObject([{ name: 'early', version }])

  await press(page, `Restore version ${version}`, /is back, as the new version/)
  const { flights } = await inStore(page)
  expect(past.next).toContain(String(flights))
  expect(flights).toBeLessThan(counted)
  await agrees(page)
  await slider.press('End')
  await press(page, /^early/, new RegExp(`“early” is version ${version}`))
  await expect(slider).toHaveAttribute('aria-valuetext', `version ${version}`)
  await expect(dfw.getByRole('cell').first()).toHaveText(String(past.dfw))
  await press(page, 'Start', new RegExp(`from flight ${figured(flights)} on`))
  await hasCounted(page, flights + 200)
  await press(page, 'Pause', /has stopped/)
  await agrees(page)
})

test('a damaged segment is noticed and rebuilt', async ({ page, site }) => {
  await visit(page, site)
  await press(page, 'Flip a byte', /no segment yet/)
  await countSome(page, 4000)
  const segments = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await objects(page)).filter(([name]) => name.includes('/seg/')))
  const sound = await segments()
  await press(page, 'Flip a byte', /noticed, rebuilt [1-9]\d* segments? from the log, and all [\d,]+ values are right/)
  const after = await segments()
  // One is harmed and stays so, as older versions need it. What took its place in the newest version has another name.
  const harmed = Object.keys(sound).filter((name) => name in after && after[name] !== sound[name])
  expect(harmed).toHaveLength(1)
  expect(Object.keys(after).filter((name) => !(name in sound)).length).toBeGreaterThan(0)
  await expect(page.locator('.blocks.kept rect.damaged')).toHaveCount(1)
  await expect(page.locator('.blocks.used rect.damaged')).toHaveCount(0)
  await agrees(page)
  // A page with nothing in memory reads the same.
  await page.reload()
  await hasCounted(page, 4000)
  await agrees(page)
})

test(
  'a full quota loses nothing, and the job goes on afterwards',
  { tag: '@chromium' },
  async ({ page, site, context }) => {
    const devtools = await context.newCDPSession(page)
    const { origin } = new URL(site.url)
    // Chromium remembers how much is free while a page uses its databases, so the limit comes first.
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 16 << 20 })
    await visit(page, site)
    const counted = await countSome(page)
    const sentence = await press(page, 'Fill the quota', /refused more \(QUOTA\)/)
    expect(sentence).toMatch(/All [1-9]\d* acknowledged writes and all [\d,]+ values of the flights are there/)
    const stores = await page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name))
    expect(stores).toContain('tidemark-demo')
    expect(await ballast(page)).toBe(0)
    await press(page, 'Start', /counts from flight/)
    await hasCounted(page, counted + 200)
    await press(page, 'Pause', /has stopped/)
    await agrees(page)
  },
)

test('a visitor who has seen enough stops the filling; the job rests meanwhile; what is left behind is cleared', async ({
  page,
  site,
}) => {
  await visit(page, site, 20)
  await press(page, 'Start', /counts from flight/)
  await button(page, 'Fill the quota').click()
  await expect(page.locator('[data-figure="filled"]')).toHaveText(/[\d.]+ MB written/)
  expect(await ballast(page)).toBeGreaterThan(0)
  await expect(button(page, 'Start')).toBeVisible()
  await button(page, 'Stop filling').click()
  await expect(said(page)).toHaveText(/You stopped it after [\d.]+ MB. All [1-9]\d* acknowledged writes? and all/)
  expect(await ballast(page)).toBe(0)
  await expect(button(page, 'Pause')).toBeVisible()
  // This time the page goes away in the middle of it.
  await button(page, 'Fill the quota').click()
  await expect(page.locator('[data-figure="filled"]')).toHaveText(/[\d.]+ MB written/)
  await page.reload()
  await expect.poll(() => ballast(page)).toBe(0)
  await agrees(page)
})

/** How many objects there are of what fills the quota. */
async function ballast(page: Page): Promise<number> {
  return (await objects(page)).filter(([name]) => name.startsWith('ballast/')).length
}

/** The objects of the page's database by name, each with its bytes as text; of a large one those of its first part. */
function objects(page: Page): Promise<[name: string, bytes: string][]> {
  return page.evaluate(async () => {
    const request = indexedDB.open('tidemark-demo')
    await new Promise((resolve) => request.addEventListener('success', resolve))
    const change = request.result.transaction(['objects', 'parts'])
    const [heads, parts] = [change.objectStore('objects'), change.objectStore('parts')]
    const asked = [heads.getAllKeys(), heads.getAll(), parts.getAllKeys(), parts.getAll()] as const
    await new Promise((resolve) => change.addEventListener('complete', resolve))
    request.result.close()
    const [names, found, places, pieces] = asked.map(({ result }) => result) as [
      string[],
      any[],
      [string, number][],
      any[],
    ]
    return names.map((name, i) => [name, String(found[i].within ?? pieces[places.findIndex(([of]) => of === name)])])
  })
}

test('two tabs edit one list, also after one was frozen, and one of them counts', async ({
  page,
  site,
  context,
  browserName,
}) => {
  await visit(page, site, 100)
  const opening = context.waitForEvent('page')
  await press(page, 'Open a second tab', /A second tab is open/)
  const second = await opening
  await expect(second.getByRole('heading', { name: 'How it is stored' })).toBeVisible()
  const add = async (tab: typeof page, text: string): Promise<void> => {
    await tab.getByLabel('A line for the list').fill(text)
    await button(tab, 'Add').click()
  }
  const line = (tab: typeof page, text: string) => tab.locator('.list li').filter({ hasText: text })

  await press(page, 'Start', /counts from flight/)
  await press(second, 'Start', /Another tab of this page is counting/)
  await hasCounted(second, 500)
  await add(page, 'from the first')
  await add(second, 'from the second')
  for (const tab of [page, second]) await expect(tab.locator('.list li')).toHaveCount(2)
  // It shows what is committed, and so a moment later.
  await line(second, 'from the first').getByRole('checkbox').click()
  await expect(line(page, 'from the first').getByRole('checkbox')).toBeChecked()

  const devtools = browserName === 'chromium' ? await context.newCDPSession(second) : undefined
  await devtools?.send('Page.setWebLifecycleState', { state: 'frozen' })
  await button(page, 'Remove from the second').click()
  await add(page, 'meanwhile')
  await expect(async () => {
    // A browser freezes no tab that is in the middle of a transaction, in which all others would wait for it; the tools do.
    const wait = expect(line(page, 'meanwhile')).toBeVisible({ timeout: 5_000 })
    await wait.catch(async (error: unknown) => {
      await devtools?.send('Page.setWebLifecycleState', { state: 'active' })
      await devtools?.send('Page.setWebLifecycleState', { state: 'frozen' })
      throw error
    })
  }).toPass()
  await devtools?.send('Page.setWebLifecycleState', { state: 'active' })
  await expect(line(second, 'meanwhile')).toBeVisible()
  await expect(line(second, 'from the second')).toHaveCount(0)
  const inList = await second.evaluate(async () => (globalThis as any).store.table('notes').toArray())
  expect(inList.map(([, { text, done }]: any) => [text, done])).toEqual([
    ['from the first', true],
    ['meanwhile', false],
  ])
  await press(page, 'Pause', /has stopped/)
  await agrees(page)
})

test('the store moves to the bucket, where Node opens it, and back', async ({ page, site }) => {
  await visit(page, site)
  const counted = await countSome(page, 3000)
  await press(page, 'Push to S3', /is in the bucket, as version \d+ there: [1-9]\d* segments? sent, 0 already there/)
  expect(await figure(page, 'copied')).toBe((await inStore(page)).live)
  await press(page, 'Push to S3', /is in the bucket already. Nothing had to travel/)

  const gate = async (url: string, init: object) => {
    const answer = await fetch(url, init)
    const bytes = await answer.arrayBuffer()
    return { status: Number(answer.headers.get('x-status')), headers: answer.headers, arrayBuffer: async () => bytes }
  }
  const storage = s3Fetch({ fetch: gate, url: site.bucket.url })
  const elsewhere = await openStore<string, { count: number }>({
    storage,
    name: 'flights',
    mode: 'follower',
    create: false,
  })
  let flights = 0
  for await (const [, value] of elsewhere.table<string, { count: number }>('airports').entries()) flights += value.count
  await elsewhere.close()
  expect(flights).toBe(counted)

  await press(page, 'Start over', /an empty one is there/)
  expect(await figure(page, 'flights counted')).toBe(0)
  await press(page, 'Pull from S3', /is here, with .* flights counted. [1-9]\d* segments? fetched, 0 already here/)
  expect(await figure(page, 'flights counted')).toBe(counted)
  await agrees(page)
  await press(page, 'Start', new RegExp(`from flight ${figured(counted)} on`))
  await hasCounted(page, counted + 200)
  // It stops the job for the time of the transfer, and starts it again.
  await press(page, 'Pull from S3', /is here, with/)
  await expect(button(page, 'Pause')).toBeVisible()
  await press(page, 'Pause', /has stopped/)
  await agrees(page)
})
