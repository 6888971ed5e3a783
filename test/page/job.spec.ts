/** The job of the page: it goes on after whatever happens to its worker, its page and its storage. */
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

test('a worker counts all flights, and every value is what a count in memory gives', async ({ page, site }) => {
  await visit(page, site)
  await press(page, 'Start', /counts from flight 0 on/)
  await expect(said(page)).toHaveText(/All flights are counted. All 3,\d\d\d values are what a count in memory gives/)
  expect(await figure(page, 'flights counted')).toBe(20_000)
  await agrees(page)
  await expect(page.getByText('The worker has').or(page.getByText('All flights are counted.')).first()).toBeVisible()
  await expect(button(page, 'Start')).toBeDisabled()
  await press(page, 'Start over', /an empty one is there/)
  expect(await inStore(page)).toEqual({ version: 0, flights: 0, next: 0, live: 0 })
  await press(page, 'Start', /counts from flight 0 on/)
})

test('a worker that is killed while it commits is followed by one that goes on from what is there', async ({
  page,
  site,
}) => {
  await visit(page, site)
  await press(page, 'Start', /counts from flight 0 on/)
  for (let kills = 1; kills <= 3; kills++) {
    await hasCounted(page, kills * 800)
    await button(page, 'Kill in mid-commit').click()
    await expect.poll(() => figure(page, 'times killed')).toBe(kills)
    await expect(button(page, 'Pause')).toBeEnabled()
    const sentence = (await said(page).textContent())!
    const [, writing, found, from] =
      /while version (\d+) was .* found it (\w+) and went on at flight ([\d,]+)\. All/.exec(sentence)!
    expect(['complete', 'absent']).toContain(found)
    const offsets = await page.evaluate(
      async (at) => {
        const { store } = globalThis as any
        const past = await store.at(at)
        return JSON.stringify(past.offsets)
      },
      Number(writing) - (found === 'complete' ? 0 : 1),
    )
    expect(offsets).toContain(String(from).replaceAll(',', ''))
  }
  await press(page, 'Pause', /has stopped at version/)
  await agrees(page)
})

test('a frozen worker stands still while others write, and goes on when it is thawed', async ({ page, site }) => {
  await visit(page, site, 20)
  await press(page, 'Start', /counts from flight/)
  await hasCounted(page, 500)
  await press(page, 'Freeze', /stands still/)
  const { flights } = await inStore(page)
  await page.getByLabel('A line for the list').fill('while it is frozen')
  await button(page, 'Add').click()
  await expect(page.getByRole('listitem').filter({ hasText: 'while it is frozen' })).toBeVisible()
  const still = await inStore(page)
  expect(still.flights).toBe(flights)
  await press(page, 'Thaw', /goes on, on top of what others have written/)
  await hasCounted(page, flights + 300)
  await press(page, 'Pause', /has stopped at version/)
  await agrees(page)
})

test('a page that is loaded again shows what was counted, and goes on from there', async ({ page, site }) => {
  await visit(page, site)
  const counted = await countSome(page)
  await page.reload()
  await expect.poll(() => figure(page, 'flights counted')).toBe(counted)
  await press(page, 'Start', new RegExp(`counts from flight ${figured(counted)} on`))
  await hasCounted(page, counted + 100)
  // This time without a pause: the page goes away in the middle of the work.
  await page.reload()
  await expect.poll(() => figure(page, 'flights counted')).toBeGreaterThan(counted)
  await agrees(page)
})

test('a user who clears the storage is told so, and the page begins anew', async ({ page, site }) => {
  await visit(page, site)
  await countSome(page)
  await page.evaluate(async () => {
    await new Promise((resolve) => indexedDB.deleteDatabase('tidemark-demo').addEventListener('success', resolve))
  })
  await expect(said(page)).toHaveText(/The storage of this page was cleared/)
  await expect.poll(() => figure(page, 'flights counted')).toBe(0)
  await countSome(page)
  await agrees(page)
})

test('a storage that is cleared while the worker counts ends the worker, and the page begins anew', async ({
  page,
  site,
}) => {
  await visit(page, site, 20)
  await press(page, 'Start', /counts from flight/)
  await hasCounted(page, 500)
  await page.evaluate(async () => {
    await new Promise((resolve) => indexedDB.deleteDatabase('tidemark-demo').addEventListener('success', resolve))
  })
  await expect(said(page)).toHaveText(/The storage of this page was cleared/)
  await expect(button(page, 'Start')).toBeEnabled()
  await press(page, 'Start', /counts from flight 0 on/)
  await hasCounted(page, 300)
  await press(page, 'Pause', /has stopped/)
  await agrees(page)
})
