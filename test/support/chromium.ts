/** Chromium as its users run it, with pages on the built package, for tests that need more than one page or end its life. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface Running {
  readonly context: BrowserContext
  /** The first page. */
  readonly page: Page
  /** Kills the browser with all of its processes. */
  kill(): Promise<void>
}

export interface Browsers {
  /** Where this folder's pages are served. */
  readonly pages: string
  start(profile: string): Promise<Running>
}

/** One browser for all tests of a file. */
export interface SharedBrowser {
  /** Where this folder's pages are served. */
  readonly pages: string
  /** A page that is closed after the test. */
  newPage(): Promise<Page>
}

export function sharedBrowser(): SharedBrowser {
  const chromium = browsers()
  let running: Running
  let profile = ''
  beforeAll(async () => {
    profile = mkdtempSync(join(tmpdir(), 'tidemark-browser-'))
    running = await chromium.start(profile)
  }, 180_000)
  afterAll(async () => {
    await running.kill()
    rmSync(profile, { recursive: true, force: true })
  })
  return {
    get pages() {
      return chromium.pages
    },
    async newPage() {
      const page = await running.context.newPage()
      onTestFinished(() => page.close())
      return page
    },
  }
}

/** Serves the repository on loopback while the tests of a file run, and finds the browser. `more` are flags for it. */
export function browsers(...more: string[]): Browsers {
  let pages = ''
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
    const printed = execFileSync(process.execPath, [join(root, '.ci/browsers.mjs')]).toString()
    ;({ executable, flags } = JSON.parse(printed) as { executable: string; flags: string[] })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    pages = `http://127.0.0.1:${(server.address() as AddressInfo).port}/test/support`
  }, 180_000)
  afterAll(() => new Promise((resolve) => server.close(resolve)))

  return {
    get pages() {
      return pages
    },
    async start(profile) {
      // In a process group of its own, so that one signal reaches the browser and all of its children at once.
      const args = [...flags, ...more, `--user-data-dir=${profile}`, '--remote-debugging-port=0', 'about:blank']
      const child = spawn(executable, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
      const browser = await chromium.connectOverCDP(await addressOf(child))
      const context = browser.contexts()[0]!
      const page = context.pages()[0] ?? (await context.newPage())
      return { context, page, kill: () => kill(child, browser) }
    },
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const found = /DevTools listening on (ws:\S+)/.exec(text)
      if (found) resolve(found[1]!)
    })
    child.on('exit', () => reject(new Error(`Chromium ended: ${text}`)))
  })
}

async function kill(child: ChildProcess, browser: Browser): Promise<void> {
  const ended = once(child, 'exit')
  process.kill(-child.pid!, 'SIGKILL')
  await ended
  await browser.close().catch(() => {})
  expect(child.signalCode).toBe('SIGKILL')
}
