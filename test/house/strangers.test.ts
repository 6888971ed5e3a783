/** Web apps of strangers: made from the packed package, built by Vite, run in Chromium; and a unit test of one in jsdom. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { browsers, type Running } from '../support/chromium.js'
import { counter, page, server, single, unit, worker } from '../support/stranger-apps.js'
import { stranger } from '../support/stranger.js'
import { temporaryFolder } from '../support/storages.js'

const VITE = 'node_modules/vite/bin/vite.js'

const home = stranger()
const chromium = browsers()

const vite = (app: string, ...args: string[]): Promise<string> => home.node(VITE, ['build', app, ...args])
const text = (path: string): string => readFileSync(join(home.folder, path), 'utf8')

/** Opens a page, and keeps what its console says. Only errors and warnings matter. */
async function visit(run: (page: Page, running: Running) => Promise<void>): Promise<string[]> {
  const troubles: string[] = []
  const running = await chromium.start(temporaryFolder())
  try {
    running.page.on('pageerror', (error) => troubles.push(String(error)))
    running.page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) troubles.push(message.text())
    })
    await run(running.page, running)
  } finally {
    await running.kill()
  }
  return troubles
}

/** Clicks until there are two stars, reloads, and adds a third one. */
async function useNotes(tab: Page): Promise<void> {
  const star = tab.getByRole('button', { name: 'Star' })
  await star.click()
  await tab.getByText('Buy milk 1').waitFor()
  await star.click()
  await tab.getByText('Buy milk 2').waitFor()
  await tab.reload()
  await tab.getByText('Buy milk 2').waitFor()
  await star.click()
  await tab.getByText('3 stars, version').waitFor()
}

describe('a React app that Vite builds', () => {
  test('has types that resolve', async () => {
    home.write(page)
    const errors = await home.node('node_modules/typescript/bin/tsc', ['-p', 'page']).catch(String)
    const lines = errors.split('\n').filter((line) => line.includes('error TS'))
    // A number has no text: values have the type that they were said to have.
    expect(lines.map((line) => /^[^:]*/.exec(line)![0])).toEqual(['page/src/wrong.tsx(3,84)'])
  })

  test('has its notes after a reload, and holds nothing but the adapter that it uses', async () => {
    home.write(page)
    await vite('page')
    const troubles = await visit(async (tab) => {
      await tab.goto(`${home.url}/page/dist/index.html`)
      await useNotes(tab)
    })
    expect(troubles).toEqual([])

    const modules = JSON.parse(text('page/dist/modules.json')) as string[]
    const own = modules.flatMap((id) => /\/node_modules\/tidemark\/dist\/([^/?]+)\.js$/.exec(id)?.[1] ?? [])
    // The entries; what they share lies in chunks.
    expect(own.toSorted()).toEqual(['indexeddb', 'react'])
    const folder = join(home.folder, 'page/dist/assets')
    const code = readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n')
    // Words of the adapters: the one that is there, and the others.
    expect(code).toMatch(/indexedDB/)
    expect(code.match(/["'`]node:|NoSuchKey|aws-sdk|onlyIf/g)).toBeNull()
  })
})

describe('a React app that a server renders', () => {
  test('is taken over by the browser without a warning', async () => {
    home.write(server)
    const env = { NODE_ENV: 'development' }
    const build = (...args: string[]): Promise<string> =>
      home.node(VITE, ['build', 'server', '--mode', 'development', ...args], env)
    await build('--outDir', 'dist/client')
    await build('--outDir', 'dist/server', '--ssr', 'src/server.tsx')
    await home.node('server/render.mjs', [], env)
    expect(text('server/dist/client/index.html')).toContain(
      '<div id="root"><h1>Notes</h1><main><button disabled="">Star',
    )

    const troubles = await visit(async (tab) => {
      await tab.route('**/*.js', async (route) => {
        await tab.evaluate(`document.querySelector('h1').fromServer = true`)
        await route.continue()
      })
      await tab.goto(`${home.url}/server/dist/client/index.html`)
      await useNotes(tab)
      expect(await tab.evaluate(`document.querySelector('h1').fromServer`)).toBe(true)
    })
    expect(troubles).toEqual([])
  })
})

describe('a worker of a page', () => {
  test('keeps what it counts', async () => {
    home.write(counter)
    await vite('counter')
    const troubles = await visit(async (tab) => {
      await tab.goto(`${home.url}/counter/dist/index.html`)
      await tab.getByText('Visit 1').waitFor()
      await tab.reload()
      await tab.getByText('Visit 2').waitFor()
    })
    expect(troubles).toEqual([])
  })
})

describe('one file', () => {
  test('of a service worker opens a store, folds, and answers', async () => {
    home.write(worker)
    await vite('worker')
    expect(readdirSync(join(home.folder, 'worker/dist'))).toEqual(['sw.js'])
    const ask = `(async () => {
      await navigator.serviceWorker.register('./dist/sw.js', { type: 'module', scope: './dist/' })
      const registration = await navigator.serviceWorker.getRegistration('./dist/')
      const worker = registration.active ?? registration.waiting ?? registration.installing
      const answer = new Promise((resolve) =>
        navigator.serviceWorker.addEventListener('message', ({ data }) => resolve(data), { once: true }))
      navigator.serviceWorker.startMessages()
      worker.postMessage('visit')
      return answer
    })()`
    const troubles = await visit(async (tab) => {
      await tab.goto(`${home.url}/worker/index.html`)
      expect(await tab.evaluate(ask)).toEqual({ visits: 1, folds: 1 })
      await tab.reload()
      expect(await tab.evaluate(ask)).toEqual({ visits: 2, folds: 2 })
    })
    expect(troubles).toEqual([])
  })

  test('of a page needs no other, and no server', async () => {
    home.write(single)
    await vite('single')
    expect(readdirSync(join(home.folder, 'single/dist'))).toEqual(['index.html'])
    const troubles = await visit(async (tab) => {
      const requests: string[] = []
      tab.on('request', (request) => requests.push(request.url()))
      const { href } = pathToFileURL(join(home.folder, 'single/dist/index.html'))
      await tab.goto(href)
      await useNotes(tab)
      expect(requests).toEqual([href, href])
    })
    expect(troubles).toEqual([])
  })
})

describe('a unit test', () => {
  test('in jsdom and over fake-indexeddb passes, and says nothing else', async () => {
    home.write(unit)
    const output = await home.node('node_modules/vitest/vitest.mjs', ['run', '--reporter', 'json'])
    const json = JSON.parse(/^\{.*\}$/m.exec(output)![0]) as { numPassedTests: number; numTotalTests: number }
    expect([json.numPassedTests, json.numTotalTests]).toEqual([3, 3])
    expect(output.replace(/^\{.*\}$/m, '').trim()).toBe('')
  })
})
