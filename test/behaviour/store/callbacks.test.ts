/**
 * Functions that a program hands over, and that fail: those that are only told hurt nobody, those whose answer matters fail
 * the call that asked. Neither ends the process by a promise that nobody hears.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openStore, retrying, type Codec, type OpenOptions, type StandardSchema, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Source } from 'tidemark/stream'
import { faulty } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { exportZip, importZip, pull, push } from 'tidemark/transfer'
import { systemClock } from '../../../src/clock.js'
import { hastyClock } from '../../support/history.js'

const failure = new Error('the network is down')
/** Ways in which a function fails. */
const WAYS: readonly [name: string, fail: () => unknown][] = [
  [
    'throws',
    () => {
      throw failure
    },
  ],
  ['rejects', () => Promise.reject(failure)],
  ['rejects later', () => systemClock.pause().then(() => Promise.reject(failure))],
  [
    'returns what throws when it is waited for',
    () => ({
      // oxlint-disable-next-line unicorn/no-thenable -- that is what is tried
      then() {
        throw failure
      },
    }),
  ],
]

const unheard: unknown[] = []
const hear = (reason: unknown): void => void unheard.push(reason)
beforeAll(() => void process.on('unhandledRejection', hear))
afterAll(() => void process.off('unhandledRejection', hear))

/** Long enough for a rejection that nobody hears to be told. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await systemClock.pause()
}

afterEach(async () => {
  await settled()
  expect(unheard.splice(0)).toEqual([])
})

const open = (options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage: memory(), name: 'a', logger: {}, checkpoint: { entries: 16 }, ...options })
const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error

async function commits(store: Store, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    store.put(i, 'x'.repeat(100))
    await store.commit()
  }
}

describe.each(WAYS)('a function that %s hurts nobody', (_, fail) => {
  test('as a listener of any event, and the logger hears of it', async () => {
    const told: unknown[] = []
    const storage = memory()
    const store = await open({ storage, logger: { warn: (message, cause) => told.push([message, cause]) } })
    for (const event of ['version', 'checkpoint', 'fenced', 'warning', 'repaired', 'collected'] as const)
      store.on(event, fail)
    await commits(store, 40)
    await (await open({ storage })).close()
    store.put('more', 1)
    await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    await store.close()
    await settled()
    for (const event of ['version', 'checkpoint', 'fenced', 'warning'])
      expect(told).toContainEqual([`A listener of "${event}" failed.`, failure])
  })

  test('as a listener of a watch, which goes on', async () => {
    const told: unknown[] = []
    const store = await open({ logger: { warn: (_message, cause) => told.push(cause) } })
    let calls = 0
    store.watch({}, () => (calls++, fail()))
    await commits(store, 3)
    await expect.poll(() => calls).toBe(3)
    await expect.poll(() => told).toEqual([failure, failure, failure])
    await store.close()
  })

  test('as a logger', async () => {
    const store = await open({ logger: { warn: fail } })
    store.put('dropped', 1)
    await store.close()
  })

  test('as onRetry', async () => {
    let fails = true
    const storage = faulty(memory(), ({ method }) => (fails && method === 'put' ? 'error-before' : undefined))
    const onRetry = (): unknown => ((fails = false), fail())
    const again = retrying(storage, { clock: hastyClock, onRetry })
    await again.blobs.put('x', new Uint8Array(1))
    expect(fails).toBe(false)
  })

  test('as onProgress of a transfer or a check', async () => {
    const here = { storage: memory(), name: 'a' }
    const there = { storage: memory(), name: 'a' }
    const store = await open({ storage: here.storage })
    await commits(store, 20)
    await store.close()
    let calls = 0
    const onProgress = (): unknown => (calls++, fail())
    expect(await push(here, there, { onProgress })).toMatchObject({ from: 21 })
    expect(await push(here, there, { onProgress })).toMatchObject({ copied: 0 })
    expect(await pull(here, there, { onProgress })).toMatchObject({ copied: 0 })
    await importZip(exportZip(here, { onProgress }), { storage: memory(), name: 'b' }, { onProgress })
    expect(await verify(here, { onProgress })).toMatchObject({ ok: true })
    expect(calls).toBeGreaterThan(6)
  })

  test('as onProgress of consume(), which tells of it', async () => {
    const told: unknown[] = []
    const store = await open()
    store.on('warning', ({ cause }) => told.push(cause))
    const source = fromIterable('s', [1, 2, 3])
    const run = consume(store, source, () => {}, { everyEvents: 1, onProgress: fail })
    expect(await run).toMatchObject({ events: 3, commits: 3 })
    await settled()
    expect(told).toEqual([failure, failure, failure])
  })
})

describe.each(WAYS)('a function that %s fails the call that asked it', (name, fail) => {
  test('as a handler, a sink or a source of consume()', async () => {
    const store = await open()
    const source = fromIterable('s', [1])
    await expect(consume(store, source, fail)).rejects.toBe(failure)
    const sink = { deliver: fail as () => void }
    await expect(consume(store, source, (_event, _state, emit) => emit(1), { sink })).rejects.toBe(failure)
    const read = (): Promise<unknown> =>
      consume(store, { name: 's', read: fail as Source['read'] }, () => {}) as Promise<unknown>
    if (name === 'throws') await expect(read()).rejects.toBe(failure)
    else await expect(read()).rejects.toMatchObject(refused)
    expect(store.offsets).toEqual({ s: { 0: 1 } })
    await store.close()
  })

  test('as a transaction', async () => {
    const store = await open()
    await expect(store.transaction(fail)).rejects.toBe(failure)
    await store.close()
  })

  test('as a codec, a schema, a key or a partition', async () => {
    const good = { id: 'bytes', encode: () => new Uint8Array(1), decode: () => 1 }
    const storage = memory()
    const writer = await open({ storage, codec: good as Codec<unknown> })
    await commits(writer, 1)
    await writer.close()
    const store = await open({ storage, codec: { ...good, encode: fail } as Codec<unknown> })
    store.put('k', 1)
    await expect(store.commit()).rejects.toMatchObject(refused)
    await store.close()
    const reader = await open({ storage, codec: { ...good, decode: fail } as Codec<unknown> })
    await expect(reader.get(0)).rejects.toMatchObject({ code: name === 'throws' ? 'CORRUPT' : 'INVALID_ARGUMENT' })
    await reader.close()

    const schema = { '~standard': { version: 1, vendor: 'x', validate: fail } } as unknown as StandardSchema<unknown>
    const checked = await open({ schema })
    expect(() => checked.put('k', 1)).toThrow(refused)
    for (const options of [{ key: fail }, { partition: fail, partitions: 1 }] as object[]) {
      const run = consume(checked, fromIterable('s', [1], options), () => {})
      if (name === 'throws') await expect(run).rejects.toBe(failure)
      else await expect(run).rejects.toMatchObject(refused)
    }
    await checked.close()
  })
})

describe('a listener may call the store', () => {
  test.each(['version', 'checkpoint', 'warning', 'fenced'] as const)('and close it at "%s"', async (event) => {
    const storage = memory()
    const store = await open({ storage })
    const closed = new Promise<void>((resolve) => store.on(event, () => void store.close().then(resolve)))
    await commits(store, 20).catch(() => undefined)
    if (event === 'warning') {
      store.put('dropped', 1)
      void store.close()
    }
    if (event === 'fenced') {
      await (await open({ storage })).close()
      store.put('late', 1)
      await expect(store.commit()).rejects.toMatchObject({ code: 'FENCED' })
    }
    await closed
    await expect(store.get('k')).rejects.toMatchObject({ code: 'CLOSED' })
    const again = await open({ storage })
    expect(await again.get(0)).toBeDefined()
    await again.close()
  })

  test('and close it from a watch, or from onProgress of consume()', async () => {
    const watched = await open()
    const closed = new Promise<void>((resolve) => watched.watch({}, () => watched.close().then(resolve)))
    await commits(watched, 1)
    await closed
    const store = await open()
    const run = consume(store, fromIterable('s', [1, 2]), () => {}, { everyEvents: 1, onProgress: () => store.close() })
    await expect(run).rejects.toMatchObject({ code: 'CLOSED' })
  })

  test('and commit, or listen again, at each version', async () => {
    const store = await open()
    let versions = 0
    const again = (): void => {
      versions++
      if (versions < 5) store.put('at', versions)
      if (versions < 5) void store.commit()
      store.on('version', () => {})
    }
    store.on('version', again)
    await commits(store, 1)
    await expect.poll(() => versions).toBe(5)
    expect(await store.get('at')).toBe(4)
    await store.close()
  })

  test('and stop another one, which is then not called any more', async () => {
    const store = await open()
    let calls = 0
    let stop = (): void => undefined
    store.on('version', () => stop())
    stop = store.on('version', () => calls++)
    await commits(store, 1)
    expect(calls).toBe(0)
    await store.close()
  })
})
