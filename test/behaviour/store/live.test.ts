/** Live ranges: the entries of a range now and from now on. */
import { eachAdapter } from '../../support/counting.js'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openStore, type Codec, type Key, type Live, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { ManualClock } from '../../support/manual-clock.js'
import { adapters } from '../../support/storages.js'
import { settle, until } from '../../support/until.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', logger: false, ...options })

/** How often its listeners were called. */
function counted<T>(live: Live<T>): { calls: number } {
  const counter = { calls: 0 }
  live.subscribe(() => void counter.calls++)
  return counter
}

eachAdapter(adapters, 'live() on %s', (make) => {
  test('shows what is committed, by this handle, by others and to followers, and keeps what stays the same', async () => {
    const storage = make()
    const store = await open(storage, { mode: 'shared', partitions: 3 })
    const other = await open(storage, { mode: 'shared' })
    const follower = await open(storage, { mode: 'follower' })
    await store.write([1, 2, 3].map((n) => ({ type: 'put', key: `k${n}`, value: { n } })))
    await other.refresh()
    await follower.refresh()
    const lives = [store, other, follower].map((handle) => handle.live({ prefix: 'k' }))
    for (const live of lives) {
      expect(Object.isFrozen(live.current)).toBe(true)
      expect(live.current.length).toBe(live.isReady ? 3 : 0)
    }
    await Promise.all(lives.map(({ ready }) => ready))
    const before = lives.map(({ current }) => current)
    for (const current of before) {
      expect(current).toEqual([1, 2, 3].map((n) => [`k${n}`, { n }]))
      expect(Object.isFrozen(current) && current.every((entry) => Object.isFrozen(entry))).toBe(true)
    }
    const counters = lives.map(counted)
    await store.write([
      { type: 'put', key: 'k2', value: { n: 20 } },
      { type: 'del', key: 'k3' },
      { type: 'put', key: 'elsewhere', value: 0 },
    ])
    await other.refresh()
    await follower.refresh()
    await until(() => counters.every(({ calls }) => calls === 1))
    for (const [i, { current }] of lives.entries()) {
      expect(current).toEqual([
        ['k1', { n: 1 }],
        ['k2', { n: 20 }],
      ])
      expect(current[0]).toBe(before[i]![0])
    }
    // What changes nothing in the range leaves the array, and tells nobody.
    const after = lives.map(({ current }) => current)
    await other.write([
      { type: 'put', key: 'k1', value: { n: 1 } },
      { type: 'put', key: 'elsewhere', value: 1 },
    ])
    await store.refresh()
    await follower.refresh()
    await settle()
    expect(lives.every(({ current }, i) => current === after[i])).toBe(true)
    expect(counters.map(({ calls }) => calls)).toEqual([1, 1, 1])
    for (const handle of [store, other, follower]) await handle.close()
  })

  test('shows nothing that is only buffered, and one change however many keys a commit has', async () => {
    const store = await open(make())
    const live = store.live()
    await live.ready
    const counter = counted(live)
    for (let i = 0; i < 10; i++) store.put(i, i)
    await settle()
    expect(live.current).toEqual([])
    await store.commit()
    await until(() => counter.calls > 0)
    expect(counter.calls).toBe(1)
    expect(live.current.map(([key]) => key)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await store.close()
  })

  test('keeps to its bounds, its order and its limit', async () => {
    const store = await open(make(), { partitions: 2 })
    const lives = {
      range: store.live({ gt: 2, lte: 6 }),
      reverse: store.live({ reverse: true, limit: 3 }),
      first: store.live({ limit: 3 }),
      none: store.live({ limit: 0 }),
      empty: store.live({ gt: 5, lt: 2 }),
    }
    const shown = (): Record<string, Key[]> =>
      Object.fromEntries(Object.entries(lives).map(([name, { current }]) => [name, current.map(([key]) => key)]))
    await Promise.all(Object.values(lives).map(({ ready }) => ready))
    await store.write([1, 3, 5, 7, 9].map((key) => ({ type: 'put', key, value: key })))
    await until(() => lives.range.current.length > 0)
    const nothing = { none: [], empty: [] }
    expect(shown()).toEqual({ range: [3, 5], reverse: [9, 7, 5], first: [1, 3, 5], ...nothing })
    await store.write([
      { type: 'put', key: 4, value: 4 },
      { type: 'put', key: 8, value: 8 },
      { type: 'del', key: 1 },
    ])
    await until(() => lives.range.current.length > 2)
    expect(shown()).toEqual({ range: [3, 4, 5], reverse: [9, 8, 7], first: [3, 4, 5], ...nothing })
    store.deleteRange({ gte: 4, lt: 9 })
    await store.commit()
    await until(() => lives.range.current.length < 3)
    expect(shown()).toEqual({ range: [3], reverse: [9, 3], first: [3, 9], ...nothing })
    await store.close()
  })

  test('of a table or a partition shows that one, and a watch is told of it', async () => {
    const store = await openStore<string, number>({ storage: make(), name: 's', partitions: 2 })
    const users = store.table<string, { name: string }>('users')
    const live = users.live({ prefix: 'a' })
    const named = store.live<string, { name: string }>({ table: 'users', limit: 1 })
    const half = store.partition(1).table<string, number>('numbers').live()
    const told: string[] = []
    const stop = users.watch((changes) => {
      for (const { key, after } of changes) told.push(`${key} ${after?.name}`)
    })
    users.watch({ key: 'b' }, (changes) => {
      for (const { key } of changes) told.push(`only ${key}`)
    })
    store
      .partition(0)
      .table<string, number>('numbers')
      .watch(() => told.push('the other partition'))
    // @ts-expect-error The keys of this table are strings.
    users.live({ gte: 7 }).close()
    await users.write([
      { type: 'put', key: 'a1', value: { name: 'Ada' } },
      { type: 'put', key: 'b', value: { name: 'Bob' } },
    ])
    await store.partition(1).table<string, number>('numbers').set('n', 1)
    await store.table<string, number>('numbers').set('m', 2)
    await until(() => live.current.length > 0 && named.current.length > 0 && half.current.length > 0)
    const [[key, value]] = live.current as [readonly [string, { name: string }]]
    expect([key, value.name, named.current]).toEqual(['a1', 'Ada', [['a1', { name: 'Ada' }]]])
    expect(half.current.map(([name]) => name)).toContain('n')
    expect(told.slice(0, 3).toSorted()).toEqual(['a1 Ada', 'b Bob', 'only b'])
    stop()
    await users.remove('a1')
    await until(() => live.current.length === 0)
    expect(told.some((line) => line.startsWith('a1 undefined'))).toBe(false)
    expect(() => users.live({ limit: -1 })).toThrow(code('INVALID_ARGUMENT'))
    await store.close()
  })

  test('goes on after a restore, a clear and a reopening, and after a store was made anew', async () => {
    const storage = make()
    const store = await open(storage)
    await store.write([1, 2, 3].map((key) => ({ type: 'put', key, value: [key] })))
    const { version } = store
    const live = store.live()
    await live.ready
    const [, second] = live.current
    await store.write([
      { type: 'put', key: 1, value: [10] },
      { type: 'del', key: 3 },
    ])
    await until(() => live.current.length === 2)
    await store.restore(version)
    await until(() => live.current.length === 3)
    expect(live.current).toEqual([1, 2, 3].map((key) => [key, [key]]))
    expect(live.current[1]).toBe(second)
    store.clear()
    await store.commit()
    await until(() => live.current.length === 0)
    const other = await open(storage)
    await other.set(7, 7)
    await other.close()
    await store.reopen()
    await until(() => live.current.length === 1)
    expect(live.current).toEqual([[7, 7]])
    await store.set(8, 8)
    await until(() => live.current.length === 2)
    await store.close()

    const follower = await open(storage, { mode: 'follower' })
    const following = follower.live()
    await following.ready
    await destroyStore({ storage, name: 's' })
    const anew = await open(storage)
    await anew.write([
      { type: 'put', key: 7, value: 7 },
      { type: 'put', key: 9, value: 9 },
    ])
    await expect(follower.refresh()).rejects.toThrow(code('NOT_FOUND'))
    const [seven] = following.current
    await follower.reopen()
    await until(() => following.current.at(-1)![0] === 9)
    expect(following.current).toEqual([
      [7, 7],
      [9, 9],
    ])
    expect(following.current[0]).toBe(seven)
    await follower.close()
    await anew.close()
  })

  test('ends by close(), and with its store: the last array stays, and nobody is called', async () => {
    const store = await open(make(), { cacheBytes: 0 })
    await store.set('a', 1)
    await store.checkpoint()
    const [closed, open_] = [store.live(), store.live()]
    const early = store.live()
    early.close()
    await expect(early.ready).rejects.toThrow(code('CLOSED'))
    expect([early.isReady, early.current]).toEqual([false, []])
    await Promise.all([closed.ready, open_.ready])
    const counters = [closed, open_].map(counted)
    const { current } = closed
    closed.close()
    closed.close()
    await store.set('a', 2)
    await until(() => counters[1]!.calls === 1)
    expect(closed.current).toBe(current)
    const last = open_.current
    store.put('a', 3)
    await store.commit()
    await store.close()
    await settle()
    expect(counters.map(({ calls }) => calls)).toEqual([0, 1])
    expect([open_.current === last, open_.isReady]).toEqual([true, true])
    expect(() => store.live()).toThrow(code('CLOSED'))
  })

  test('calls the listeners that are there, once each, and hears of those that throw', async () => {
    const warnings: string[] = []
    const store = await open(make(), { cacheBytes: 0, logger: { warn: (message) => void warnings.push(message) } })
    await store.set('z', 0)
    await store.checkpoint()
    const live = store.live<string, number>()
    const seen: unknown[] = []
    const listener = (current: readonly (readonly [string, number])[]): void => void seen.push(current)
    const stops = [live.subscribe(listener), live.subscribe(listener)]
    live.subscribe(() => {
      throw new Error('mine')
    })
    live.subscribe(() => Promise.reject(new Error('mine')))
    await live.ready
    await until(() => warnings.length === 2)
    expect(seen).toEqual([[['z', 0]], [['z', 0]]])
    stops[0]!()
    await store.set('a', 1)
    await until(() => warnings.length === 4)
    expect(seen.slice(2)).toEqual([
      [
        ['a', 1],
        ['z', 0],
      ],
    ])
    expect(seen[2]).toBe(live.current)
    expect(warnings.every((message) => message.includes('listener of a live'))).toBe(true)
    await store.close()
  })

  test('refuses odd options, and snapshots and transactions, which are not told of changes', async () => {
    const store = await open(make())
    const wrong = code('INVALID_ARGUMENT')
    expect(() => store.live(null as never)).toThrow(wrong)
    expect(() => store.live({ keys: 1 } as never)).toThrow(wrong)
    expect(() => store.live({ limit: -1 })).toThrow(wrong)
    expect(() => store.live({ reverse: 1 as never })).toThrow(wrong)
    expect(() => store.live({ gt: Number.NaN })).toThrow(wrong)
    expect(() => store.live({ prefix: 1 })).toThrow(wrong)
    expect(() => store.live({ table: 1 as never })).toThrow(wrong)
    expect(() => store.live({ signal: AbortSignal.abort() } as never)).toThrow(wrong)
    await store.set('a', 1)
    const snapshot = await store.snapshot()
    expect(() => snapshot.live()).toThrow(wrong)
    expect(() => snapshot.table('t').watch(() => undefined)).toThrow(wrong)
    await expect(store.transaction((tx) => tx.live())).rejects.toThrow(wrong)
    await snapshot.close()
    await store.close()
  })
})

describe('what expires', () => {
  test('is dropped when its time has come, and no earlier', async () => {
    const clock = new ManualClock()
    const store = await open(memory(), { clock })
    await store.set('short', 1, { ttlMs: 1_000 })
    await store.set('long', 2, { ttlMs: 5_000_000 })
    await store.set('ever', 3)
    const live = store.live()
    await live.ready
    const counter = counted(live)
    const keys = (): Key[] => live.current.map(([key]) => key)
    clock.pass(999)
    await settle()
    expect([keys(), counter.calls]).toEqual([['ever', 'long', 'short'], 0])
    const [ever] = live.current
    clock.pass(1)
    await until(() => counter.calls > 0)
    expect([keys(), counter.calls]).toEqual([['ever', 'long'], 1])
    expect(live.current[0]).toBe(ever)
    // Another time to live changes no entry, and counts.
    const { current } = live
    await store.touch('long', { ttlMs: 1_000 })
    await settle()
    expect(live.current).toBe(current)
    clock.pass(1_000)
    await until(() => counter.calls > 1)
    expect(keys()).toEqual(['ever'])
    await store.close()
  })

  test('makes room for the next one where there is a limit', async () => {
    const clock = new ManualClock()
    const store = await open(memory(), { clock, partitions: 2 })
    for (let i = 0; i < 6; i++) await store.set(i, i, i % 2 === 0 ? { ttlMs: 1_000 + i } : {})
    const live = store.live({ limit: 3 })
    await live.ready
    expect(live.current.map(([key]) => key)).toEqual([0, 1, 2])
    clock.pass(1_000)
    await until(() => live.current[0]![0] === 1)
    expect(live.current.map(([key]) => key)).toEqual([1, 2, 3])
    clock.pass(10)
    await until(() => live.current[1]![0] === 3)
    expect(live.current.map(([key]) => key)).toEqual([1, 3, 5])
    await store.close()
  })
})

describe('what it costs', () => {
  test('what is in memory is there at once', async () => {
    const store = await open(memory(), { partitions: 3 })
    await store.write([1, 2, 3].map((key) => ({ type: 'put', key, value: key })))
    const live = store.live({ reverse: true, limit: 2 })
    expect([live.isReady, live.current]).toEqual([
      true,
      [
        [3, 3],
        [2, 2],
      ],
    ])
    await live.ready
    await store.close()

    const storage = memory()
    const writer = await open(storage)
    await writer.set('a', 1)
    await writer.checkpoint()
    const resident = await open(storage, { mode: 'follower', resident: true })
    const shown = resident.live()
    expect([shown.isReady, shown.current]).toEqual([true, [['a', 1]]])
    await resident.close()
    await writer.close()
  })

  test('one of 10,000 rows is changed: the others are neither read nor decoded again', async () => {
    let decoded = 0
    const codec: Codec<{ n: number }> = {
      id: 'counting',
      encode: ({ n }) => new TextEncoder().encode(String(n)),
      decode(bytes) {
        decoded++
        return { n: Number(new TextDecoder().decode(bytes)) }
      },
    }
    const store = await openStore<number, { n: number }>({ storage: memory(), name: 's', codec })
    await store.write(Array.from({ length: 10_000 }, (_, key) => ({ type: 'put', key, value: { n: key } })))
    await store.checkpoint()
    const live = store.live()
    await live.ready
    expect([live.current.length, decoded]).toEqual([10_000, 10_000])
    const before = live.current
    await store.set(5_000, { n: -1 })
    await until(() => live.current !== before)
    expect(decoded).toBe(10_001)
    expect(live.current[5_000]).toEqual([5_000, { n: -1 }])
    expect(live.current.every((entry, i) => entry === before[i] || i === 5_000)).toBe(true)
    await store.checkpoint()
    await settle()
    expect(decoded).toBe(10_001)
    await store.close()
  })

  test('of an index with 10,000 rows one is changed: the others are not read again', async () => {
    const store = await openStore({ storage: memory(), name: 's' })
    let read = 0
    const byN = ({ n }: { n: number }): number => n
    const codec: Codec<{ n: number }> = {
      id: 'counting',
      encode: ({ n }) => new TextEncoder().encode(String(n)),
      decode(bytes) {
        read++
        return { n: Number(new TextDecoder().decode(bytes)) }
      },
    }
    const table = store.table<number, { n: number }>('t', { codec, indexes: { byN } })
    await table.write(Array.from({ length: 10_000 }, (_, key) => ({ type: 'put', key, value: { n: -key } })))
    await store.checkpoint()
    const live = table.index('byN').live({ lte: -10 })
    await live.ready
    const before = live.current
    expect(before).toHaveLength(9_990)
    read = 0
    await table.set(5_000, { n: -20_000 })
    await until(() => live.current !== before)
    expect(read).toBeLessThanOrEqual(2)
    expect(live.current[0]).toEqual([-20_000, 5_000, { n: -20_000 }])
    expect(live.current.slice(1)).toEqual(before.filter(([, key]) => key !== 5_000))
    await store.close()
  })

  test('reads of it are in no commit’s way', async () => {
    const storage = memory()
    const store = await open(storage, { mode: 'shared' })
    const other = await open(storage, { mode: 'shared' })
    await store.set('k', 1)
    const live = store.live()
    await live.ready
    store.put('k', 2)
    await other.set('k', 3)
    await store.commit()
    await until(() => live.current[0]![1] === 2)
    await store.close()
    await other.close()
  })
})

describe('what cannot be read', () => {
  test('at first rejects `ready`, and is there later', async () => {
    let isBroken = false
    const storage = faulty(memory(), ({ target, method }) =>
      isBroken && target === 'blobs' && method === 'get' ? 'error-before' : undefined,
    )
    const clock = new ManualClock()
    const warnings: string[] = []
    const logger = { warn: (message: string): void => void warnings.push(message) }
    const store = await open(storage, { cacheBytes: 0, logger, clock })
    await store.set('a', 1)
    await store.checkpoint()
    isBroken = true
    const live = store.live()
    await expect(live.ready).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    expect([live.isReady, warnings.length]).toEqual([false, 1])
    const counter = counted(live)
    isBroken = false
    clock.pass(500)
    await until(() => counter.calls > 0)
    expect([live.isReady, live.current]).toEqual([true, [['a', 1]]])
    // Later on the last entries stay meanwhile.
    await store.checkpoint()
    isBroken = true
    const { current } = live
    store.deleteRange({ gte: 'a' })
    await store.commit()
    await until(() => warnings.length > 1)
    expect(live.current).toBe(current)
    isBroken = false
    await store.set('b', 1)
    await until(() => counter.calls > 1)
    expect(live.current).toEqual([['b', 1]])
    await store.close()
  })

  test('for want of a codec is there once the table is opened with it', async () => {
    const storage = memory()
    const codec: Codec<string> = {
      id: 'text',
      encode: (text) => new TextEncoder().encode(text),
      decode: (bytes) => new TextDecoder().decode(bytes),
    }
    const writer = await open(storage)
    const texts = writer.table<string, string>('texts', { codec })
    await texts.set('a', 'A')
    const follower = await open(storage, { mode: 'follower' })
    const live = follower.live<string, string>({ table: 'texts' })
    await expect(live.ready).rejects.toThrow(code('INVALID_ARGUMENT'))
    follower.table('texts', { codec })
    await until(() => live.isReady)
    expect(live.current).toEqual([['a', 'A']])
    await follower.close()
    await writer.close()
  })
})

describe('live() of an index', () => {
  interface Todo {
    readonly due?: number
    readonly text: string
  }
  const indexes = { byDue: (todo: Todo) => todo.due }

  test('shows the rows of a range in the order of the index, now and from now on', async () => {
    const storage = memory()
    const store = await openStore({ storage, name: 's', mode: 'shared', partitions: 2 })
    onTestFinished(() => store.close())
    const todos = store.table<string, Todo>('todos', { indexes })
    await todos.write([
      { type: 'put', key: 'a', value: { due: 3, text: 'a' } },
      { type: 'put', key: 'b', value: { due: 1, text: 'b' } },
      { type: 'put', key: 'c', value: { text: 'c' } },
    ])
    const live = todos.index<number>('byDue').live({ lt: 5, limit: 2 })
    const last = todos.index<number>('byDue').live({ reverse: true, limit: 1 })
    await Promise.all([live.ready, last.ready])
    const texts = (): string[] => live.current.map(([due, key, { text }]) => `${due} ${key} ${text}`)
    expect(texts()).toEqual(['1 b b', '3 a a'])
    expect(last.current).toMatchObject([[3, 'a', { text: 'a' }]])
    const [first] = live.current
    const other = await openStore({ storage, name: 's', mode: 'shared' })
    onTestFinished(() => other.close())
    await other.table<string, Todo>('todos', { indexes }).set('d', { due: 2, text: 'd' })
    await store.refresh()
    await expect.poll(texts).toEqual(['1 b b', '2 d d'])
    // What did not change is the same.
    expect(live.current[0]).toBe(first)
    await todos.update('b', (todo) => ({ ...todo!, due: 9 }))
    await expect.poll(texts).toEqual(['2 d d', '3 a a'])
    await expect.poll(() => last.current).toMatchObject([[9, 'b', {}]])
    const { current } = live
    await todos.set('c', { text: 'changed, and not in the index' })
    await store.set('elsewhere', 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(live.current).toBe(current)
    live.close()
    await todos.remove('d')
    expect(live.current).toBe(current)
    expect(() => todos.index('byDue').live({ table: 'x' } as never)).toThrow(/INVALID_ARGUMENT|own table/)
  })
})
