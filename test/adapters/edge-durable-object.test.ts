/** The example in demo/edge that has its state in a Durable Object, in real workerd. */
import type { Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { forAdapter } from '../support/counting.js'
import { temporaryFolder } from '../support/storages.js'
import { startWorker } from '../support/workerd.js'

forAdapter('durableObject')

const start = (options: object = {}): Promise<Miniflare> =>
  startWorker('../../demo/edge/durable-object.js', {
    durableObjects: { SITE: { className: 'Site', useSQLite: true } },
    ...options,
  })

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly cookie: string | undefined
}

async function ask(worker: Miniflare, method: string, path: string, cookie = '', host = 'a.example'): Promise<Answer> {
  const response = await worker.dispatchFetch(`http://${host}/${path}`, { method, headers: { cookie } })
  const text = await response.text()
  const given = response.headers.get('set-cookie')?.split(';')[0]
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text), cookie: given }
}

let worker!: Miniflare
beforeAll(async () => {
  worker = await start()
})
afterAll(() => worker.dispose())

test('requests at once are each counted, and each host has a counter of its own', async () => {
  expect((await ask(worker, 'GET', 'counter')).body).toEqual({ count: 0 })
  const ten = await Promise.all(Array.from({ length: 10 }, () => ask(worker, 'POST', 'counter')))
  const counts = ten.map(({ body }) => (body as { count: number }).count)
  expect(counts.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect((await ask(worker, 'GET', 'counter', '', 'b.example')).body).toEqual({ count: 0 })
})

test('a visitor is known by his session until it ends', async () => {
  const first = await ask(worker, 'GET', 'visits')
  expect(first.body).toEqual({ visits: 1 })
  expect((await ask(worker, 'GET', 'visits', first.cookie)).body).toEqual({ visits: 2 })
  expect((await ask(worker, 'GET', 'visits')).body).toEqual({ visits: 1 })
  expect((await ask(worker, 'POST', 'sign-out', first.cookie)).status).toBe(204)
  expect((await ask(worker, 'GET', 'visits', first.cookie)).body).toEqual({ visits: 1 })
})

test('sessions and the counter outlive the object, and a session that has expired is gone', async () => {
  const durableObjectsPersist = temporaryFolder()
  const before = await start({ durableObjectsPersist })
  await ask(before, 'POST', 'counter')
  const { cookie } = await ask(before, 'GET', 'visits')
  await before.dispose()
  const after = await start({ durableObjectsPersist, bindings: { SESSION_MS: '1' } })
  try {
    expect((await ask(after, 'POST', 'counter')).body).toEqual({ count: 2 })
    expect((await ask(after, 'GET', 'visits', cookie)).body).toEqual({ visits: 2 })
    // It was saved again, for a millisecond.
    await expect.poll(async () => (await ask(after, 'GET', 'visits', cookie)).body).toEqual({ visits: 1 })
  } finally {
    await after.dispose()
  }
})
