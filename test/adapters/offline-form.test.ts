/** The form of demo/offline-form in a real Chromium that loses its network, and the S3 API of a local R2 that the reports come to. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { listStores } from 'tidemark/tools'
import { browsers } from '../support/chromium.js'
import { forAdapter } from '../support/counting.js'
import { bySdk, startMiniflare, type S3Place } from '../support/s3-clients.js'
import { temporaryFolder } from '../support/storages.js'

forAdapter('indexedDb')

const chromium = browsers()
const SERVER = join(import.meta.dirname, '../../demo/offline-form/server.mjs')

interface Server {
  readonly url: string
  end(): Promise<void>
}

async function start({ endpoint, bucket, accessKeyId, secretAccessKey }: S3Place, port = '0'): Promise<Server> {
  const child: ChildProcess = spawn(process.execPath, [SERVER, port], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      S3_BUCKET_URL: `${endpoint}/${bucket}`,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: 'auto',
    },
  })
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line.startsWith('listening on ')) return { url: line.slice('listening on '.length), end }
  }
  throw new Error('The server did not start.')
}

async function report(page: Page, place: string, fault: string): Promise<void> {
  await page.fill('[name=place]', place)
  await page.fill('[name=fault]', fault)
  await page.click('button')
  await page.waitForFunction(`document.querySelector('ul').textContent.includes('${fault}')`)
}

const shown = (page: Page): Promise<string[]> => page.locator('li').allTextContents()
const status = (page: Page): Promise<string | null> => page.locator('#status').textContent()

test('reports are kept without a network, over a reload too, and are in the bucket when it is back', async () => {
  const miniflare = await startMiniflare()
  const { place } = miniflare
  let server = await start(place)
  const running = await chromium.start(temporaryFolder())
  /** The reports that the bucket has, of each store there. */
  const arrived = async (): Promise<unknown[][]> => {
    const storage = bySdk(place, '')
    const stores = await listStores(storage)
    return Promise.all(
      stores.map(async ({ name }) => {
        const store = await openStore({ storage, name, mode: 'follower' })
        const found = await store.toArray({ prefix: ['report'] })
        await store.close()
        return found.map(([, value]) => value)
      }),
    )
  }
  try {
    const { context, page } = running
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(String(error)))
    await page.goto(server.url)
    await page.waitForFunction(`document.querySelector('#status').textContent === 'Reports: 0. All are sent.'`)
    await page.evaluate('navigator.serviceWorker.ready.then(() => undefined)')
    await report(page, 'Hall', 'lamp')
    await expect.poll(arrived).toEqual([[{ place: 'Hall', fault: 'lamp' }]])
    await expect.poll(() => status(page)).toBe('Reports: 1. All are sent.')

    await context.setOffline(true)
    await report(page, 'Yard', 'gate')
    await report(page, 'Roof', 'leak')
    expect(await status(page)).toBe('Reports: 3. They will be sent when the network is back.')
    expect(await arrived()).toEqual([[{ place: 'Hall', fault: 'lamp' }]])
    // The server is gone as well, so that nothing but what the browser keeps can answer.
    const { port } = new URL(server.url)
    await server.end()
    await page.reload()
    await expect.poll(() => shown(page)).toEqual(['Hall: lamp', 'Yard: gate', 'Roof: leak'])
    await report(page, 'Yard', 'fence')
    expect(await status(page)).toBe('Reports: 4. They will be sent when the network is back.')

    server = await start(place, port)
    await context.setOffline(false)
    const all = [
      { place: 'Hall', fault: 'lamp' },
      { place: 'Yard', fault: 'gate' },
      { place: 'Roof', fault: 'leak' },
      { place: 'Yard', fault: 'fence' },
    ]
    await expect.poll(arrived).toEqual([all])
    await expect.poll(() => status(page)).toBe('Reports: 4. All are sent.')

    // Another browser has a store of its own.
    const other = await chromium.start(temporaryFolder())
    try {
      await other.page.goto(server.url)
      await report(other.page, 'Cellar', 'pump')
      await expect
        .poll(async () => (await arrived()).toSorted((a, b) => b.length - a.length))
        .toEqual([all, [{ place: 'Cellar', fault: 'pump' }]])
    } finally {
      await other.kill()
    }
    expect(errors).toEqual([])
  } finally {
    await running.kill()
    await server.end()
    await miniflare.dispose()
  }
}, 180_000)
