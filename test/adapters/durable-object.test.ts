/** The suites on Durable Objects of both kinds, inside real workerd, and what is peculiar to them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { durableObject, type DurableObjectStorageLike, type KeyValueLike } from 'tidemark/durable-object'
import { memory } from 'tidemark/memory'
import { forAdapter, suiteTest } from '../support/counting.js'
import { suitesOf, type Suite } from '../support/adapters.mjs'
import { startObjects, type Kind, type Objects } from '../support/durable-objects.js'
import { WHOLE } from '../support/extent.js'
import { FEW_LOSSES } from '../support/suite-loss.js'
import { allSuites } from '../support/suites.js'

forAdapter('durableObject')

const KINDS: readonly Kind[] = ['sql', 'keys', 'bucket']
/** The suites that run on each kind: here those that meet what is its own. */
const SUITES: Readonly<Record<Kind, readonly Suite[]>> = {
  sql: suitesOf.durableObject,
  keys: WHOLE ? suitesOf.durableObject : ['conformance', 'cuts', 'recovery'],
  bucket: WHOLE ? suitesOf.durableObject : ['conformance'],
}
const names: [suite: Suite, name: string][] = []
allSuites({
  test: (suite, name) => names.push([suite, name]),
  make: () => memory(),
  share: { writes: 1, reads: 1 },
  loss: FEW_LOSSES,
})

let objects!: Objects
beforeAll(async () => {
  objects = await startObjects()
})
afterAll(() => objects.worker.dispose())

describe.each(KINDS)('durableObject() of the kind "%s", in workerd', (kind) => {
  test('has the tests that are known here', async () => {
    expect(await objects.ask(kind, 'suites', 'tests')).toEqual(names)
  })

  const testOf = suiteTest('durableObject')
  for (const [index, [suite, name]] of names.entries()) {
    if (!SUITES[kind].includes(suite)) continue
    testOf(suite, name, async () => expect(await objects.ask(kind, 'suites', 'test', { index })).toBe(null))
  }

  test('an object that is aborted at any call of a commit has made it or not, and goes on', async () => {
    let acknowledged = (await objects.ask(kind, 'aborted', 'add')) as number
    let aborted = 0
    for (let abort = 1; abort < 40; abort++) {
      // A life takes more calls where it opens the store, and fewer than these in all.
      const n = await objects.ask(kind, 'aborted', 'add', { abort }).catch(() => undefined)
      if (n === undefined) aborted++
      else acknowledged = n as number
      const found = ((await objects.ask(kind, 'aborted', 'read')) as { n: number }).n
      expect([acknowledged, acknowledged + 1]).toContain(found)
      acknowledged = found
      if (n !== undefined) break
    }
    expect(aborted).toBeGreaterThan(4)
    expect(await objects.ask(kind, 'aborted', 'add')).toBe(acknowledged + 1)
  })

  test('requests at once by one handle each count', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => objects.ask(kind, 'at-once', 'add')))
    expect(all.toSorted((a, b) => Number(a) - Number(b))).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  test('a store that is opened before any event comes in serves those that come', async () => {
    expect(await objects.ask(kind, 'gated', 'gated')).toBe(10)
  })

  test('two handles in one object that write at once, in shared mode, count each of their changes', async () => {
    expect(await objects.ask(kind, 'shared', 'together', { each: 25 })).toEqual([50, 50])
  })

  test('a blob of 9 MiB is read whole and by ranges, replaced, and leaves nothing', async () => {
    const told = await objects.ask(kind, 'large', 'large')
    expect(told).toEqual({
      read: [true, true, true, true, true],
      whole: true,
      again: true,
      gone: true,
      left: 0,
      isRead: kind === 'sql',
    })
  })

  test('a commit is one transaction and one flush of the object, and asks nothing of the bucket', async () => {
    const commits = 30
    const told = (await objects.ask(kind, 'count', 'count', { commits })) as Record<string, Record<string, number>>
    expect(told['bucket']).toEqual({})
    expect(told['object']).toEqual(
      kind === 'keys'
        ? { transaction: commits, get: commits, put: commits, sync: commits }
        : { transactionSync: commits, exec: commits, sync: commits },
    )
  })
})

describe('a Durable Object with a database', () => {
  test('that is full keeps the changes of a commit until there is room', async () => {
    expect(await objects.ask('sql', 'full', 'full')).toEqual({
      code: 'QUOTA',
      kept: [
        ['a', 1],
        ['b', 2],
      ],
    })
  })

  test('that is emptied beneath a handle takes nothing from it, and begins anew', async () => {
    expect(await objects.ask('sql', 'emptied', 'emptied')).toEqual({ code: 'ROLLED_BACK', kept: [['c', 3]] })
  })
})

test('the tables are those of docs/format.md', () => {
  const read = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8')
  const tables = (text: string): string[] =>
    [...text.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(tidemark_[^;`]*?WITHOUT ROWID)/g)].map(([, table]) =>
      table!.replace(/\s+/g, ' '),
    )
  expect(tables(read('docs/format.md'))).toHaveLength(2)
  expect(tables(read('docs/format.md'))).toEqual(tables(read('adapters/durable-object/sql.ts')))
})

describe('the storage of an object that fails', () => {
  const bytes = new Uint8Array([1])
  const unexpected = (): never => {
    throw new Error('an unexpected call')
  }
  const keys: KeyValueLike = {
    get: () => Promise.resolve(new Map()),
    put: () => Promise.resolve(),
    delete: () => Promise.resolve(0),
    list: () => Promise.resolve(new Map()),
  }
  const byKeys: DurableObjectStorageLike = {
    ...keys,
    transaction: (closure) => closure(keys),
    sync: () => Promise.resolve(),
  }
  /** A database in which every write finds its condition to hold. */
  const withDatabase: DurableObjectStorageLike = {
    ...byKeys,
    sql: { exec: () => ({ toArray: () => [{ size: 0, bytes: new ArrayBuffer(0) }] }) },
    transactionSync: (closure) => closure(),
    transaction: unexpected,
    get: unexpected,
  }
  const conditional = (storage: DurableObjectStorageLike, signal?: AbortSignal) => [
    durableObject(storage).log('a/0/id').append(1, bytes, 1, { signal }),
    durableObject(storage).anchor('a/0/anchor').swap(undefined, bytes, 1, { signal }),
  ]
  const reset = new Error('Durable Object storage operation exceeded timeout which caused object to be reset.')

  test.each([withDatabase, byKeys])('leaves unknown what is written and cannot be flushed', async (storage) => {
    const failing = { ...storage, sync: () => Promise.reject(reset) }
    for (const call of conditional(failing)) expect(await call).toMatchObject({ outcome: 'unknown', settle: true })
    const { blobs } = durableObject(failing)
    for (const call of [blobs.put('a/s', bytes), blobs.delete(['a/s'])])
      await expect(call).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE', cause: reset })
  })

  test.each([withDatabase, byKeys])('leaves unknown what is aborted before it is flushed', async (storage) => {
    const slow = { ...storage, sync: () => new Promise<never>(() => undefined) }
    const controller = new AbortController()
    const calls = conditional(slow, controller.signal)
    const put = durableObject(slow).blobs.put('a/s', bytes, { signal: controller.signal })
    controller.abort()
    for (const call of calls) expect(await call).toMatchObject({ outcome: 'unknown', settle: true })
    await expect(put).rejects.toMatchObject({ code: 'ABORTED' })
    for (const call of conditional(storage, controller.signal))
      await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('throws what was refused before anything was written', async () => {
    const begun = { ...byKeys, transaction: () => Promise.reject(reset) }
    for (const call of conditional(begun)) await expect(call).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    const ended: DurableObjectStorageLike = {
      ...byKeys,
      transaction: async (closure) => {
        await closure(keys)
        throw reset
      },
    }
    for (const call of conditional(ended)) expect(await call).toMatchObject({ outcome: 'unknown', settle: true })
  })

  test('has keys alone when its database says so, and with another error is not used at all', async () => {
    const refusing = (message: string): DurableObjectStorageLike => ({
      ...byKeys,
      sql: {
        exec: () => {
          throw new Error(message)
        },
      },
    })
    const said = ['SQL is not enabled for this class.', 'This Durable Object is not backed by SQLite storage.']
    for (const message of said) expect(await conditional(refusing(message))[0]).toMatchObject({ outcome: 'committed' })
    expect(() => durableObject(refusing('Internal error'))).toThrow(
      expect.objectContaining({ code: 'STORAGE_UNAVAILABLE' }),
    )
  })

  test.each([undefined, {}, 'storage', { get: () => null, put: () => null }])(
    'anything else is refused: %j',
    (given) => {
      expect(() => durableObject(given as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    },
  )

  test('blobs are those of a storage, and options have no other names', () => {
    for (const options of [{ blobs: {} }, { blobs: null }, { bucket: memory() }])
      expect(() => durableObject(byKeys, options as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
  })
})
