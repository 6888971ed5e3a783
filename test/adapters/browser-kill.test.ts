/** Chromium, killed with all of its processes in the middle of commits to IndexedDB, on the built package. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, extname, join } from 'node:path'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extent } from '../support/extent.js'
import { temporaryFolder } from '../support/storages.js'

const KILLS = extent(30, 8)
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

let origin = ''
let executable = ''
let flags: string[] = []

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url!, 'http://localhost')
  let file = join(root, pathname)
  if (!existsSync(file) && existsSync(`${file}.js`)) file = `${file}.js`
  if (!file.startsWith(root) || !existsSync(file)) {
    response.writeHead(404).end()
    return
  }
  const type = extname(file) === '.html' ? 'text/html' : 'text/javascript'
  response.writeHead(200, { 'content-type': type })
  createReadStream(file).pipe(response)
})

beforeAll(async () => {
  execFileSync(process.execPath, [join(root, '.ci/setup.mjs'), '--build'], { stdio: 'inherit' })
  const printed = execFileSync(process.execPath, [join(root, '.ci/chromium.mjs')]).toString()
  ;({ executable, flags } = JSON.parse(printed) as { executable: string; flags: string[] })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}, 180_000)

afterAll(() => new Promise((resolve) => server.close(resolve)))

interface Running {
  readonly child: ChildProcess
  readonly browser: Browser
  readonly page: Page
}

/** In a process group of its own, so that one signal reaches the browser and all of its children at once. */
async function start(profile: string): Promise<Running> {
  const args = [...flags, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank']
  const child = spawn(executable, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const address = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found) resolve(found[1]!)
    })
    child.on('exit', () => reject(new Error(`Chromium ended: ${text}`)))
  })
  const browser = await chromium.connectOverCDP(address)
  const [context] = browser.contexts()
  return { child, browser, page: context!.pages()[0] ?? (await context!.newPage()) }
}

async function kill({ child, browser }: Running): Promise<void> {
  const ended = once(child, 'exit')
  process.kill(-child.pid!, 'SIGKILL')
  await ended
  await browser.close().catch(() => {})
  expect(child.signalCode).toBe('SIGKILL')
}

test(`Chromium that is killed ${KILLS} times loses no commit that a page was told of, and leaves no hole`, async () => {
  let seed = 20_26
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
  const profile = temporaryFolder()
  const acknowledged = new Map<number, number>()
  let last = 0
  for (let k = 0; k < KILLS; k++) {
    const running = await start(profile)
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
      await running.page.goto(`${origin}/test/support/browser-page.html#commit`)
      await begun
      await new Promise((resolve) => setTimeout(resolve, random() * 300))
    } finally {
      await kill(running)
    }
  }
  const running = await start(profile)
  try {
    await running.page.exposeFunction('report', () => {})
    await running.page.goto(`${origin}/test/support/browser-page.html`)
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
    await kill(running)
  }
}, 180_000)
