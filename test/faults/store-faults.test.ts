import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Log, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { collect } from '../support/storages.js'
import { until } from '../support/until.js'

/** Faults that happened once, or nearly did: each in the smallest story that shows it. */

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...options })
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

/** A storage whose calls wait at a gate for as long as it is shut. */
function gated(
  inner: Storage,
  method: string,
): { storage: Storage; shut: () => void; release: () => void; waiting: () => number } {
  let release: (() => void)[] = []
  let isShut = false
  const wait = (): Promise<void> => (isShut ? new Promise((resolve) => release.push(resolve)) : Promise.resolve())
  const storage: Storage = {
    ...inner,
    blobs: { ...inner.blobs, put: async (...args) => (method === 'put' && (await wait()), inner.blobs.put(...args)) },
    log: (path, options): Log => {
      const log = inner.log(path, options)
      return { ...log, append: async (...args) => (method === 'append' && (await wait()), log.append(...args)) }
    },
  }
  return {
    storage,
    shut: () => (isShut = true),
    release: () => {
      isShut = false
      for (const go of release) go()
      release = []
    },
    waiting: () => release.length,
  }
}

const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await systemClock.pause()
}

describe('a store', () => {
  test('refuses a partition that is not given, and goes on', async () => {
    const storage = memory()
    const store = await open(storage, { partitions: 2 })
    expect(() => store.partition(undefined as never)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => store.partition(1n as never)).toThrow(code('INVALID_ARGUMENT'))
    await store.commit()
    await store.close()
    await (await open(storage)).close()
  })

  test('goes on folding when a checkpoint is asked for while a commit carries the fold before it', async () => {
    const put = gated(memory(), 'put')
    const append = gated(put.storage, 'append')
    const store = await open(append.storage, { checkpoint: { entries: 16 } })
    put.shut()
    for (let i = 0; i < 14; i++) {
      store.put(i, i)
      await store.commit({ label: `${i}` })
    }
    // The part that folds is loaded with the first fold.
    await until(() => put.waiting() === 1)
    expect(put.waiting()).toBe(1)
    put.release()
    await turns()
    append.shut()
    store.put('x', 1)
    const commit = store.commit()
    await turns()
    const checkpoint = store.checkpoint()
    await turns()
    append.release()
    await commit
    await checkpoint
    for (let i = 0; i < 100; i++) {
      store.put(i, i)
      await store.commit()
    }
    expect(store.metrics().tail).toBeLessThanOrEqual(16)
    expect(store.metrics().folds).toBeGreaterThan(5)
    await store.close()
  })

  test('appends nothing after an unknown outcome, by checkpoint() neither', async () => {
    let unknown = false
    const inner = memory()
    const storage = faulty(inner, ({ method }) => (unknown && method === 'append' ? 'unknown-before' : undefined))
    const put = gated(storage, 'put')
    const store = await open(put.storage, { timeoutMs: 20 })
    store.put('a', 1)
    await store.commit()
    put.shut()
    const checkpoint = store.checkpoint().catch((error: unknown) => error)
    await turns()
    unknown = true
    store.put('a', 2)
    await expect(store.commit()).rejects.toThrow(code('UNKNOWN_OUTCOME'))
    unknown = false
    put.release()
    expect(await checkpoint).toMatchObject({ code: 'UNKNOWN_OUTCOME' })
    await expect(store.commit()).rejects.toThrow(code('UNKNOWN_OUTCOME'))
    await store.reopen()
    expect(await store.get('a')).toBe(1)
    await store.close()
  })

  test('opened with expectAtLeast does not reopen on what was made anew meanwhile', async () => {
    const storage = memory()
    const store = await open(storage)
    for (let i = 0; i < 5; i++) {
      store.put('a', i)
      await store.commit()
    }
    const { version } = store
    await store.close()
    const kept = await open(storage, { expectAtLeast: version })
    await destroyStore({ storage, name: 's' })
    const other = await open(storage)
    other.put('b', 1)
    await other.commit()
    await expect(kept.reopen()).rejects.toThrow(code('ROLLED_BACK'))
    expect(await other.get('b')).toBe(1)
    await other.close()
    await kept.close()
  })

  test('closed while it reopens owns nothing afterwards', async () => {
    const storage = memory()
    const store = await open(storage)
    const reopening = store.reopen()
    await store.close()
    await reopening
    const other = await open(storage)
    await other.commit()
    await turns()
    await other.commit()
    await other.close()
  })

  test('takes no commit while it reopens, and folds a large one when a checkpoint is asked for', async () => {
    const store = await open(memory())
    store.put('a', 'x'.repeat(3 << 20))
    await store.commit()
    expect(store.metrics().segments.live).toBe(0)
    await store.checkpoint()
    expect(store.metrics().segments.live).toBe(1)
    const reopening = store.reopen()
    expect(() => store.put('b', 1)).toThrow(code('CLOSED'))
    await reopening
    store.put('b', 1)
    await store.commit()
    expect(await store.has('b')).toBe(true)
    await store.close()
  })

  test('reads back the largest values from the largest blocks', async () => {
    const store = await open(memory(), {
      blockBytes: 1 << 20,
      deflateLevel: 0,
      codec: { id: 'raw', encode: (v) => v as Uint8Array, decode: (b) => b },
    })
    store.put('a', new Uint8Array((1 << 20) - 20))
    store.put('b', new Uint8Array(64 << 20).fill(7))
    await store.commit()
    await store.checkpoint()
    const b = (await store.get('b')) as Uint8Array
    expect([b.length, b[0], b.at(-1)]).toEqual([64 << 20, 7, 7])
    store.put('c', new Uint8Array((64 << 20) + 1))
    await expect(store.commit()).rejects.toThrow(code('INVALID_ARGUMENT'))
    await store.close()
  })

  test('counts a time to live from the put, committed or not', async () => {
    let now = 1_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const store = await open(memory(), { clock })
    store.put('a', 1, { ttlMs: 1000 })
    store.put('b', 1, { ttlMs: 9000 })
    now += 5000
    expect([await store.get('a'), await store.get('b')]).toEqual([undefined, 1])
    await store.commit()
    expect([await store.get('a'), await store.get('b')]).toEqual([undefined, 1])
    now += 4001
    expect(await store.get('b')).toBeUndefined()
    await store.close()
  })

  test('is opened by a follower although its anchor is gone', async () => {
    const storage = memory()
    const store = await open(storage)
    store.put('a', 1)
    await store.commit()
    await store.close()
    await storage.anchor('s/0/anchor').remove()
    const follower = await open(storage, { mode: 'follower' })
    expect(await follower.get('a')).toBe(1)
    await follower.close()
  })

  test('is not made anew over the segments of one that lost its log and its anchor', async () => {
    const storage = memory()
    const store = await open(storage)
    store.put('a', 1)
    await store.commit()
    await store.checkpoint()
    await store.close()
    await storage.anchor('s/0/anchor').remove()
    const { paths } = await storage.logs('s/')
    for (const path of paths) await storage.log(path).destroy()
    await expect(open(storage)).rejects.toThrow(code('CORRUPT'))
  })

  test('tells a missing entry from one that never was', async () => {
    const storage = memory()
    const store = await open(storage)
    for (let i = 0; i < 5; i++) await store.commit()
    const { paths } = await storage.logs('s/')
    await storage.log(paths[0]!).remove([3])
    await expect(collect(store.versions())).rejects.toThrow(code('CORRUPT'))
    await store.close()
    expect(() => store.versions()).toThrow(code('CLOSED'))
  })

  test('never takes values of one codec for those of another that came meanwhile', async () => {
    const plusOne = {
      id: 'plus-one',
      encode: (v: unknown) => new TextEncoder().encode(String((v as number) + 1)),
      decode: (b: Uint8Array) => Number(new TextDecoder().decode(b)) - 1,
    }
    const storage = memory()
    const writer = await open(storage)
    const follower = await open(storage, { mode: 'follower' })
    // The table as it was asked for at first is refused as well as the newest.
    const users = follower.table('users')
    const short = follower.table('users', { ttlMs: 1000 })
    writer.table('users', { codec: plusOne }).put('a', 41)
    await writer.commit()
    await follower.refresh()
    for (const table of [users, short]) await expect(table.get('a')).rejects.toThrow(code('INVALID_ARGUMENT'))
    expect(await follower.table('users', { codec: plusOne }).get('a')).toBe(41)
    // Nor is anything written with another one, by a writer that comes back.
    const first = await open(storage, { name: 't' })
    const json = first.table('users')
    const second = await open(storage, { name: 't' })
    second.table('users', { codec: plusOne }).put('a', 41)
    await second.commit()
    await first.reopen()
    expect(() => json.put('b', 1)).toThrow(code('INVALID_ARGUMENT'))
    first.table('users', { codec: plusOne }).put('b', 1)
    await first.commit()
    await Promise.all([writer.close(), follower.close(), first.close(), second.close()])
  })

  test('that an aborted opening would have taken over stays with its owner', async () => {
    const storage = memory()
    const owner = await open(storage)
    const controller = new AbortController()
    const opening = open(storage, { signal: controller.signal })
    controller.abort()
    await expect(opening).rejects.toThrow(code('ABORTED'))
    await turns()
    await owner.commit()
    await owner.close()
  })

  test('is not hurt by a logger or a listener that throws', async () => {
    const logger = {
      warn: () => {
        throw new Error('from the logger')
      },
    }
    const store = await open(memory(), { logger })
    for (const event of ['warning', 'version', 'checkpoint'] as const) {
      store.on(event, () => {
        throw new Error('from a listener')
      })
    }
    store.put('a', 1)
    await store.commit()
    await store.checkpoint()
    store.put('a', 2)
    await store.close()
  })

  test('answers odd arguments with INVALID_ARGUMENT, and misspelt options too', async () => {
    const store = await open(memory())
    const odd = undefined as never
    const none = null as never
    const calls: (() => unknown)[] = [
      () => store.put('a', 1, { ttl: 5 } as never),
      () => store.put('a', 1, { ttlMs: 1n as never }),
      () => store.put('a', 1, none),
      () => store.put(odd, 1),
      () => store.delete(odd),
      () => store.get(odd),
      () => store.getSync(odd),
      () => store.getMany(none),
      () => store.getMany('abc' as never),
      () => store.has({} as never),
      () => store.batch(none),
      () => store.batch([none]),
      () => store.batch([{ type: 1n, key: 'a' } as never]),
      () => store.entries(none),
      () => store.entries({ limit: 1n as never }),
      () => store.entries({ limit: -1 }),
      () => store.entries({ form: 'a' } as never),
      () => store.entries({ prefix: 5 }),
      () => store.entries({ prefix: null }),
      () => store.entries({ prefix: true }),
      () => store.entries({ prefix: new Date() }),
      () => store.entries({ gt: Number.NaN }),
      () => store.deleteRange(none),
      () => store.deleteRange({}),
      () => store.deleteRange({ gt: undefined }),
      () => store.table(5 as never),
      () => store.table('\ud800'),
      () => store.table('x'.repeat(256)),
      () => store.table('t', none),
      () => store.table('t', { tll: 5 } as never),
      () => store.table('t', { codec: none }),
      () => store.table('t', { schema: none }),
      () => store.commit(none),
      () => store.commit({ offset: { a: 1 } } as never),
      () => store.commit({ offsets: [5] as never }),
      () => store.commit({ offsets: { a: new Date() as never } }),
      () => store.commit({ offsets: { a: '\ud800' } }),
      () => store.commit({ label: 5 as never }),
      () => store.commit({ meta: 1n }),
      () => collect(store.versions(none)),
      () => collect(store.versions({ limt: 1 } as never)),
      () => store.on('nothing' as never, () => undefined),
      () => store.on('version', none),
      () => open(none),
      () => openStore(none),
      () => open(memory(), { clock: {} as never }),
      () => open(memory(), { signal: {} as never }),
      () => open(memory(), { checkpoint: { entires: 5 } as never }),
      () => open(memory(), { partitions: 4n as never }),
      () => open(memory(), { mode: 1n as never }),
      () => open(memory(), { name: 1n as never }),
      () => open(memory(), { followMs: 2 ** 40 }),
    ]
    for (const call of calls) {
      const outcome = await Promise.resolve()
        .then(call)
        .catch((error: unknown) => error)
      expect(outcome, String(call)).toMatchObject({ code: 'INVALID_ARGUMENT', name: 'TidemarkError' })
    }
    expect(await collect(store.keys())).toEqual([])
    await store.close()
  })

  test('takes a schema at its word: what it returns is stored, what it refuses is not', async () => {
    const schema = (validate: (value: unknown) => unknown): never =>
      ({ '~standard': { version: 1, vendor: 'test', validate } }) as never
    const store = await open(memory())
    const upper = store.table<string, string>('upper', {
      schema: schema((value) => ({ value: String(value).toUpperCase() })),
    })
    upper.put('a', 'abc')
    expect(await upper.get('a')).toBe('ABC')
    const failing: unknown[] = [
      () => ({ issues: [{ message: 'too short' }] }),
      () => Promise.resolve({ value: 1 }),
      () => undefined,
      () => {
        throw new Error('x')
      },
    ]
    for (const [i, validate] of failing.entries()) {
      const table = store.table(`t${i}`, { schema: schema(validate as never) })
      expect(() => table.put('a', 1)).toThrow(code('INVALID_ARGUMENT'))
      expect(await table.get('a')).toBeUndefined()
    }
    await store.close()
  })
})
