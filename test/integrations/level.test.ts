/** abstract-level on a store: its own published suite, on IndexedDB in test/browser, and what the store promises beyond it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { isTidemarkError, openStore, type OpenOptions, type Storage } from 'tidemark'
import { TidemarkLevel, type Backing, type TidemarkLevelOptions } from 'tidemark/level'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { WHOLE } from '../support/extent.js'
import { runSuite } from '../support/tape.js'

const published = createRequire(import.meta.url)('abstract-level/test') as (options: object) => void
const folder = mkdtempSync(join(tmpdir(), 'tidemark-level-'))
let made = 0

const all: TidemarkLevel[] = []
afterAll(async () => {
  // Some cases leave one in a state in which it cannot be closed.
  await Promise.allSettled(all.map((db) => db.close()))
  rmSync(folder, { recursive: true, force: true })
})

/** The driver has getSync() there. */
const inMemory: [string, () => OpenOptions] = [
  'memory, resident',
  () => ({ storage: memory(), name: 'suite', resident: true }),
]

/** It opens some thousand stores, each of which is flushed again and again. */
const onFiles: typeof inMemory = ['files', () => ({ storage: nodeFs(join(folder, `${made++}`)), name: 'suite' })]

test.each<[name: string, make: () => OpenOptions]>([
  ['memory', () => ({ storage: memory(), name: 'suite' })],
  ...(WHOLE ? [inMemory, onFiles] : []),
])(
  'the suite of abstract-level passes on %s',
  async (_, make) => {
    const cases = await runSuite((test) =>
      published({
        test,
        factory: (options: TidemarkLevelOptions<string, string>) => {
          const db = new TidemarkLevel(make(), options)
          all.push(db)
          return db
        },
      }),
    )
    expect(cases).toBeGreaterThan(1_400)
  },
  300_000,
)

describe('a level on a store', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close()
  })
  function level<V = string>(store: Backing, options?: TidemarkLevelOptions<string, V>): TidemarkLevel<string, V> {
    const db = new TidemarkLevel(store, options)
    open.push(db)
    return db
  }
  const refused = async (call: Promise<unknown>): Promise<unknown[]> => {
    const error = (await call.catch((reason: unknown) => reason)) as { code?: string; cause?: { code?: string } }
    return [error.code, isTidemarkError(error.cause) && error.cause.code]
  }

  test('keeps what was put when it is opened again, and forgets nothing that resolved', async () => {
    const storage = memory()
    const db = level<{ n: number }>({ storage, name: 'app' }, { valueEncoding: 'json' })
    await db.put('a', { n: 1 })
    await db.batch([
      { type: 'put', key: 'b', value: { n: 2 } },
      { type: 'del', key: 'a' },
    ])
    // Without close(): what follows takes the store over.
    const again = level<{ n: number }>({ storage, name: 'app' }, { valueEncoding: 'json' })
    expect(await again.iterator().all()).toEqual([['b', { n: 2 }]])
  })

  test('is a table of a store that stays open, and leaves what that has buffered alone', async () => {
    const store = await openStore<string, number>({ storage: memory(), name: 'app' })
    open.push(store)
    store.put('mine', 1)
    const db = level(store, { table: 'entries' })
    await db.put('b', '2')
    await db.put('a', '1')
    await db.clear({ gt: 'a' })
    await db.close()
    const { id, encode, decode } = { id: 'bytes', encode: (b: Uint8Array) => b, decode: (b: Uint8Array) => b }
    const table = store.table<Uint8Array, Uint8Array>('entries', { codec: { id, encode, decode } })
    expect(await table.toArray()).toEqual([[Uint8Array.of(97), Uint8Array.of(49)]])
    await using snapshot = await store.snapshot()
    expect(await snapshot.get('mine')).toBeUndefined()
    store.discard()
    expect(db.supports).toMatchObject({ createIfMissing: false, errorIfExists: false, getSync: false })
  })

  test('makes one commit of a batch, of a chained batch, and of a clear', async () => {
    const store = await openStore({ storage: memory(), name: 'app' })
    open.push(store)
    const db = level(store)
    const versions = async (): Promise<number> => {
      let count = 0
      for await (const _ of store.versions()) count++
      return count
    }
    await db.batch(Array.from({ length: 1000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: `${i}` })))
    await db.batch().put('x', '1').put('y', '2').write()
    await db.clear({ gte: 'k5', limit: 100, reverse: true })
    await db.clear({ lt: 'k4' })
    expect(await versions()).toBe(4)
    const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`)
      .concat('x', 'y')
      .toSorted()
    expect(await db.keys().all()).toEqual(keys.slice(0, -100).filter((key) => key >= 'k4'))
  })

  test('sorts by bytes, whatever the encoding', async () => {
    const db = level({ storage: memory(), name: 'app' })
    const keys = ['\u{1F600}', '\uFFFD', 'z', 'Z', '', '\u0000', 'é']
    await db.batch(keys.map((key) => ({ type: 'put', key, value: key })))
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    expect(await db.keys().all()).toEqual(sorted)
    expect(await db.keys({ reverse: true }).all()).toEqual(sorted.toReversed())
  })

  test('clears what a snapshot had, and nothing that came later', async () => {
    const db = level({ storage: memory(), name: 'app' })
    await db.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: key })))
    await using snapshot = db.snapshot()
    await db.put('d', 'd')
    await db.clear({ gte: 'b', snapshot })
    await db.clear({ gte: 'x', snapshot })
    expect(await db.keys().all()).toEqual(['a', 'd'])
  })

  test('reads at once from memory when the store is resident, and says when a snapshot cannot yet', async () => {
    const db = level({ storage: memory(), name: 'app', resident: true })
    expect(db.supports).toMatchObject({ createIfMissing: true, errorIfExists: true, getSync: true })
    await db.put('a', '1')
    const snapshot = db.snapshot()
    expect(() => db.getSync('a', { snapshot })).toThrow(expect.objectContaining({ code: 'LEVEL_NOT_SUPPORTED' }))
    expect(await db.get('a', { snapshot })).toBe('1')
    await db.put('a', '2')
    expect([db.getSync('a'), db.getSync('a', { snapshot })]).toEqual(['2', '1'])
    await snapshot.close()
  })

  test('has the codes of abstract-level', async () => {
    const storage = memory()
    const first = level({ storage, name: 'app' })
    await first.put('a', '1')
    const second = level({ storage, name: 'app' })
    await second.put('a', '2')
    expect(await refused(first.put('a', '3'))).toEqual(['LEVEL_LOCKED', 'FENCED'])
    expect(await second.get('a')).toBe('2')
    const other = new TidemarkLevel({ storage, name: 'app', mode: 'shared' })
    const error = (await other.open().catch((reason: unknown) => reason)) as Error
    expect(error).toMatchObject({ code: 'LEVEL_DATABASE_NOT_OPEN', cause: { code: 'LEVEL_LOCKED' } })
    await other.close()

    const store = await openStore({ storage: memory(), name: 'app' })
    const db = level(store)
    await db.open()
    await store.close()
    expect(await refused(db.get('a'))).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'CLOSED'])
    expect(await refused(db.iterator().next())).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'CLOSED'])
    expect(() => new TidemarkLevel({} as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })

  test('is written by several handles at once in shared mode, and each clears what it is asked to', async () => {
    const storage = memory()
    const stores = await Promise.all([1, 2].map(() => openStore({ storage, name: 'app', mode: 'shared' })))
    open.push(...stores)
    const [a, b] = stores.map((store) => level(store)) as [TidemarkLevel, TidemarkLevel]
    await Promise.all([a, b].flatMap((db, k) => Array.from({ length: 40 }, (_, i) => db.put(`${k}-${i}`, `${i}`))))
    await stores[0]!.refresh()
    expect((await a.keys().all()).length).toBe(80)
    await Promise.all([a.clear({ lt: '1-', limit: 30 }), b.clear({ gte: '1-', lt: '2' }), b.put('x', '1')])
    await stores[1]!.refresh()
    expect((await b.keys().all()).length).toBe(11)
  })

  test('says honestly whether it keeps anything', () => {
    const permanence = (storage: Storage): unknown => level({ storage, name: 'app' }).supports.permanence
    expect([permanence(memory()), permanence(nodeFs(join(folder, 'p')))]).toEqual([false, true])
  })
})
