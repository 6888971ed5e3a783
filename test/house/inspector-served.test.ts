/** `inspect --web`: what it serves and to whom, for a folder and for a bucket, and the page of it in Chromium. */
import { request } from 'node:http'
import { networkInterfaces, tmpdir } from 'node:os'
import { Writable } from 'node:stream'
import { S3Client } from '@aws-sdk/client-s3'
import { openStore, type Codec, type Store } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { s3 } from 'tidemark/s3'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { run } from '../../src/cli/run.js'
import { sharedBrowser } from '../support/chromium.js'
import { cli } from '../support/cli.js'
import { resealed } from '../support/crafted.js'
import { expectAccessible, inspectorOn, listenTo } from '../support/inspector.js'
import { startS3Server, type S3Server } from '../support/s3-server.js'
import { temporaryFolder } from '../support/storages.js'

const chromium = sharedBrowser()

/** Runs `inspect --web` until the test has ended. */
function served(where: string, ...args: string[]): Promise<string> {
  return start(where, args, new AbortController())
}

async function start(where: string, args: readonly string[], ending: AbortController): Promise<string> {
  let printed = ''
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      printed += chunk.toString()
      done()
    },
  })
  const world = { stdout: stream, stderr: stream, cwd: tmpdir(), signal: ending.signal }
  const ended = run(['inspect', where, '--web', '--json', ...args], world)
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

/** A store in a bucket, with one fold and one commit after that, and keys of the bucket in the environment. */
async function inBucket(): Promise<[server: S3Server, store: Store<string, number>, first: number]> {
  const server = await startS3Server()
  onTestFinished(() => server.close())
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKID')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
  onTestFinished(() => void vi.unstubAllEnvs())
  const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true })
  const storage = s3({ client, bucket: 'bucket', prefix: 'state' })
  const store = await openStore<string, number>({ storage, name: 'orders', mode: 'shared' })
  onTestFinished(() => store.close())
  const { version } = await store.set('a', 1)
  await store.checkpoint()
  await store.set('a', 2)
  return [server, store, version]
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
    const { hostname, port } = new URL(address)
    // The path goes out as it stands: a URL would take its dots away.
    const path = address.slice(new URL(address).origin.length)
    const sent = request({ hostname, port, path, method, headers }, (response) => {
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
    const page = await chromium.newPage()
    const { troubles, requests } = listenTo(page)
    await page.goto(address)
    const { slider, table, rows, button } = inspectorOn(page)
    await expect.poll(() => slider.getAttribute('aria-valuetext')).toMatch(`Version ${store.version}, `)
    expect(await button('Restore this version').isVisible()).toBe(false)
    await expectAccessible(page)
    await slider.press('Home')
    await expect.poll(() => rows('Differences')).toEqual([['"a"', '{"n":1}', '{"n":2}']])
    await store.set('a', { n: 3 })
    await expect.poll(() => rows('Differences')).toEqual([['"a"', '{"n":1}', '{"n":3}']])
    await table.selectOption('names')
    await expect.poll(() => rows('Entries')).toEqual([['"x"', 'none', '<3 bytes 414441>']])
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
    const outside = ['cli.js', '../package.json', 'chunks/../../package.json', 'chunks/..%2f..%2fpackage.json']
    const others = [
      '%2e%2e/package.json',
      'chunks/%2e%2e/cli.js',
      'chunks/core.js/../../cli.js',
      'api/nothing',
      'inspector.js/',
    ]
    for (const path of [...outside, ...others]) {
      expect([path, (await ask(address + path))[0]]).toEqual([path, 404])
    }
    // What it has of the package is the element and what that imports.
    expect((await ask(`${address}inspector.js`))[0]).toBe(200)
    expect((await ask(`${address}chunks/nothing.js`))[0]).toBe(404)
    expect((await ask(`${address}api/facts`, { ...call, body: 'no JSON' }))[0]).toBe(400)
    expect((await ask(`${address}api/facts`, { ...call, body: `["${'x'.repeat(1 << 17)}"]` }))[0]).toBe(400)
    expect((await ask(`${address}api/facts`, { ...call, method: 'PUT' }))[0]).toBe(405)
  })

  test('is not to be reached from another machine, nor from the page of another site', async () => {
    const [folder] = await owned()
    const address = await served(folder)
    const { port } = new URL(address)
    const others = Object.values(networkInterfaces())
      .flat()
      .filter((each) => each?.internal === false)
    for (const other of others) {
      const host = other!.family === 'IPv6' ? `[${other!.address}]` : other!.address
      await expect(ask(`http://${host}:${port}/`)).rejects.toThrow()
    }
    // Even a page that knows the address, such as one of an extension, can neither read, frame nor run it.
    const page = await chromium.newPage()
    await page.goto(`${chromium.pages}/browser-page.html`)
    const tried = await page.evaluate(`Promise.all([
      fetch('${address}').then(() => 'read', () => 'refused'),
      fetch('${address}api/facts', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[]' }).then(() => 'read', () => 'refused'),
      fetch('${address}api/facts', { method: 'POST', mode: 'no-cors', body: '[]' }).then(() => 'sent', () => 'refused'),
      new Promise((told) => { const events = new EventSource('${address}api/events'); events.onopen = () => told('read'); events.onerror = () => told('refused') }),
      import('${address}inspector.js').then(() => 'run', () => 'refused'),
    ])`)
    // What is only sent is answered by 403, as its type shows.
    expect(tried).toEqual(['refused', 'refused', expect.toBeOneOf(['sent', 'refused']), 'refused', 'refused'])
  })

  test.each([[[]], [['--write']]])('shows a store in a bucket, and with --write changes it: %j', async (args) => {
    const [server, store, first] = await inBucket()
    const before = server.objects.size
    const address = await served('s3://bucket/state', '--endpoint', server.url, ...args)
    const page = await chromium.newPage()
    const { troubles } = listenTo(page)
    await page.goto(address)
    const { slider, rows, button, parts } = inspectorOn(page)
    await slider.press('Home')
    await expect.poll(() => rows('Differences')).toEqual([['"a"', '1', '2']])
    await expect.poll(async () => (await parts())[2]).toMatch(/^Segments 1 segment in 1 run, /)
    await store.set('a', 3)
    if (args.length === 0) {
      await expect.poll(() => rows('Differences')).toEqual([['"a"', '1', '3']])
      // One object more: the entry of that.
      expect(server.objects.size).toBe(before + 1)
    } else {
      await button('Restore this version').click()
      await page.getByText(`Version ${first} is back, as a new version.`).waitFor()
      expect(await store.get('a', { fresh: true })).toBe(1)
    }
    expect(troubles).toEqual([])
  })

  test('says so when the server of the page has ended', async () => {
    const [folder] = await owned()
    const ending = new AbortController()
    const address = await start(folder, [], ending)
    const page = await chromium.newPage()
    await page.goto(address)
    await expect.poll(() => inspectorOn(page).rows('Entries')).toHaveLength(1)
    ending.abort()
    await page.getByText('The server of this page does not answer.').first().waitFor()
  })

  test('tells of a damaged entry that another writer has added, and goes on showing what is there', async () => {
    const [server, store] = await inBucket()
    const address = await served('s3://bucket/state', '--endpoint', server.url)
    const page = await chromium.newPage()
    await page.goto(address)
    const { rows } = inspectorOn(page)
    await expect.poll(() => rows('Entries')).toEqual([['"a"', '2', '2']])
    await store.close()
    const entries = [...server.objects.keys()].filter((name) => /\/log\/\d+$/.test(name)).sort()
    const last = entries.at(-1)!
    const next = last.replace(/\d+$/, (n) => String(Number(n) + 1).padStart(n.length, '0'))
    server.objects.set(next, { ...server.objects.get(last)!, bytes: Buffer.from('no entry') })
    await page.getByText(/Following store "orders" failed; it goes on\. Entry \d+ .*damaged/).waitFor()
    expect(await rows('Entries')).toEqual([['"a"', '2', '2']])
  })

  test.each([
    ['damaged', (bytes: Uint8Array) => bytes.fill(0, 4), 'CORRUPT'],
    [
      'of a format that is not known',
      (bytes: Uint8Array) => resealed(bytes, (head) => void (head[4] = 99)),
      'UNSUPPORTED_FORMAT',
    ],
  ])('refuses a store whose anchor is %s, and says what it met', async (_, change, code) => {
    const [server, store] = await inBucket()
    await store.close()
    const anchor = [...server.objects.keys()].find((name) => name.endsWith('anchor'))!
    const there = server.objects.get(anchor)!
    server.objects.set(anchor, { ...there, bytes: Buffer.from(change(new Uint8Array(there.bytes))) })
    const args = ['s3://bucket/state', '--web', '--store', 'orders', '--endpoint', server.url]
    const { code: exit, out, err } = await cli(['inspect', ...args])
    expect([exit, out]).toEqual([1, ''])
    expect(err).toContain(code)
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
    expect(JSON.parse(shown[1])).toEqual({
      value: { rows: [{ key: '"a"', before: '{"n":1}', after: '{"n":1}', differs: false }] },
    })
    const failed = await call(writing, 'restore', [99])
    expect([failed[0], failed[1]]).toEqual([400, expect.stringContaining('has no version 99')])
  })
})
