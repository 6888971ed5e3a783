/** `<tidemark-inspector>` on a page of Chromium with a strict content policy, and `inspect --web`, which serves one. */
import { request } from 'node:http'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { AxeBuilder } from '@axe-core/playwright'
import type { Locator, Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { openStore, type Codec, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { run } from '../../src/cli/run.js'
import { buildPage } from '../support/built-page.js'
import { browsers, type Running } from '../support/chromium.js'
import { cli } from '../support/cli.js'
import { inspectorOn, listenTo } from '../support/inspector.js'
import { temporaryFolder } from '../support/storages.js'

const root = join(import.meta.dirname, '../..')
const POLICY =
  "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
const HTML = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="${POLICY}; img-src data:"><meta name="color-scheme" content="light dark">
<script type="module" src="./app.js"></script></head><body><main><h1>Orders</h1></main></body></html>`

const chromium = browsers()
let running: Running
let path = ''
let profile = ''
beforeAll(async () => {
  path = await buildPage('test/support/inspector-page.mjs', HTML)
  profile = mkdtempSync(join(tmpdir(), 'tidemark-inspector-'))
  running = await chromium.start(profile)
}, 180_000)
afterAll(async () => {
  await running.kill()
  rmSync(profile, { recursive: true, force: true })
})

async function newPage(): Promise<Page> {
  const page = await running.context.newPage()
  onTestFinished(() => page.close())
  return page
}

/** Waits until the newest version is shown, and is the one that is looked at. */
async function atNewest(page: Page, slider: Locator): Promise<void> {
  await expect.poll(() => page.evaluate('globalThis.store?.version')).toBeGreaterThan(0)
  const version = await page.evaluate('store.version')
  await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(new RegExp(`^Version ${String(version)}, `))
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([])
}

describe('the element', () => {
  const open = async (): Promise<[Page, ReturnType<typeof inspectorOn>]> => {
    const page = await newPage()
    await page.goto(new URL(path, chromium.pages).href)
    const inspector = inspectorOn(page)
    await atNewest(page, inspector.slider)
    return [page, inspector]
  }

  test('shows versions, entries then and now, and what differs; by the keyboard, and with no request', async () => {
    const page = await newPage()
    const { troubles, requests } = listenTo(page)
    const folder = new URL('.', new URL(path, chromium.pages)).href
    await page.goto(`${folder}index.html`)
    const { slider, table, rows, button } = inspectorOn(page)
    await atNewest(page, slider)
    await slider.focus()
    await page.keyboard.press('Home')
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(/^Version \d+, .* UTC, .*, first$/)
    await expect
      .poll(() => rows('Differences'))
      .toEqual([
        ['"o-05"', '{total: 5}', '{total: 500}'],
        ['"o-07"', '{total: 7}', 'none'],
      ])
    const first = await rows('Entries')
    expect(first.slice(5, 9)).toEqual([
      ['"o-05"', '{total: 5}', '{total: 500}'],
      ['"o-06"', '{total: 6}', '{total: 6}'],
      ['"o-07"', '{total: 7}', 'none'],
      ['"o-08"', '{total: 8}', '{total: 8}'],
    ])
    await button('Next keys').click()
    await expect.poll(async () => (await rows('Entries')).at(-1)?.[0]).toBe('"o-59"')
    // No key is shown twice, and none is left out.
    expect([...first, ...(await rows('Entries'))].map(([key]) => key)).toEqual(
      Array.from({ length: 60 }, (_, i) => `"o-${String(i).padStart(2, '0')}"`),
    )
    await table.fill('users')
    await table.press('Tab')
    const ada = '{since: Date(1970-01-01T00:00:00.000Z), "<img src=x>": 1n}'
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
    await expect.poll(async () => (await rows('Differences'))[0]).toEqual(['"o-00"', '{total: 0}', '"newer"'])
    expect(await slider.getAttribute('aria-valuetext')).toMatch(/, first$/)
  })

  test('counts keys, tags, restores, and says what goes wrong', async () => {
    const [page, { slider, button, rows }] = await open()
    await button('Count the keys of each partition').click()
    const told = page.getByRole('img', { name: /^Keys of each partition: / })
    await told.waitFor()
    const counts = [...(await told.getAttribute('aria-label'))!.matchAll(/\d+/g)].map(Number)
    expect([counts.length, counts.reduce((sum, keys) => sum + keys, 0)]).toEqual([4, 59])

    await slider.press('Home')
    const tag = page.getByLabel('Tag', { exact: true })
    await tag.fill('Not A Name')
    await button('Tag it').click()
    await expect.poll(() => page.getByRole('alert').textContent()).toMatch(/^tag|name/i)
    await tag.fill('before')
    await button('Tag it').click()
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(/, first, tag before$/)
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

  test('adds at most 60 KiB, and brings no part of the core along', async () => {
    const bundle = await rolldown({ input: join(root, 'dist/inspector.js'), cwd: root, external: [/tools\.js$/] })
    const { output } = await bundle.generate({ format: 'esm', minify: true })
    await bundle.close()
    const size = output.reduce((sum, part) => sum + (part.type === 'chunk' ? gzipSync(part.code).length : 0), 0)
    expect(size).toBeLessThan(60 * 1024)
    const code = readFileSync(join(root, 'dist/inspector.js'), 'utf8')
    expect(code.match(/^import .*/gm)).toBeNull()
  })
})

/** Runs `inspect --web` until the test has ended. */
async function served(folder: string, ...args: string[]): Promise<string> {
  const ending = new AbortController()
  let printed = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      printed += chunk.toString()
      done()
    },
  })
  const world = { stdout: stream, stderr: stream, cwd: folder, signal: ending.signal }
  const ended = run(['inspect', folder, '--web', '--json', ...args], world)
  onTestFinished(async () => {
    ending.abort()
    expect(await ended).toBe(0)
  })
  await expect.poll(() => printed).toMatch(/\n$/)
  return (JSON.parse(printed) as { address: string }).address
}

const upper: Codec<string> = {
  id: 'upper',
  encode: (value) => new TextEncoder().encode(value.toUpperCase()),
  decode: (bytes) => new TextDecoder().decode(bytes),
}

/** A store whose owner goes on while it is looked at. */
async function owned(): Promise<[folder: string, store: Store, first: number]> {
  const folder = temporaryFolder()
  const store = await openStore({ storage: nodeFs(folder), name: 'orders', partitions: 2 })
  onTestFinished(() => store.close())
  const { version } = await store.set('a', { n: 1 })
  await store.table('names', { codec: upper }).set('x', 'ada')
  await store.set('a', { n: 2 })
  return [folder, store, version]
}

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

function ask(
  address: string,
  { method = 'GET', headers = {}, body = '' }: Asked = {},
): Promise<[number, string, string]> {
  return new Promise((resolve, reject) => {
    const sent = request(address, { method, headers }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString()))
      response.on('end', () =>
        resolve([response.statusCode!, text, String(response.headers['content-security-policy'])]),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

describe('inspect --web', () => {
  test('shows a store beside its owner, whatever its codecs, and follows it', async () => {
    const [folder, store] = await owned()
    const address = await served(folder)
    const page = await newPage()
    const { troubles, requests } = listenTo(page)
    await page.goto(address)
    const { slider, table, rows, button } = inspectorOn(page)
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(`Version ${store.version}, `)
    expect(await button('Restore this version').isVisible()).toBe(false)
    await expectAccessible(page)
    await slider.press('Home')
    await expect.poll(() => rows('Differences')).toEqual([['"a"', '{n: 1}', '{n: 2}']])
    await store.set('a', { n: 3 })
    await expect.poll(() => rows('Differences')).toEqual([['"a"', '{n: 1}', '{n: 3}']])
    await table.fill('names')
    await table.press('Tab')
    await expect.poll(() => rows('Entries')).toEqual([['"x"', 'none', 'bytes(3) 41 44 41']])
    expect(troubles).toEqual([])
    expect(requests.filter((url) => !url.startsWith(address) && !url.endsWith('/favicon.ico'))).toEqual([])
  })

  test('answers only at its address, under a name of this machine, and to its own page', async () => {
    const [folder] = await owned()
    const address = await served(folder)
    const { origin, host } = new URL(address)
    const call = { method: 'POST', headers: { origin, 'content-type': 'application/json' }, body: '[]' }
    const [status, html, policy] = await ask(address)
    expect([status, html]).toEqual([200, expect.stringContaining('<tidemark-inspector')])
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; connect-src 'self'; /)
    expect((await ask(`${address}api/facts`, call))[0]).toBe(200)

    const refused: [string, Asked?][] = [
      [`${origin}/`],
      [`${origin}/${'x'.repeat(32)}/`],
      [address, { headers: { host: `evil.example:${new URL(address).port}` } }],
      [`${address}api/facts`, { ...call, headers: { ...call.headers, origin: 'http://evil.example' } }],
      [`${address}api/facts`, { ...call, headers: { origin, 'content-type': 'text/plain' } }],
      [`${address}api/facts`, { ...call, headers: { 'content-type': 'application/json' } }],
    ]
    for (const [url, asked] of refused) expect([url, (await ask(url, asked))[0]]).toEqual([url, 403])
    expect(host).toMatch(/^127\.0\.0\.1:\d+$/)
    for (const path of ['cli.js', '../package.json', 'api/nothing', '%2e%2e/package.json']) {
      expect([path, (await ask(`${origin}/${new URL(address).pathname.split('/')[1]}/${path}`))[0]]).toEqual([
        path,
        expect.toBeOneOf([403, 404]),
      ])
    }
  })

  test.each([
    [['--write'], '--write and --port are for --web'],
    [['--web', '--at', '2'], '--at is not for --web: the page shows every version'],
    [['--web', '--port', '70000'], 'Port 70000 cannot be used'],
  ])('refuses what makes no sense: %j', async (args, message) => {
    const [folder] = await owned()
    const { code, out, err } = await cli(['inspect', folder, ...args])
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(message)
  })

  test('writes nothing unless it is told that it may', async () => {
    const [folder, store, first] = await owned()
    await store.close()
    const call = (address: string, name: string, given: unknown[]): Promise<[number, string, string]> => {
      const headers = { origin: new URL(address).origin, 'content-type': 'application/json' }
      return ask(`${address}api/${name}`, { method: 'POST', headers, body: JSON.stringify(given) })
    }
    const reading = await served(folder)
    for (const name of ['restore', 'tag', 'watch', 'constructor']) {
      expect([name, (await call(reading, name, [1]))[0]]).toEqual([name, 400])
    }
    const writing = await served(folder, '--write')
    expect(await call(writing, 'tag', ['kept', first])).toEqual([200, '{"value":null}', expect.any(String)])
    expect((await call(writing, 'restore', [first]))[0]).toBe(200)
    const { version } = (JSON.parse((await call(writing, 'facts', []))[1]) as { value: { version: number } }).value
    const shown = await call(writing, 'rows', [{ table: '', prefix: '' }, [first, version]])
    expect(JSON.parse(shown[1])).toEqual({ value: { rows: [{ key: '"a"', before: '{n: 1}', after: '{n: 1}' }] } })
    const failed = await call(writing, 'restore', [99])
    expect([failed[0], failed[1]]).toEqual([400, expect.stringContaining('has no version 99')])
  })
})
