import { eachAdapter } from '../../support/counting.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  openStore,
  systemClock,
  type Key,
  type OpenOptions,
  type Storage,
  type Store,
  type WatchChange,
  type WatchOptions,
} from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { compareKeys, keys, ModelMap } from '../../support/arbitraries.js'
import { sleep } from '../../../src/clock.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await systemClock.pause()
}
/** Waits for what watches read from the storage. */
const until = async (isDone: () => boolean): Promise<void> => {
  const end = performance.now() + 60_000
  while (!isDone() && performance.now() < end) await sleep(systemClock, 1)
  await settle()
}

eachAdapter(adapters, 'watch() on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...options })

  function record(store: Store, options: WatchOptions = {}): { calls: WatchChange[][]; stop: () => void } {
    const calls: WatchChange[][] = []
    return { calls, stop: store.watch(options, (changes) => void calls.push([...changes])) }
  }

  test('tells each version what it put, changed and deleted, and nothing that stayed the same', async () => {
    const store = await open(make())
    const { calls, stop } = record(store)
    store.put('a', 1)
    store.put('same', [1])
    const first = await store.commit()
    store.put('a', 2)
    store.put('same', [1])
    store.delete('nothing')
    const second = await store.commit()
    store.delete('a')
    const third = await store.commit()
    await store.commit({ label: 'no change' })
    await until(() => calls.length === 3)
    expect(calls).toEqual([
      [
        { key: 'a', after: 1, version: first.version },
        { key: 'same', after: [1], version: first.version },
      ],
      [{ key: 'a', before: 1, after: 2, version: second.version }],
      [{ key: 'a', before: 2, version: third.version }],
    ])
    expect('before' in calls[0]![0]!).toBe(false)
    expect('after' in calls[2]![0]!).toBe(false)
    stop()
    stop()
    store.put('b', 1)
    await store.commit()
    await settle()
    expect(calls.length).toBe(3)
    await store.close()
  })

  test('keeps to its table and range, over all partitions, in key order', async () => {
    const store = await open(make(), { partitions: 3 })
    const table = record(store, { table: 't' })
    const prefix = record(store, { prefix: 'u' })
    const range = record(store, { gt: 1, lte: 3 })
    const empty = record(store, { gt: 3, lt: 1 })
    for (const key of ['u2', 'u1', 'v', 1, 2, 3, 4] as const) store.put(key, key)
    store.table('t').put('x', 1)
    await store.commit()
    // The first of these to be loaded, on demand, waits for that.
    await until(() => [table, prefix, range].every(({ calls }) => calls.length > 0))
    const keysOf = (calls: WatchChange[][]): Key[][] => calls.map((changes) => changes.map(({ key }) => key))
    expect(keysOf(table.calls)).toEqual([['x']])
    expect(keysOf(prefix.calls)).toEqual([['u1', 'u2']])
    expect(keysOf(range.calls)).toEqual([[2, 3]])
    expect(empty.calls).toEqual([])
    await store.close()
  })

  test('of one key tells what happens to it, in a table too, and to whoever follows', async () => {
    const storage = make()
    const store = await openStore<string, number>({ storage, name: 's', partitions: 3 })
    store.table<number, string>('t').put(7, 'first')
    await store.commit()
    const follower = await openStore<string, number>({ storage, name: 's', mode: 'follower' })
    const own: (readonly [string, number | undefined])[] = []
    store.watch({ key: 'a' }, (changes) => {
      for (const { key, after } of changes) own.push([key, after])
    })
    const others: (readonly [number, string | undefined, string | undefined])[] = []
    follower.watch<number, string>({ table: 't', key: 7 }, (changes) => {
      for (const { key, before, after } of changes) others.push([key, before, after])
    })
    // @ts-expect-error The keys of this store are strings.
    store.watch({ key: 7 }, () => undefined)
    for (const key of ['a', 'aa', 'A', 'b']) store.put(key, 1)
    for (const key of [6, 7, 8]) store.table<number, string>('t').put(key, 'second')
    await store.commit()
    store.put('b', 2)
    await store.commit()
    store.clear()
    await store.commit()
    await follower.refresh()
    await until(() => own.length === 2 && others.length === 1)
    expect(own).toEqual([
      ['a', 1],
      ['a', undefined],
    ])
    expect(others).toEqual([[7, 'first', 'second']])
    await follower.close()
    await store.close()
  })

  test('tells range deletes by the keys that were there, also those in segments', async () => {
    const store = await open(make(), { cacheBytes: 0, segmentBytes: 200, blockBytes: 50 })
    for (let i = 0; i < 30; i++) store.put(i, `value ${i}`)
    await store.commit()
    await store.checkpoint()
    const { calls } = record(store, { lt: 12 })
    store.deleteRange({ gte: 10, lt: 20 })
    store.put(11, 'new')
    const { version } = await store.commit()
    store.clear()
    await store.commit()
    await until(() => calls.length === 2)
    expect(calls[0]).toEqual([
      { key: 10, before: 'value 10', version },
      { key: 11, before: 'value 11', after: 'new', version },
    ])
    expect(calls[1]!.map(({ key }) => key)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11])
    await store.close()
  })

  test('tells joined commits as one version', async () => {
    const store = await open(make())
    const { calls } = record(store)
    const commits = ['a', 'b', 'c'].map((key) => {
      store.put(key, key)
      return store.commit()
    })
    const versions = new Set((await Promise.all(commits)).map(({ version }) => version))
    await settle()
    expect(new Set(calls.map(([change]) => change!.version))).toEqual(versions)
    expect(calls.flat().map(({ key }) => key)).toEqual(['a', 'b', 'c'])
    await store.close()
  })

  test('of a follower tells each version that refresh() finds, and at once what was folded meanwhile', async () => {
    const storage = make()
    const store = await open(storage)
    store.put('a', 0)
    await store.commit()
    // It hears of nothing by itself, as the handles of one browser do.
    const { peers: _, ...silent } = storage
    const follower = await open(silent, { mode: 'follower' })
    const { calls } = record(follower)
    const versions: number[] = []
    for (let i = 1; i <= 3; i++) {
      store.put('a', i)
      versions.push((await store.commit()).version)
    }
    await follower.refresh()
    await until(() => calls.length === 3)
    expect(calls.flat()).toEqual([
      { key: 'a', before: 0, after: 1, version: versions[0] },
      { key: 'a', before: 1, after: 2, version: versions[1] },
      { key: 'a', before: 2, after: 3, version: versions[2] },
    ])
    store.put('a', 4)
    store.put('b', 1)
    await store.commit()
    await store.checkpoint()
    store.put('b', 2)
    const { version } = await store.commit()
    await store.checkpoint()
    await follower.refresh()
    await until(() => calls.length === 4)
    expect(calls[3]).toEqual([
      { key: 'a', before: 3, after: 4, version },
      { key: 'b', after: 2, version },
    ])
    await follower.close()
    await store.close()
  })

  test('tells transactions, large commits, and what others wrote before reopen()', async () => {
    const storage = make()
    const store = await open(storage, { checkpoint: { entries: 16, bytes: 1000 } })
    const { calls } = record(store)
    await store.transaction((tx) => tx.put('tx', 1))
    await until(() => calls.length === 1)
    const large = 'x'.repeat(5000)
    store.put('large', large)
    await store.commit()
    await until(() => calls.length === 2)
    const other = await open(storage)
    other.put('other', 1)
    await other.commit()
    await other.close()
    await store.reopen()
    await until(() => calls.length === 3)
    expect(calls.flat().map(({ key, after }) => [key, after])).toEqual([
      ['tx', 1],
      ['large', large],
      ['other', 1],
    ])
    await store.close()
  })

  test('a listener that throws or rejects hurts nothing, and one call follows the other', async () => {
    const warnings: string[] = []
    const store = await open(make(), { logger: { warn: (message) => void warnings.push(message) } })
    let running = 0
    const seen: unknown[] = []
    store.watch({}, () => {
      throw new Error('mine')
    })
    store.watch({}, async ([change]) => {
      expect(++running).toBe(1)
      await systemClock.pause()
      seen.push(change!.after)
      running--
      if (change!.after === 1) throw new Error('mine')
    })
    for (let i = 0; i < 5; i++) {
      store.put('a', i)
      await store.commit()
    }
    await until(() => seen.length === 5)
    expect(seen).toEqual([0, 1, 2, 3, 4])
    expect(warnings.filter((message) => message.includes('listener')).length).toBe(6)
    expect(await store.get('a')).toBe(4)
    await store.close()
  })

  test('refuses odd arguments, and a closed store', async () => {
    const store = await open(make())
    const wrong = code('INVALID_ARGUMENT')
    const listener = (): void => undefined
    expect(() => store.watch({}, undefined as never)).toThrow(wrong)
    expect(() => store.watch(undefined as never, listener)).toThrow(wrong)
    expect(() => store.watch({ keys: 1 } as never, listener)).toThrow(wrong)
    expect(() => store.watch({ reverse: true } as never, listener)).toThrow(wrong)
    expect(() => store.watch({ prefix: 1 }, listener)).toThrow(wrong)
    expect(() => store.watch({ key: Number.NaN }, listener)).toThrow(wrong)
    expect(() => store.watch({ key: 'a', prefix: 'a' }, listener)).toThrow(wrong)
    expect(() => store.watch({ gt: Number.NaN }, listener)).toThrow(wrong)
    expect(() => store.watch({ table: 1 as never }, listener)).toThrow(wrong)
    const { calls } = record(store)
    await store.close()
    expect(() => store.watch({}, listener)).toThrow(code('CLOSED'))
    expect(calls).toEqual([])
  })
})

test('what a watch cannot read is told later, with the next version or by itself', async () => {
  let isBroken = false
  const storage = faulty(memory(), ({ target, method }) =>
    isBroken && target === 'blobs' && method === 'get' ? 'error-before' : undefined,
  )
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const store = await openStore({ storage, name: 's', cacheBytes: 0, logger })
  store.put('a', 1)
  store.put('b', 1)
  await store.commit()
  await store.checkpoint()
  const calls: (readonly WatchChange[])[] = []
  store.watch({}, (changes) => void calls.push(changes))
  isBroken = true
  store.put('a', 2)
  await store.commit()
  await until(() => warnings.length > 0)
  expect(calls).toEqual([])
  isBroken = false
  store.put('b', 2)
  await store.commit()
  await until(() => calls.length === 2)
  expect(calls.flat().map(({ key, before, after }) => [key, before, after])).toEqual([
    ['a', 1, 2],
    ['b', 1, 2],
  ])
  await store.checkpoint()
  isBroken = true
  store.put('a', 3)
  await store.commit()
  await until(() => warnings.length > 1)
  isBroken = false
  await until(() => calls.length === 3)
  expect(calls[2]).toEqual([{ key: 'a', before: 2, after: 3, version: store.version }])
  await store.close()
})

test('a store that was destroyed and made anew is told as one change of everything', async () => {
  const storage = memory()
  const make = async (value: number): Promise<Store> => {
    const store = await openStore({ storage, name: 's' })
    store.put('same', 0)
    store.put('k', value)
    if (value === 1) store.put('gone', 1)
    await store.commit()
    return store
  }
  const first = await make(1)
  const follower = await openStore({ storage, name: 's', mode: 'follower' })
  const calls: (readonly WatchChange[])[] = []
  follower.watch({}, (changes) => void calls.push(changes))
  await first.close()
  await destroyStore({ storage, name: 's' })
  const second = await make(2)
  await expect(follower.refresh()).rejects.toThrow(code('NOT_FOUND'))
  await follower.reopen()
  await until(() => calls.length > 0)
  const { version } = second
  expect(calls).toEqual([
    [
      { key: 'gone', before: 1, version },
      { key: 'k', before: 1, after: 2, version },
    ],
  ])
  await follower.close()
  await second.close()
})

test('versions that come in one refresh() are each judged at their own time', async () => {
  let now = 1_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const storage = memory()
  const store = await openStore({ storage: { ...storage }, name: 's', clock })
  const follower = await openStore({ storage, name: 's', mode: 'follower' })
  const calls: (readonly WatchChange[])[] = []
  follower.watch({}, (changes) => void calls.push(changes))
  store.put('short', 1, { ttlMs: 100 })
  const one = await store.commit()
  now += 1000
  store.put('later', 1)
  const two = await store.commit()
  await follower.refresh()
  await until(() => calls.length > 1)
  expect(calls).toEqual([
    [{ key: 'short', after: 1, version: one.version }],
    [{ key: 'later', after: 1, version: two.version }],
  ])
  await follower.close()
  await store.close()
})

test('nothing is told twice when reading fails between two versions of one refresh()', async () => {
  let isBroken = false
  const inner = memory()
  const storage = faulty(inner, ({ target, method }) =>
    isBroken && target === 'blobs' && method === 'get' ? 'error-before' : undefined,
  )
  const store = await openStore({ storage: inner, name: 's' })
  for (const name of ['a', 'b', 'c']) store.put(name, 0)
  await store.commit()
  await store.checkpoint()
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const follower = await openStore({ storage, name: 's', mode: 'follower', cacheBytes: 0, logger })
  const told: unknown[] = []
  follower.watch({}, ([change]) => {
    told.push([change!.key, change!.before, change!.after])
    isBroken = told.length === 1
  })
  const put = async (name: string): Promise<void> => {
    store.put(name, 1)
    await store.commit()
  }
  await put('a')
  await put('b')
  await follower.refresh()
  await until(() => warnings.length > 0)
  expect(told).toEqual([['a', 0, 1]])
  isBroken = false
  await put('c')
  await follower.refresh()
  await until(() => told.length >= 3)
  expect(told).toEqual([
    ['a', 0, 1],
    ['b', 0, 1],
    ['c', 0, 1],
  ])
  await follower.close()
  await store.close()
})

/** -0 is read back as 0. */
const plain = (key: Key): Key => (Array.isArray(key) ? key.map(plain) : key === 0 ? 0 : key)
const key = fc.oneof(keys.map(plain), fc.constantFrom<Key>('a', 'b', 'ab', 1, 2, 3, ['x', 1], ['x', 2]))
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, value: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('range' as const), from: key, to: key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
)
const commit = fc.record({
  changes: fc.array(change, { maxLength: 8 }),
  after: fc.constantFrom('nothing', 'nothing', 'checkpoint', 'reopen'),
})

test('tells exactly the difference of versions, under random commits, folds, merges and reopenings', async () => {
  const runs = fc.asyncProperty(
    fc.array(commit, { maxLength: 12 }),
    fc.record({ from: key, to: key }),
    fc.constantFrom(1, 3),
    // Below 100 bytes nearly every commit goes into segments at once.
    fc.constantFrom(20, 200, 2000),
    async (commits, { from, to }, partitions, bytes) => {
      const store = await openStore({
        storage: memory(),
        name: 's',
        partitions,
        checkpoint: { entries: 3, bytes },
        segmentBytes: 200,
        blockBytes: 50,
        cacheBytes: 300,
      })
      const told: WatchChange[] = []
      store.watch({ gte: from, lte: to }, (changes) => void told.push(...changes))
      const expected: WatchChange[] = []
      let model = new ModelMap<number>()
      for (const { changes, after } of commits) {
        const before = model.clone()
        for (const change of changes) {
          if (change.do === 'put') {
            store.put(change.key, change.value)
            model.set(change.key, change.value)
          } else if (change.do === 'delete') {
            store.delete(change.key)
            model.delete(change.key)
          } else if (change.do === 'range') {
            store.deleteRange({ gte: change.from, lt: change.to })
            model.keep((k) => compareKeys(k, change.from) < 0 || compareKeys(k, change.to) >= 0)
          } else {
            store.clear()
            model = new ModelMap()
          }
        }
        const { version } = await store.commit()
        const all = new ModelMap<true>()
        for (const [k] of [...before.entries(), ...model.entries()]) all.set(k, true)
        for (const [k] of all.entries()) {
          if (compareKeys(k, from) < 0 || compareKeys(k, to) > 0) continue
          const [was, is] = [before.get(k), model.get(k)]
          if (was === is) continue
          expected.push({
            key: k,
            ...(was !== undefined && { before: was }),
            ...(is !== undefined && { after: is }),
            version,
          })
        }
        if (after === 'checkpoint') await store.checkpoint()
        if (after === 'reopen') await store.reopen()
      }
      await until(() => told.length >= expected.length)
      expect(told).toEqual(expected)
      expect((await collect(store.entries())).map(([, value]) => value)).toEqual(model.entries().map(([, v]) => v))
      await store.close()
    },
  )
  await fc.assert(runs, { numRuns: 100 })
}, 60_000)
