/** First programs of strangers, made from the packed package: a plain page, a job on a server, a worker on R2, a unit test. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Miniflare } from 'miniflare'
import type { Page } from 'playwright-core'
import { rolldown } from 'rolldown'
import { describe, expect, test } from 'vitest'
import { blocksOf } from '../support/blocks.js'
import { browsers } from '../support/chromium.js'
import { edge, job, unitTest } from '../support/start-apps.js'
import { stranger } from '../support/stranger.js'
import { temporaryFolder } from '../support/storages.js'

const home = stranger()
const chromium = browsers('--host-resolver-rules=MAP notes.test 127.0.0.1')

const recipe = (language: string): string =>
  blocksOf('docs/recipes.md').find((block) => block.language === language)!.code
const typecheck = (app: string): Promise<string> => home.node('node_modules/typescript/bin/tsc', ['-p', app])

describe('a plain page without a bundler, as docs/recipes.md has it', () => {
  const page = recipe('html')

  /** Adds a note in one tab, and gives it a star in the other one; where `host` is this machine, and where it is not. */
  async function useTabs(
    html: string,
    host: string,
    use: (first: Page, second: Page) => Promise<void>,
  ): Promise<string[]> {
    home.write({ 'index.html': html })
    const troubles: string[] = []
    const running = await chromium.start(temporaryFolder())
    try {
      const tabs = [running.page, await running.context.newPage()] as const
      for (const tab of tabs) {
        tab.on('pageerror', (error) => troubles.push(String(error)))
        tab.on('console', (message) => troubles.push(message.text()))
        await tab.goto(`${home.url.replace('127.0.0.1', host)}/index.html`)
      }
      await use(...tabs)
    } finally {
      await running.kill()
    }
    return troubles
  }

  test.each(['127.0.0.1', 'notes.test'])('shows in both tabs what either writes, on %s', async (host) => {
    const troubles = await useTabs(page, host, async (first, second) => {
      await first.getByLabel('Note').fill('Buy milk')
      await first.getByRole('button', { name: 'Add' }).click()
      await second.getByText('Buy milk 0').click()
      await first.getByText('Buy milk 1').waitFor()
      await first.reload()
      await first.getByText('Buy milk 1').waitFor()
    })
    expect(troubles).toEqual([])
  })

  test('says which module an import map lacks', async () => {
    const lacking = page.replace(/,\s*"fflate".*\n.*@noble.*\n/, '\n')
    const told = (tab: Page): Promise<Error> => tab.waitForEvent('pageerror')
    const troubles = await useTabs(lacking, 'notes.test', async (first) => {
      const error = told(first)
      await first.reload()
      expect((await error).message).toMatch(/could not be loaded \(.*"(fflate|@noble\/hashes\/sha2\.js)".*import map/)
    })
    expect(troubles.length).toBeGreaterThan(0)
  })
})

describe('a job on a server', () => {
  const click = (i: number): string => `${JSON.stringify({ user: `u-${i % 97}`, ms: i % 10 })}\n`

  test('that is killed goes on, as a program and as a thread', async () => {
    home.write({ ...job, 'job/clicks.ndjson': Array.from({ length: 10_000 }, (_, i) => click(i)).join('') })
    expect(await typecheck('job')).toBe('')

    const child = spawn(process.execPath, ['job/out/worker.js', './job/totals'], {
      cwd: home.folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'committed 3') child.kill('SIGKILL')
    }
    if (child.signalCode === null && child.exitCode === null) await once(child, 'exit')
    expect(child.signalCode).toBe('SIGKILL')

    const last = async (): Promise<string> => {
      const said = await home.node('job/out/worker.js', ['./job/totals'])
      return said.trimEnd().split('\n').at(-1)!
    }
    const [, now] = /^(\d+) now, 10000 in all$/.exec(await last())!
    expect(Number(now)).toBeLessThanOrEqual(8_500)
    appendFileSync(join(home.folder, 'job/clicks.ndjson'), click(10_000))
    expect(await last()).toBe('1 now, 10001 in all')
    expect(await last()).toBe('0 now, 10001 in all')

    const [, rest] = /^(\d+) now, 10001 in all\n$/.exec(await home.node('job/out/threads.js', []))!
    expect(Number(rest)).toBeLessThanOrEqual(8_501)
  })
})

describe('a worker on R2', () => {
  test('counts each of many requests at once', async () => {
    home.write(edge)
    expect(await typecheck('edge')).toBe('')
    const build = await rolldown({
      input: join(home.folder, 'edge/worker.ts'),
      platform: 'browser',
      transform: { target: 'es2022' },
    })
    const { output } = await build.generate({ format: 'esm', codeSplitting: false })
    await build.close()
    const worker = new Miniflare({
      modules: true,
      script: output[0].code,
      compatibilityDate: '2026-01-01',
      r2Buckets: ['BUCKET'],
    })
    try {
      const ask = (path: string, options: { method?: string; body?: string } = {}) =>
        worker.dispatchFetch(`http://edge/${path}`, { redirect: 'manual', ...options })
      expect((await ask('home', { method: 'PUT', body: 'http://home.test/' })).status).toBe(201)
      const visits = await Promise.all(Array.from({ length: 8 }, () => ask('home')))
      expect(visits.map(({ status }) => status)).toEqual(visits.map(() => 302))
      expect((await ask('nowhere')).status).toBe(404)
      expect(await (await ask('')).json()).toEqual([['home', { url: 'http://home.test/', hits: 8 }]])
    } finally {
      await worker.dispose()
    }
  })
})

describe('a unit test over memory(), as docs/recipes.md has it', () => {
  test('passes, in types as well', async () => {
    home.write(unitTest(recipe('ts')))
    expect(await typecheck('unit-test')).toBe('')
    const args = ['run', '--config', 'unit-test/vitest.config.ts', '--reporter', 'json']
    const output = await home.node('node_modules/vitest/vitest.mjs', args)
    const json = JSON.parse(/^\{.*\}$/m.exec(output)![0]) as { numPassedTests: number; numTotalTests: number }
    expect([json.numPassedTests, json.numTotalTests]).toEqual([3, 3])
    expect(output.replace(/^\{.*\}$/m, '').trim()).toBe('')
  })
})
