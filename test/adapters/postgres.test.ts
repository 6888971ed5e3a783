/** What is particular to PostgreSQL: costs, tables, rights, settings, errors, and what passes between handles. */
import { inspect } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { isTidemarkError, openStore, type Storage } from 'tidemark'
import { postgres, type PostgresClient } from 'tidemark/postgres'
import { forAdapter } from '../support/counting.js'
import { CountedSocket } from '../support/counted-socket.js'
import { PASSWORD, startPostgres, type PostgresServer } from '../support/postgres-server.js'
import { until } from '../support/until.js'

forAdapter('postgres')

let server: PostgresServer
let pool: pg.Pool
let runs = 0
beforeAll(async () => {
  server = await startPostgres()
  pool = server.pool()
})
afterAll(() => server.stop())

const bytes = new Uint8Array([1, 2, 3])
const freshPrefix = (): string => `t${runs++}_`
const fresh = (client: PostgresClient = pool): Storage => postgres(client, { prefix: freshPrefix() })
const withSettings = (...settings: string[]): pg.Pool =>
  server.pool({ options: settings.map((setting) => `-c ${setting}`).join(' ') })

describe('what it costs', () => {
  test('a commit is one statement and one round trip, the notification included', async () => {
    const sent = new Map<string, number>()
    const counted = server.pool({ stream: () => new CountedSocket(sent) })
    for (const mode of ['exclusive', 'shared'] as const) {
      const storage = fresh(counted)
      const store = await openStore<string, number>({ storage, name: 'counted', mode, checkpoint: { entries: 1000 } })
      await store.set('a', 0)
      await quiet(sent)
      const before = new Map(sent)
      for (let i = 1; i <= 20; i++) {
        store.put('a', i)
        await store.commit({ label: mode })
      }
      for (const kind of ['P', 'B', 'E', 'S', 'sends']) expect(sent.get(kind)! - before.get(kind)!, kind).toBe(20)
      expect(sent.get('Q') ?? 0).toBe(before.get('Q') ?? 0)
      await store.close()
    }
  })

  test('an idle store sends nothing', async () => {
    const sent = new Map<string, number>()
    const counted = server.pool({ stream: () => new CountedSocket(sent) })
    const store = await openStore({ storage: fresh(counted), name: 'idle', mode: 'shared' })
    await store.commit({ label: 'one' })
    await quiet(sent)
    const before = sent.get('sends')!
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(sent.get('sends')).toBe(before)
    await store.close()
  })

  /** What the opening has begun comes to its end. */
  async function quiet(sent: Map<string, number>): Promise<void> {
    let before: number | undefined
    await expect.poll(() => before === (before = sent.get('sends')), { interval: 500 }).toBe(true)
  }
})

describe('the tables', () => {
  test('are made by many at once, in a schema that is made as well', async () => {
    const pools = Array.from({ length: 8 }, () => server.pool({ max: 3 }))
    const storages = pools.flatMap((each) => [1, 2].map(() => postgres(each, { schema: 'made', prefix: 'many_' })))
    const outcomes = await Promise.all(storages.map((each) => each.log('a/0/id').append(1, bytes, 1)))
    expect(outcomes.filter(({ outcome }) => outcome === 'committed')).toHaveLength(1)
    const { rows } = await pool.query(`select tablename from pg_tables where schemaname = 'made' order by 1`)
    expect(rows.map(({ tablename }) => tablename)).toEqual(['many_anchors', 'many_blobs', 'many_log'])
  })

  test('are three, which several stores and logs share, and keep apart', async () => {
    const [a, b] = [fresh(), fresh()]
    await a.log('a/0/x').append(1, bytes, 1)
    await a.log('a-b/0/y').append(7, bytes, 7)
    await b.log('b/0/z').append(1, bytes, 1)
    expect((await a.logs('')).paths).toEqual(['a-b/0/y', 'a/0/x'])
    expect((await a.logs('a/')).paths).toEqual(['a/0/x'])
    expect((await b.logs('')).paths).toEqual(['b/0/z'])
  })

  test.each(['', 'A', 'a b', 'a"b', '1a', 'ä', 'a'.repeat(49), `a"; drop table x; --`, 7])(
    'have no name like %j',
    (name) => {
      expect(() => postgres(pool, { prefix: name as string })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
      expect(() => postgres(pool, { schema: name as string })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    },
  )

  test('of another program are refused', async () => {
    const prefix = freshPrefix()
    await pool.query(`create table ${prefix}log (other int)`)
    const storage = postgres(pool, { prefix })
    await expect(storage.log('a/0/id').append(1, bytes, 1)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('find what is asked for by their indexes', async () => {
    const prefix = freshPrefix()
    const storage = postgres(pool, { prefix })
    const log = storage.log('a/0/id')
    for (let n = 1; n <= 30; n++) await log.append(n, bytes, 1)
    await pool.query(
      `insert into ${prefix}log select 'b/0/' || i, n, '' from generate_series(1, 50) i, generate_series(1, 200) n`,
    )
    await pool.query(`analyze ${prefix}log`)
    const { rows } = await pool.query(
      `explain select path from ${prefix}log where path > 'a/0/id' and path < 'a~' order by path limit 1`,
    )
    expect(JSON.stringify(rows)).toContain('Index Only Scan')
    expect((await storage.logs('b/')).paths).toHaveLength(50)
  })
})

describe('the number up to which a log is trimmed', () => {
  test.each([
    ['is raised', true],
    ['is written first', false],
  ])('holds for an entry that was on its way while it %s', async (_, isThere) => {
    const prefix = freshPrefix()
    const storage = postgres(pool, { prefix })
    await storage.log('a/0/id').append(1, bytes, 1)
    const anchor = storage.anchor('a/0/anchor')
    const { token } = await anchor.read()
    if (isThere) await anchor.swap(token, bytes, 0)
    else await pool.query(`delete from ${prefix}anchors`)
    const other = await pool.connect()
    await other.query('begin')
    await other.query(
      isThere
        ? `update ${prefix}anchors set trim = 5`
        : `insert into ${prefix}anchors values ('a/0/anchor', 't', 5, 'x')`,
    )
    let outcome: string | undefined
    const appending = storage
      .log('a/0/id')
      .append(3, bytes, 1)
      .then((answer) => (outcome = answer.outcome))
    await blocked()
    expect(outcome).toBe(undefined)
    await other.query('commit')
    other.release()
    await appending
    expect(outcome).toBe('lost')
    expect((await storage.log('a/0/id').read(3)).bytes).toBe(undefined)
  })

  /** Resolves when a statement waits for a lock. */
  async function blocked(): Promise<void> {
    await expect
      .poll(async () => (await pool.query(`select 1 from pg_stat_activity where wait_event_type = 'Lock'`)).rows.length)
      .toBeGreaterThan(0)
  }
})

describe('settings', () => {
  test('a server that answers before a commit is durable is refused, also when the store is there already', async () => {
    const hasty = withSettings('synchronous_commit=off')
    const prefix = freshPrefix()
    const unsafe = { code: 'STORAGE_UNSAFE', message: expect.stringContaining('synchronous_commit') }
    await expect(openStore({ storage: postgres(hasty, { prefix }), name: 'a' })).rejects.toMatchObject(unsafe)
    const storage = postgres(pool, { prefix })
    await (await openStore({ storage, name: 'a' })).close()
    await expect(postgres(hasty, { prefix }).log('a/0/id').append(9, bytes, 1)).rejects.toMatchObject(unsafe)
    await expect(postgres(hasty, { prefix }).anchor('a/1/anchor').swap(undefined, bytes, 1)).rejects.toMatchObject(
      unsafe,
    )
    expect((await storage.log('a/0/id').read(9)).bytes).toBe(undefined)
    expect((await storage.anchor('a/1/anchor').read()).bytes).toBe(undefined)
  })

  test('where nothing can be written a store is read, and no store is made', async () => {
    const reader = withSettings('default_transaction_read_only=on')
    const prefix = freshPrefix()
    const nothing = await openStore({ storage: postgres(reader, { prefix }), name: 'a', mode: 'follower' }).catch(
      String,
    )
    expect(nothing).toContain('TidemarkError')
    await expect(openStore({ storage: postgres(reader, { prefix }), name: 'a' })).rejects.toMatchObject({
      code: 'STORAGE_UNSAFE',
    })
    const store = await openStore<string, number>({ storage: postgres(pool, { prefix }), name: 'a' })
    await store.set('a', 1)
    const storage = postgres(reader, { prefix })
    const follower = await openStore<string, number>({ storage, name: 'a', mode: 'follower' })
    expect(await follower.get('a')).toBe(1)
    await expect(storage.log('a/0/id').append(9, bytes, 1)).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      message: expect.stringContaining('primary'),
    })
    await follower.close()
    await store.close()
  })

  test('a stricter isolation of transactions loses nobody a commit', async () => {
    const strict = withSettings('default_transaction_isolation=serializable')
    const prefix = freshPrefix()
    const open = () => openStore<string, number>({ storage: postgres(strict, { prefix }), name: 'a', mode: 'shared' })
    const stores = await Promise.all([open(), open(), open()])
    await Promise.all(
      stores.map(async (store) => {
        for (let i = 0; i < 10; i++) await store.update('n', (n = 0) => n + 1)
      }),
    )
    await stores[0]!.refresh()
    expect(await stores[0]!.get('n')).toBe(30)
    for (const store of stores) await store.close()
  })

  test('types that the program has told pg to leave alone are read all the same', async () => {
    const raw = server.pool({ types: { getTypeParser: () => (text: string) => text } as never })
    const storage = fresh(raw)
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({
      outcome: 'committed',
      time: expect.any(Number),
    })
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({ outcome: 'lost' })
    expect((await storage.log('a/0/id').read(1)).bytes).toEqual(bytes)
    expect((await storage.log('a/0/id').list(1)).numbers).toEqual([1])
  })
})

describe('rights', () => {
  test('that are missing are named', async () => {
    const prefix = freshPrefix()
    await (await openStore({ storage: postgres(pool, { prefix }), name: 'a' })).close()
    await pool.query(`create role reader login password 'x'`)
    const reader = server.pool({ user: 'reader', password: 'x' })
    const denied = { code: 'STORAGE_UNAVAILABLE', retryable: false, message: expect.stringContaining('Grant') }
    const storage = postgres(reader, { prefix })
    await expect(storage.log('a/0/id').read(1)).rejects.toMatchObject(denied)
    await pool.query(`grant select on ${prefix}log, ${prefix}anchors, ${prefix}blobs to reader`)
    await (await openStore({ storage, name: 'a', mode: 'follower' })).close()
    await expect(storage.log('a/0/id').append(9, bytes, 1)).rejects.toMatchObject(denied)
    // Nobody may make tables in this schema.
    const other = postgres(reader, { prefix: freshPrefix() })
    await expect(other.log('a/0/id').append(1, bytes, 1)).rejects.toMatchObject(denied)
    expect((await other.log('a/0/id').read(1)).bytes).toBe(undefined)
  })
})

describe('errors', () => {
  const calls = (storage: Storage): (() => Promise<unknown>)[] => [
    () => storage.log('a/0/id').append(1, bytes, 1),
    () => storage.log('a/0/id').read(1),
    () => storage.blobs.put('a/0/id/seg/x', bytes),
    () => storage.anchor('a/0/anchor').swap(undefined, bytes, 1),
  ]

  test('a server that is not there, or lets nobody in: nothing was written', async () => {
    const pools = [
      server.pool({ host: '127.0.0.1', port: 1 }),
      server.pool({ password: 'wrong' }),
      server.pool({ database: 'nowhere' }),
    ]
    for (const each of pools) {
      for (const call of calls(fresh(each))) await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    }
  })

  test('a pool that lends no connection: nothing was written', async () => {
    const small = server.pool({ max: 1, connectionTimeoutMillis: 50 })
    const taken = await small.connect()
    for (const call of calls(fresh(small))) {
      await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
    }
    const patient = server.pool({ max: 1 })
    const held = await patient.connect()
    for (const call of [0, 1].map(
      (i) => (signal: AbortSignal) =>
        i === 0
          ? fresh(patient).log('a/0/id').append(1, bytes, 1, { signal })
          : fresh(patient).blobs.list('', { signal }),
    )) {
      const controller = new AbortController()
      const answer = call(controller.signal)
      controller.abort()
      await expect(answer).rejects.toMatchObject({ code: 'ABORTED' })
    }
    held.release()
    taken.release()
    // What came too late went back.
    expect((await patient.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await patient.end()
    for (const call of calls(fresh(patient)))
      await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
  })

  test('a statement that takes too long has changed nothing; one whose connection is lost, or whose caller has gone, may have', async () => {
    const prefix = freshPrefix()
    const storage = postgres(pool, { prefix })
    await storage.log('a/0/id').append(1, bytes, 1)
    const lock = await pool.connect()
    await lock.query('begin')
    await lock.query(`lock table ${prefix}log in access exclusive mode`)

    const hasty = postgres(withSettings('statement_timeout=50'), { prefix })
    const late = { code: 'STORAGE_UNAVAILABLE', message: expect.stringContaining('statement_timeout') }
    await expect(hasty.log('a/0/id').append(2, bytes, 1)).rejects.toMatchObject(late)

    const lost = storage.log('a/0/id').append(3, bytes, 1)
    await expect.poll(endBlocked).toBeGreaterThan(0)
    expect(await lost).toMatchObject({ outcome: 'unknown', settle: true, cause: { code: 'STORAGE_UNAVAILABLE' } })

    const controller = new AbortController()
    const left = storage.log('a/0/id').append(4, bytes, 1, { signal: controller.signal })
    const reading = storage.log('a/0/id').read(4, { signal: controller.signal })
    await expect.poll(async () => (await pool.query(BLOCKED)).rows.length).toBe(2)
    controller.abort()
    expect(await left).toMatchObject({ outcome: 'unknown', settle: true, cause: { code: 'ABORTED' } })
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED' })

    await lock.query('commit')
    lock.release()
    expect(await storage.log('a/0/id').append(3, bytes, 1)).toMatchObject({ outcome: 'committed' })
    expect((await storage.log('a/0/id').read(2)).bytes).toBe(undefined)
  })

  const BLOCKED = `select pid from pg_stat_activity where wait_event_type = 'Lock'`
  const endBlocked = async (): Promise<number> =>
    (await pool.query(`select pg_terminate_backend(pid) from (${BLOCKED}) b`)).rows.length

  test.each([
    ['53100', 'QUOTA', 'Free space'],
    ['53300', 'STORAGE_UNAVAILABLE', 'max_connections'],
    ['54000', 'INVALID_ARGUMENT', 'smaller segments'],
    ['42883', 'STORAGE_UNAVAILABLE', 'PostgreSQL 13'],
  ])('SQLSTATE %s is %s, and says what to do', async (state, code, advice) => {
    const refusing = { query: () => Promise.reject(Object.assign(new Error('refused'), { code: state })) }
    for (const call of calls(fresh(refusing))) {
      await expect(call()).rejects.toMatchObject({ code, message: expect.stringContaining(advice) })
    }
  })

  test.each(['57P01', 'ECONNRESET', 'EPIPE', 'XX000'])(
    'after %s a write is in doubt, and a read may be repeated',
    async (state) => {
      const [append, read, put, swap] = calls(
        fresh({ query: () => Promise.reject(Object.assign(new Error('gone'), { code: state })) }),
      )
      for (const call of [append!, swap!]) expect(await call()).toMatchObject({ outcome: 'unknown', settle: true })
      for (const call of [read!, put!]) {
        await expect(call()).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true })
      }
    },
  )

  test('anything but a client is refused', () => {
    for (const client of [undefined, {}, 'postgres://host/db']) {
      expect(() => postgres(client as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
  })
})

describe('credentials', () => {
  const encoded = encodeURIComponent(PASSWORD)
  test('reach no error and no log', async () => {
    const printed: unknown[] = []
    for (const name of ['log', 'warn', 'error', 'info', 'debug'] as const) {
      vi.spyOn(console, name).mockImplementation((...given) => void printed.push(given))
    }
    const host = `host=${server.config.host}`
    const strings = [
      `postgres://tests:${encoded}@127.0.0.1:1/db`,
      `postgres://nobody:${encoded}@/postgres?${host}`,
      `postgres://tests:${encoded}@/nowhere?${host}`,
      `postgres://tests:${encoded}@no.such.host.invalid/db`,
      // Not encoded, so that parts of it are taken for something else.
      `postgres://tests:${PASSWORD}@127.0.0.1:1/db`,
      `postgres://tests:${PASSWORD}@/postgres?${host}`,
    ]
    const shown: string[] = []
    for (const connectionString of strings) {
      const client = new pg.Pool({ connectionString, connectionTimeoutMillis: 5000 })
      const storage = postgres(client, { prefix: freshPrefix() })
      const ends = [
        await storage
          .log('a/0/id')
          .append(1, bytes, 1)
          .catch((error: unknown) => error),
        await storage.blobs.list('').catch((error: unknown) => error),
        await openStore({ storage, name: 'a' }).catch((error: unknown) => error),
      ]
      for (const end of ends) {
        expect(isTidemarkError(end), inspect(end)).toBe(true)
        shown.push(inspect(end, { depth: 20, showHidden: true }), JSON.stringify(end), String((end as Error).stack))
      }
      await client.end().catch(() => {})
    }
    const all = shown.join('\n') + inspect(printed, { depth: 20, showHidden: true })
    for (const secret of [PASSWORD, encoded, 'a-password-for-tests', 'everything']) expect(all).not.toContain(secret)
    vi.restoreAllMocks()
  })
})

describe('a Client', () => {
  const connected = async (): Promise<pg.Client> => {
    const client = new pg.Client(server.config)
    await client.connect()
    return client
  }

  test('serves one call after the other, and hears of others', async () => {
    const warned = vi.spyOn(process, 'emitWarning')
    const [one, two] = [await connected(), await connected()]
    const prefix = freshPrefix()
    const open = (client: pg.Client) =>
      openStore<string, number>({ storage: postgres(client, { prefix }), name: 'a', mode: 'shared' })
    const [a, b] = [await open(one), await open(two)]
    await Promise.all(Array.from({ length: 5 }, (_, i) => a.set(`k${i}`, i)))
    await until(() => b.version === a.version)
    expect(b.version).toBe(a.version)
    await a.close()
    await b.close()
    expect(warned.mock.calls.filter(([text]) => String(text).includes('query'))).toEqual([])
    await one.end()
    await two.end()
  })

  test('that is not connected, or has ended, says so; nothing was written', async () => {
    const client = new pg.Client(server.config)
    const storage = fresh(client)
    await expect(storage.log('a/0/id').append(1, bytes, 1)).rejects.toMatchObject({
      message: expect.stringContaining('not connected'),
    })
    await client.connect()
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({ outcome: 'committed' })
    await client.end()
    const ended = { code: 'STORAGE_UNAVAILABLE', retryable: false, message: expect.stringContaining('new Client') }
    await expect(storage.log('a/0/id').append(2, bytes, 1)).rejects.toMatchObject(ended)
  })

  test('in a transaction of the program is refused: nothing would be committed', async () => {
    const client = await connected()
    const storage = fresh(client)
    await client.query('begin')
    await expect(storage.log('a/0/id').append(1, bytes, 1)).rejects.toMatchObject({
      message: expect.stringContaining('transaction'),
    })
    await client.query('rollback')
    expect(await storage.log('a/0/id').append(1, bytes, 1)).toMatchObject({ outcome: 'committed' })
    await client.end()
  })
})

describe('other handles', () => {
  test('of another program wake without polling, followers and writers', async () => {
    const prefix = freshPrefix()
    const storage = (): Storage => postgres(server.pool(), { prefix })
    const a = await openStore<string, number>({ storage: storage(), name: 'a', mode: 'shared' })
    const b = await openStore<string, number>({ storage: storage(), name: 'a', mode: 'shared' })
    const follower = await openStore({ storage: storage(), name: 'a', mode: 'follower', followMs: 3_600_000 })
    for (const writer of [a, b]) {
      await writer.update('n', (n = 0) => n + 1)
      await until(() => [a, b, follower].every(({ version }) => version === writer.version))
      expect([a.version, b.version, follower.version]).toEqual(Array(3).fill(writer.version))
    }
    for (const store of [a, b, follower]) await store.close()
  })

  test('hear again after their connection was lost', async () => {
    const prefix = freshPrefix()
    const [one, two] = [server.pool(), server.pool()]
    const a = await openStore<string, number>({ storage: postgres(one, { prefix }), name: 'a', mode: 'shared' })
    const b = await openStore<string, number>({ storage: postgres(two, { prefix }), name: 'a', mode: 'shared' })
    await a.set('a', 1)
    await until(() => b.version === a.version)
    const listening = `select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'`
    expect((await pool.query(listening)).rows.length).toBeGreaterThanOrEqual(2)
    await a.set('a', 2)
    await until(() => b.version === a.version)
    expect(await b.get('a')).toBe(2)
    await a.close()
    await b.close()
  })

  test('fold one at a time', async () => {
    const prefix = freshPrefix()
    const [one, two] = [postgres(server.pool(), { prefix }), postgres(server.pool(), { prefix })]
    const channels = [one, two].map((each) => each.peers!.channel('a/0', () => {}))
    let release!: () => void
    const held = new Promise<void>((resolve) => (release = resolve))
    await expect
      .poll(async () => (await pool.query(`select 1 from pg_stat_activity where query like 'listen %'`)).rows.length)
      .toBeGreaterThanOrEqual(2)
    const first = one.peers!.alone('a/0/id/fold', () => held.then(() => 'first'))
    await expect
      .poll(async () => (await pool.query(`select 1 from pg_locks where locktype = 'advisory'`)).rows.length)
      .toBe(1)
    expect(await one.peers!.alone('a/0/id/fold', () => Promise.resolve('again'))).toBe(undefined)
    expect(await two.peers!.alone('a/0/id/fold', () => Promise.resolve('second'))).toBe(undefined)
    expect(await two.peers!.alone('b/0/id/fold', () => Promise.resolve('other'))).toBe('other')
    release()
    expect(await first).toBe('first')
    await expect.poll(() => two.peers!.alone('a/0/id/fold', () => Promise.resolve('second'))).toBe('second')
    for (const channel of channels) channel.close()
  })

  test('are not listened to with a pool of one connection, or when told so', async () => {
    const small = server.pool({ max: 1 })
    const store = await openStore<string, number>({ storage: fresh(small), name: 'a', mode: 'shared' })
    await store.set('a', 1)
    expect(await store.get('a')).toBe(1)
    await store.close()
    expect(postgres(small, { notify: false }).peers).toBe(undefined)
  })
})
