import { eachAdapter } from '../../support/counting.js'
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
import { adapters } from '../../support/storages.js'
import { settle, until } from '../../support/until.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

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
