/** Sessions of Express and Hono on a store, over requests as browsers send them. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import session, { type SessionData } from 'express-session'
import { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { expressStore, honoSession, type HonoSessionVariables, type SessionOptions } from 'tidemark/session'

declare module 'express-session' {
  interface SessionData {
    visits: number
    name: string
  }
}

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function opened(): Promise<Store> {
  const store = await openStore({ storage: memory(), name: 'web' })
  ends.push(() => store.close())
  return store
}

const cookieOf = (response: Response): string | undefined => response.headers.get('Set-Cookie')?.split(';')[0]
const visitor =
  (fetch: (path: string, init?: RequestInit) => Response | Promise<Response>) =>
  async (path: string, cookie?: string): Promise<[text: string, cookie: string | undefined]> => {
    const response = await fetch(path, cookie ? { headers: { Cookie: cookie } } : {})
    return [await response.text(), cookieOf(response)]
  }

describe('a store of express-session', () => {
  type Calls = ReturnType<typeof expressStore<session.Store>>
  /** A call with a callback, as a promise. */
  const call = <T>(run: (callback: (error?: unknown, result?: T) => void) => void): Promise<T | undefined> =>
    new Promise((resolve, reject) => run((error, result) => (error ? reject(error as Error) : resolve(result))))
  const get = (store: Calls, id: string): Promise<SessionData | undefined> =>
    call((done) => store.get(id, done as never))
  const set = (store: Calls, id: string, data: object): Promise<unknown> =>
    call((done) => store.set(id, { cookie: {}, ...data } as never, done))

  async function serve(store: session.Store, cookie: session.CookieOptions = {}): Promise<ReturnType<typeof visitor>> {
    const app: Express = express()
    app.use(session({ store, secret: 'x', resave: false, saveUninitialized: false, cookie }))
    app.get('/visit', (req, res) => void res.send(String((req.session.visits = (req.session.visits ?? 0) + 1))))
    app.get('/peek', (req, res) => void res.send(String(req.session.visits)))
    app.get('/leave', (req, res) => req.session.destroy(() => res.send('left')))
    app.get('/renew', (req, res) => req.session.regenerate(() => res.send(String((req.session.visits = 100)))))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    ends.push(() => new Promise((resolve) => server.close(resolve)))
    const { port } = server.address() as AddressInfo
    return visitor((path, init) => fetch(`http://127.0.0.1:${port}${path}`, { ...init, keepalive: false }))
  }

  test('keeps sessions over requests, and over a start of the server', async () => {
    const storage = memory()
    const first = expressStore(session, { storage, name: 'web' })
    const visit = await serve(first)
    const [text, cookie] = await visit('/visit')
    expect(text).toBe('1')
    expect((await visit('/visit', cookie))[0]).toBe('2')
    expect((await visit('/peek'))[0]).toBe('undefined')
    await first.close()
    const again = expressStore(session, { storage, name: 'web' })
    ends.push(() => again.close())
    const visitAgain = await serve(again)
    expect((await visitAgain('/visit', cookie))[0]).toBe('3')
    const [hundred, renewed] = await visitAgain('/renew', cookie)
    expect(hundred).toBe('100')
    expect((await visitAgain('/peek', cookie))[0]).toBe('undefined')
    expect((await visitAgain('/visit', renewed))[0]).toBe('101')
    await visitAgain('/leave', renewed)
    expect((await visitAgain('/peek', renewed))[0]).toBe('undefined')
    expect(await call((done) => again.length(done))).toBe(0)
  })

  test('lets a session live as long as its cookie, and on when it is read', async () => {
    const backing = await opened()
    const table = backing.table<string>('sessions')
    const visit = await serve(expressStore(session, backing), { maxAge: 60_000 })
    const [, cookie] = await visit('/visit')
    const id = (await table.first())![0]
    expect(await table.ttl(id)).toBeLessThanOrEqual(60_000)
    await table.touch(id, { ttlMs: 1000 })
    const before = await table.get(id)
    expect((await visit('/peek', cookie))[0]).toBe('1')
    expect(await table.ttl(id)).toBeGreaterThan(1000)
    expect(await table.get(id)).toEqual(before)
  })

  test('takes the time to live from the cookie, else from its options', async () => {
    const backing = await opened()
    const table = backing.table<string>('mine')
    const store = expressStore(session, backing, { table: 'mine', ttlMs: 5000 })
    await set(store, 'plain', {})
    await set(store, 'date', { cookie: { expires: new Date(Date.now() + 90_000) } })
    await set(store, 'text', { cookie: { expires: new Date(Date.now() + 90_000).toISOString() } })
    await set(store, 'age', { cookie: { maxAge: 70_000 } })
    await set(store, 'over', {})
    await set(store, 'over', { cookie: { expires: new Date(Date.now() - 1) } })
    const ttls = await Promise.all(['plain', 'date', 'text', 'age'].map((id) => table.ttl(id)))
    expect(ttls.map((ttl) => Math.ceil(ttl! / 10_000))).toEqual([1, 9, 9, 7])
    expect(await get(store, 'over')).toBeUndefined()
    await call((done) => store.touch('age', { cookie: { maxAge: 900_000 } } as never, done))
    expect(await table.ttl('age')).toBeGreaterThan(70_000)
    await call((done) => store.touch('nobody', { cookie: { maxAge: 900_000 } } as never, done))
    await call((done) => store.touch('age', { cookie: { maxAge: -1 } } as never, done))
    expect(await call((done) => store.length(done))).toBe(3)
  })

  test('keeps a session for ever whose cookie says so, and for its own time where the cookie says nonsense', async () => {
    const backing = await opened()
    const table = backing.table<string>('sessions')
    const store = expressStore(session, backing, { ttlMs: 5000 })
    const ttlOf = async (cookie: object): Promise<number | undefined> => {
      await set(store, 's', { cookie })
      expect(await get(store, 's')).toBeDefined()
      const ttl = await table.ttl('s')
      await table.touch('s', { ttlMs: 1000 })
      await call((done) => store.touch('s', { cookie } as never, done))
      expect((await table.ttl('s')) === undefined).toBe(ttl === undefined)
      return ttl
    }
    expect(await ttlOf({ maxAge: Infinity })).toBeUndefined()
    expect(await ttlOf({ expires: new Date(8.64e15) })).toBeUndefined()
    for (const cookie of [{ expires: new Date(Number.NaN) }, { expires: 'soon' }, { maxAge: Number.NaN }]) {
      expect(await ttlOf(cookie)).toBeLessThanOrEqual(5000)
    }
    for (const cookie of [{ maxAge: -Infinity }, { expires: new Date(0) }]) {
      await set(store, 's', { cookie })
      expect(await get(store, 's')).toBeUndefined()
    }
  })

  test('calls back with the error of a session that is not JSON', async () => {
    const store = expressStore(session, await opened())
    const errors: unknown[] = []
    const data = { cookie: {}, n: 1n } as never
    store.set('a', data, (error) => errors.push(error))
    store.set('a', data)
    await expect.poll(() => errors.length).toBe(1)
    expect(errors[0]).toMatchObject({ code: 'INVALID_ARGUMENT', cause: expect.any(TypeError) as unknown })
    expect(await call((done) => store.length(done))).toBe(0)
  })

  test('gives each reader a session of its own', async () => {
    const store = expressStore(session, await opened())
    await set(store, 'a', { name: 'Ada', at: new Date(0) })
    const read = (await get(store, 'a'))!
    read.name = 'Eve'
    expect(await get(store, 'a')).toEqual({ cookie: {}, name: 'Ada', at: '1970-01-01T00:00:00.000Z' })
    expect(await get(store, 'nobody')).toBeUndefined()
  })

  test('saves many sessions at once, and the last save of one counts', async () => {
    const store = expressStore(session, await opened())
    await Promise.all(Array.from({ length: 200 }, (_, i) => set(store, `s${i % 20}`, { visits: i })))
    const all = (await call((done) => store.all(done as never))) as unknown as (SessionData & { id: string })[]
    expect(Object.fromEntries(all.map(({ id, visits }) => [id, visits]))).toEqual(
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`s${i}`, 180 + i])),
    )
    await call((done) => store.destroy('s3', done))
    expect(await call((done) => store.length(done))).toBe(19)
    await call((done) => store.clear(done))
    expect(await call((done) => store.length(done))).toBe(0)
  })

  test('finds what another process has saved this moment, and nothing that one has ended', async () => {
    const options = { storage: memory(), name: 'web', mode: 'shared' } as const
    const [a, b] = [expressStore(session, options), expressStore(session, options)]
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      await set(one, 's', { name: 'Ada' })
      expect(await get(other, 's')).toMatchObject({ name: 'Ada' })
      expect(await call((done) => other.length(done))).toBe(1)
      await call((done) => one.destroy('s', done))
      expect(await get(other, 's')).toBeUndefined()
    }
    await Promise.all([a.close(), b.close()])
  })

  test('tells of errors by the callback, and calls none where there is none', async () => {
    const backing = await opened()
    const store = expressStore(session, backing)
    store.set('a', { cookie: {} } as never)
    store.destroy('a')
    await set(store, 'b', {})
    await backing.close()
    await expect(get(store, 'b')).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(set(store, 'b', {})).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => expressStore(session, {} as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('a middleware of Hono', () => {
  function app(
    store: Store,
    options?: SessionOptions & { secure?: boolean; domain?: string },
  ): ReturnType<typeof serve> {
    return serve(store, options)
  }
  function serve(store: Store, options: object = {}) {
    const hono = new Hono<{ Variables: HonoSessionVariables }>()
    hono.use(honoSession(store, options))
    hono.get('/set/:field/:value', (c) => {
      c.get('session').set(c.req.param('field'), c.req.param('value'))
      return c.text('set')
    })
    hono.get('/get/:field', (c) => c.text(String(c.get('session').get(c.req.param('field')))))
    hono.get('/date', (c) => {
      const at = c.get('session').get<Date>('at')
      c.get('session').set('at', new Date(5))
      return c.text(String(at?.getTime()))
    })
    hono.get('/unset/:field', (c) => {
      c.get('session').set(c.req.param('field'), undefined)
      return c.text('unset')
    })
    hono.get('/renew', (c) => {
      c.get('session').regenerate()
      return c.text('renewed')
    })
    hono.get('/leave', (c) => {
      c.get('session').destroy()
      return c.text(String(c.get('session').get('a')))
    })
    const gates: (() => void)[] = []
    hono.get('/slow/:field', async (c) => {
      const current = c.get('session')
      await new Promise<void>((resolve) => gates.push(resolve))
      current.set(c.req.param('field'), 'slow')
      return c.text('slow')
    })
    hono.get('/fails', (c) => {
      c.get('session').set('bad', () => 1)
      return c.text('fine')
    })
    return { visit: visitor((path, init) => hono.request(path, init)), hono, gates }
  }

  test('keeps what is set, any value, and gives no cookie before', async () => {
    const { visit } = app(await opened())
    expect(await visit('/get/a')).toEqual(['undefined', undefined])
    const [, cookie] = await visit('/set/a/1')
    expect(cookie).toMatch(/^sid=[0-9a-f]{48}$/)
    expect(await visit('/get/a', cookie)).toEqual(['1', undefined])
    expect(await visit('/get/toString', cookie)).toEqual(['undefined', undefined])
    expect((await visit('/date', cookie))[0]).toBe('undefined')
    expect((await visit('/date', `other=1; ${cookie}`))[0]).toBe('5')
    await visit('/unset/a', cookie)
    expect((await visit('/get/a', cookie))[0]).toBe('undefined')
    expect((await visit('/date', cookie))[0]).toBe('5')
  })

  test('sets cookies that scripts and other sites do not get', async () => {
    const store = await opened()
    const { hono } = app(store, { ttlMs: 60_000 })
    const header = async (url: string, from = hono): Promise<string> =>
      (await from.request(url)).headers.get('Set-Cookie')!
    expect((await header('https://a.example/set/a/1')).replace(/=[0-9a-f]+/, '=…')).toBe(
      'sid=…; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax',
    )
    expect(await header('http://a.example/set/a/1')).not.toContain('Secure')
    const other = app(store, { secure: true, domain: 'a.example' }).hono
    expect(await header('http://a.example/set/a/1', other)).toMatch(/; Domain=a\.example; Secure; /)
  })

  test('takes no id over that it has not given out, and gives another one on demand', async () => {
    const store = await opened()
    const { visit } = app(store)
    const [, cookie] = await visit('/set/a/1', 'sid=chosen')
    expect(cookie).not.toBe('sid=chosen')
    const [, renewed] = await visit('/renew', cookie)
    expect(renewed).not.toBe(cookie)
    expect((await visit('/get/a', cookie))[0]).toBe('undefined')
    expect((await visit('/get/a', renewed))[0]).toBe('1')
    expect(await store.table('sessions').count()).toBe(1)
    expect(await visit('/leave', renewed)).toEqual(['undefined', 'sid='])
    expect((await visit('/get/a', renewed))[0]).toBe('undefined')
    expect(await store.table('sessions').count()).toBe(0)
  })

  test('keeps both fields that two requests set at once, and brings back none that ended meanwhile', async () => {
    const store = await opened()
    const { visit, gates } = app(store)
    const [, cookie] = await visit('/set/a/1')
    const slow = [visit('/slow/x', cookie), visit('/slow/y', cookie)]
    await expect.poll(() => gates.length).toBe(2)
    await visit('/set/z/fast', cookie)
    for (const open of gates.splice(0)) open()
    await Promise.all(slow)
    const fields = await Promise.all(['a', 'x', 'y', 'z'].map((field) => visit(`/get/${field}`, cookie)))
    expect(fields.map(([text]) => text)).toEqual(['1', 'slow', 'slow', 'fast'])
    const late = visit('/slow/x', cookie)
    await expect.poll(() => gates.length).toBe(1)
    await visit('/leave', cookie)
    gates[0]!()
    await late
    expect(await store.table('sessions').count()).toBe(0)
  })

  test('lets a session that is read live on, with one write in half of its time', async () => {
    const store = await opened()
    const table = store.table<string>('sessions')
    const { visit } = app(store, { ttlMs: 100_000 })
    const [, cookie] = await visit('/set/a/1')
    const id = cookie!.slice('sid='.length)
    const { version } = store
    expect(await visit('/get/a', cookie)).toEqual(['1', undefined])
    expect(store.version).toBe(version)
    await table.touch(id, { ttlMs: 30_000 })
    expect(await visit('/get/a', cookie)).toEqual(['1', cookie])
    expect(await table.ttl(id)).toBeGreaterThan(30_000)
  })

  test('opens a store of its own, and closes it', async () => {
    const storage = memory()
    const middleware = honoSession({ storage, name: 'web' })
    const hono = new Hono<{ Variables: HonoSessionVariables }>()
    hono.use(middleware)
    hono.get('/', (c) => {
      c.get('session').set('a', 1)
      return c.text(c.get('session').id)
    })
    const id = await (await hono.request('/')).text()
    await middleware.close()
    const store = await openStore({ storage, name: 'web' })
    expect(await store.table('sessions').get(id)).toEqual({ a: 1 })
    await store.close()
  })

  test('fails a request whose session cannot be kept', async () => {
    const { hono } = app(await opened())
    hono.onError((error, c) => c.text((error as { code?: string }).code ?? 'none', 500))
    const response = await hono.request('/fails')
    expect([response.status, await response.text()]).toEqual([500, 'INVALID_ARGUMENT'])
  })
})
