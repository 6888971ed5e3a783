/** The example worker in demo/edge, in real workerd. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWorker } from '../support/workerd.js'

describe('an edge function with a counter and sessions, in workerd', () => {
  let worker!: Miniflare
  beforeAll(async () => {
    worker = await startWorker('../../demo/edge/worker.js', {
      r2Buckets: ['BUCKET'],
    })
  })
  afterAll(() => worker.dispose())

  async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await worker.dispatchFetch(`http://edge/${path}`, {
      method,
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
  }

  test('requests at once on one isolate all finish, and each is counted', async () => {
    expect(await ask('GET', 'counter')).toEqual({ status: 200, body: { count: 0 } })
    const both = await Promise.all([ask('POST', 'counter'), ask('POST', 'counter')])
    expect(both.map(({ body }) => (body as { count: number }).count).toSorted((a, b) => a - b)).toEqual([1, 2])
    const eight = await Promise.all(Array.from({ length: 8 }, () => ask('POST', 'counter')))
    expect(eight.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect(await ask('GET', 'counter')).toEqual({ status: 200, body: { count: 10 } })
  })

  test('a session is found until it ends', async () => {
    const { status, body } = await ask('POST', 'sessions', { user: 'ada' })
    expect(status).toBe(201)
    const { id } = body as { id: string }
    expect(await ask('GET', `sessions/${id}`)).toEqual({ status: 200, body: { user: 'ada' } })
    const ended = (await ask('POST', 'sessions', { user: 'bob' })).body as { id: string }
    expect((await ask('DELETE', `sessions/${ended.id}`)).status).toBe(204)
    expect((await ask('GET', `sessions/${ended.id}`)).status).toBe(404)
  })

  test('a session that has expired is not found', async () => {
    const brief = await startWorker('../../demo/edge/worker.js', {
      r2Buckets: ['BUCKET'],
      bindings: { SESSION_MS: '1' },
    })
    try {
      const made = await brief.dispatchFetch('http://edge/sessions', { method: 'POST', body: '{}' })
      const { id } = (await made.json()) as { id: string }
      const found = async (): Promise<number> => (await brief.dispatchFetch(`http://edge/sessions/${id}`)).status
      await expect.poll(found).toBe(404)
    } finally {
      await brief.dispose()
    }
  })

  test('the cron trigger folds what requests have written, and memory stays within an isolate', async () => {
    const idle = memoryOfWorkerd()
    for (let i = 0; i < 30; i++) expect((await ask('POST', 'counter')).status).toBe(200)
    const target = (await worker.getWorker()) as unknown as { scheduled(options: { cron: string }): Promise<unknown> }
    const before = await objects()
    expect(await target.scheduled({ cron: '*/10 * * * *' })).toMatchObject({ outcome: 'ok' })
    const after = await objects()
    expect(after.filter((key) => key.includes('/counter/') && key.includes('/seg/')).length).toBeGreaterThan(0)
    expect(after.length).toBeGreaterThan(before.length)
    expect(await ask('GET', 'counter')).toEqual({ status: 200, body: { count: 40 } })
    const bodies = Array.from({ length: 60 }, (_, i) => ({ user: i, notes: 'x'.repeat(20_000) }))
    for (let i = 0; i < bodies.length; i += 6) {
      const made = await Promise.all(bodies.slice(i, i + 6).map((body) => ask('POST', 'sessions', body)))
      expect(made.map(({ status }) => status)).toEqual(made.map(() => 201))
    }
    // This counts the whole process, with the bucket's own server: an isolate takes less.
    const grown = memoryOfWorkerd() - idle
    console.log(`workerd grew by ${Math.round(grown / 2 ** 20)} MiB from ${Math.round(idle / 2 ** 20)} in 100 requests`)
    expect(grown).toBeLessThan(128 << 20)
  })

  async function objects(): Promise<string[]> {
    interface Page {
      readonly objects: readonly { readonly key: string }[]
      readonly truncated: boolean
      readonly cursor?: string
    }
    const bucket = (await worker.getR2Bucket('BUCKET')) as unknown as { list(options: object): Promise<Page> }
    const keys: string[] = []
    let cursor: string | undefined
    do {
      const page = await bucket.list(cursor === undefined ? {} : { cursor })
      keys.push(...page.objects.map(({ key }) => key))
      cursor = page.truncated ? page.cursor : undefined
    } while (cursor !== undefined)
    return keys
  }
})

/** Resident memory of the workerd that belongs to this process, in bytes. */
function memoryOfWorkerd(): number {
  const resident: number[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      if (!/^Name:\s+workerd/m.test(status) || !status.includes(`PPid:\t${process.pid}\n`)) continue
      resident.push(Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) * 1024)
    } catch {
      // It has ended meanwhile.
    }
  }
  return Math.max(...resident)
}
