/** set, remove, write, update and touch: changes that are committed by themselves; and the short reads. */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { openStore, systemClock, type Clock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { consume, fromIterable } from 'tidemark/stream'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { code, outcomes } from '../../support/shared.js'
import { adapters } from '../../support/storages.js'

async function open(options: Partial<OpenOptions> = {}, storage = memory()): Promise<Store<string, number>> {
  const store = await openStore<string, number>({ storage, name: 's', logger: false, ...(options as object) })
  onTestFinished(() => store.close())
  return store
}

/** The values that somebody finds who looks from outside. */
async function stored(storage: Storage, ...keys: string[]): Promise<unknown[]> {
  const reader = await openStore<string, number>({ storage, name: 's', mode: 'follower' })
  onTestFinished(() => reader.close())
  return reader.getMany(keys)
}

/** A clock that a test moves. */
function movable(): Clock & { pass(ms: number): void } {
  let passed = 0
  return {
    ...systemClock,
    now: () => systemClock.now() + passed,
    monotonic: () => systemClock.monotonic() + passed,
    pass: (ms) => void (passed += ms),
  }
}

/** A storage whose next append is refused for want of room. */
function full(): { storage: Storage; fill: () => void } {
  let isFull = false
  const storage = faulty(memory(), ({ method }) => {
    if (method !== 'append' || !isFull) return undefined
    isFull = false
    return 'quota'
  })
  return { storage, fill: () => void (isFull = true) }
}

describe.each(adapters)('on $adapter()', ({ make }) => {
  test('set() and remove() are durable when they resolve, on stores, tables and partitions', async () => {
    const storage = make()
    const store = await open({ partitions: 3 }, storage)
    const users = store.table<number, { name: string }>('users')
    const first = await store.set('a', 1)
    expect(first).toMatchObject({ version: store.version })
    await users.set(7, { name: 'Ann' })
    await store.partition(2).set('here', 2)
    expect(await stored(storage, 'a')).toEqual([1])
    expect(await users.get(7)).toEqual({ name: 'Ann' })
    expect(await store.partition(2).get('here')).toBe(2)
    await store.remove('a')
    await store.remove('never')
    expect(await stored(storage, 'a')).toEqual([undefined])
  })

  test('update() reads, changes and commits one key, and deletes it for undefined', async () => {
    const storage = make()
    const store = await open({}, storage)
    expect(await store.update('n', (n = 0) => n + 1)).toBe(1)
    expect(await store.update('n', async (n) => (await Promise.resolve(n!)) + 1)).toBe(2)
    expect(await stored(storage, 'n')).toEqual([2])
    expect(await store.update('n', () => undefined)).toBeUndefined()
    expect(await stored(storage, 'n')).toEqual([undefined])
    const { version } = store
    expect(await store.update('n', () => undefined)).toBeUndefined()
    expect(store.version).toBe(version)
  })
})

test('sets that are called together share an append', async () => {
  const store = await open()
  const { requests } = store.metrics()
  const results = await Promise.all(Array.from({ length: 100 }, (_, i) => store.set(`k${i}`, i)))
  expect(store.metrics().requests.put - requests.put).toBe(1)
  expect(new Set(results.map(({ version }) => version)).size).toBe(1)
  expect(await store.count()).toBe(100)
})

test('what put() has buffered stays buffered', async () => {
  const storage = memory()
  const store = await open({}, storage)
  store.put('buffered', 1)
  await store.set('a', 1)
  await store.update('b', () => 2)
  await store.write([{ type: 'put', key: 'c', value: 3 }])
  expect(await stored(storage, 'buffered', 'a', 'b', 'c')).toEqual([undefined, 1, 2, 3])
  expect(await store.get('buffered')).toBe(1)
  await store.commit()
  expect(await stored(storage, 'buffered')).toEqual([1])
})

test('a set() of a key that is buffered is the later change, for reads and for the commit to come', async () => {
  const storage = memory()
  const store = await open({}, storage)
  store.put('a', 1)
  store.deleteRange({ prefix: 'x' })
  store.delete('d')
  const setting = Promise.all([store.set('a', 2), store.set('x1', 2), store.set('d', 2)])
  expect(await store.getMany(['a', 'x1', 'd'])).toEqual([2, 2, 2])
  await setting
  await store.commit()
  expect(await stored(storage, 'a', 'x1', 'd')).toEqual([2, 2, 2])
  store.put('a', 3)
  expect(await store.get('a')).toBe(3)
  await store.commit()
  expect(await stored(storage, 'a')).toEqual([3])
})

test('put() while a set() of the same key is on its way changes nothing of it', async () => {
  const storage = memory()
  const store = await open({}, storage)
  store.put('a', 1)
  const setting = store.set('a', 2)
  store.put('a', 3)
  await setting
  expect(await stored(storage, 'a')).toEqual([2])
  expect(await store.get('a')).toBe(3)
})

test('a set() that fails leaves what was buffered before', async () => {
  const { storage, fill } = full()
  const store = await open({}, storage)
  store.put('a', 1)
  store.deleteRange({ prefix: 'x' })
  fill()
  expect(await outcomes(store.set('a', 2), store.set('x1', 2))).toEqual(['QUOTA', 'QUOTA'])
  expect(await store.getMany(['a', 'x1'])).toEqual([1, undefined])
  await store.commit()
  expect(await stored(storage, 'a', 'x1')).toEqual([1, undefined])
})

test('a bad value or key rejects its own call alone, and never throws', async () => {
  const store = await open()
  const bad = [
    store.set('f', (() => 1) as never),
    store.set(Number.NaN as never, 1),
    store.set('u', undefined as never),
    store.set('t', 1, { ttlMs: -1 }),
    store.set('o', 1, { ttl: 1 } as never),
    store.write([
      { type: 'put', key: 'w', value: 1 },
      { type: 'put', key: 'f', value: Symbol('s') as never },
    ]),
    store.write('no' as never),
    store.update('u', 'no' as never),
    store.touch('u', { ttlMs: 0 }),
  ]
  const good = store.set('good', 1)
  expect(new Set(await outcomes(...bad))).toEqual(new Set(['INVALID_ARGUMENT']))
  await good
  expect(await store.toArray()).toEqual([['good', 1]])
})

test('an error in an update function is the error of the call, and changes nothing', async () => {
  const store = await open()
  await store.set('n', 1)
  await expect(store.update('n', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await store.get('n')).toBe(1)
})

test('the value that an update gets is its own: what it does to it nobody else sees', async () => {
  const store = (await open()) as unknown as Store<string, { n: number }>
  await store.set('k', { n: 1 })
  const before = await store.get('k')
  await expect(
    store.update('k', (value) => {
      value!.n = 99
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  expect(await store.get('k')).toEqual({ n: 1 })
  await store.update('k', (value) => {
    value!.n++
    return value
  })
  expect([before, await store.get('k')]).toEqual([{ n: 1 }, { n: 2 }])
})

test('followers and snapshots refuse all of them', async () => {
  const storage = memory()
  const store = await open({}, storage)
  await store.set('a', 1)
  const follower = await open({ mode: 'follower' }, storage)
  const snapshot = await store.snapshot()
  for (const reader of [follower, snapshot]) {
    const calls = [reader.set('a', 2), reader.remove('a'), reader.update('a', () => 2), reader.touch('a')]
    expect(await outcomes(...calls, reader.write([]))).toEqual(Array(5).fill('READ_ONLY'))
  }
})

test('inside a transaction they join it', async () => {
  const storage = memory()
  const store = await open({}, storage)
  const { version } = store
  await expect(
    store.transaction(async (tx) => {
      await tx.set('a', 1)
      await tx.update('a', (n) => n! + 1)
      throw new Error('undone')
    }),
  ).rejects.toThrow('undone')
  expect(store.version).toBe(version)
  await store.transaction(async (tx) => {
    await tx.set('a', 1)
    await tx.update('a', (n) => n! + 1)
    await tx.write([{ type: 'put', key: 'b', value: 1 }])
    await tx.remove('b')
    expect(await tx.touch('a', { ttlMs: 5000 })).toBe(true)
    expect(await tx.toArray()).toEqual([['a', 2]])
  })
  expect(await stored(storage, 'a', 'b')).toEqual([2, undefined])
  expect(await store.ttl('a')).toBeGreaterThan(0)
})

test.each(['exclusive', 'shared'] as const)('in consume() they join the batch (%s)', async (mode) => {
  const storage = memory()
  const store = await open({ mode }, storage)
  const source = fromIterable('events', ['a', 'b', 'a'])
  const { version } = await consume<string, unknown>(store as never, source, async ({ value }, state) => {
    await (state as unknown as Store<string, number>).update(value as string, (n = 0) => n + 1)
  })
  expect(await stored(storage, 'a', 'b')).toEqual([2, 1])
  expect(store.offsets).toEqual({ events: { 0: 3 } })
  expect(version).toBe(store.version)
})

test('update() is run again until it counts, however many handles change the key', async () => {
  const storage = memory()
  const stores = await Promise.all(Array.from({ length: 4 }, () => open({ mode: 'shared' }, storage)))
  const turns = stores.map(async (store) => {
    for (let i = 0; i < 100; i++) await store.update('n', (n = 0) => n + 1)
  })
  await Promise.all(turns)
  expect(await stored(storage, 'n')).toEqual([400])
})

test('set() in shared mode counts as the last one, whatever was read', async () => {
  const storage = memory()
  const [a, b] = [await open({ mode: 'shared' }, storage), await open({ mode: 'shared' }, storage)]
  await a.get('k')
  await b.set('k', 1)
  await a.set('k', 2)
  expect(await stored(storage, 'k')).toEqual([2])
})

test('ttl() tells what is left of a life, and touch() gives another one', async () => {
  const clock = movable()
  const store = await open({ clock, ttlMs: 1000 })
  store.put('buffered', 1)
  expect(await store.ttl('buffered')).toBeGreaterThan(900)
  await store.set('a', 1)
  await store.set('b', 1, { ttlMs: 10_000 })
  expect(await store.ttl('a')).toBeGreaterThan(900)
  expect(await store.ttl('a')).toBeLessThanOrEqual(1001)
  clock.pass(900)
  expect(await store.touch('a', { ttlMs: 5000 })).toBe(true)
  expect(await store.touch('never', { ttlMs: 5000 })).toBe(false)
  clock.pass(4000)
  expect(await store.get('a')).toBe(1)
  expect(await store.touch('a')).toBe(true)
  expect(await store.ttl('a')).toBeLessThanOrEqual(1001)
  clock.pass(1100)
  expect([await store.get('a'), await store.ttl('a'), await store.touch('a')]).toEqual([undefined, undefined, false])
  expect(await store.get('b')).toBe(1)
  const forever = await open()
  await forever.set('a', 1, { ttlMs: 1000 })
  expect(await forever.touch('a')).toBe(true)
  expect(await forever.ttl('a')).toBeUndefined()
  expect(await forever.get('a')).toBe(1)
})

test('touch() leaves the bytes alone: neither schema nor codec have a say', async () => {
  const encode = vi.fn((value: number) => new TextEncoder().encode(String(value)))
  const codec = { id: 'text', encode, decode: (bytes: Uint8Array) => Number(new TextDecoder().decode(bytes)) }
  const store = await open({ codec })
  await store.set('a', 1)
  await store.touch('a', { ttlMs: 5000 })
  expect(encode).toHaveBeenCalledTimes(1)
  expect(await store.get('a')).toBe(1)
})

test('count, toArray, first and last read a range', async () => {
  const store = await open({ partitions: 4 })
  for (let i = 0; i < 10; i++) store.put(`k${i}`, i)
  store.put('z', 99)
  await store.commit()
  store.delete('k9')
  expect(await store.count({ prefix: 'k' })).toBe(9)
  expect(await store.count()).toBe(10)
  expect(await store.toArray({ prefix: 'k', limit: 2 })).toEqual([
    ['k0', 0],
    ['k1', 1],
  ])
  expect(await store.toArray({ prefix: 'k', reverse: true, limit: 1 })).toEqual([['k8', 8]])
  expect(await store.first({ gt: 'k3' })).toEqual(['k4', 4])
  expect(await store.last({ prefix: 'k' })).toEqual(['k8', 8])
  expect(await store.first({ prefix: 'no' })).toBeUndefined()
  expect(await store.last({ prefix: 'k', reverse: true })).toEqual(['k0', 0])
})

test('put() inside a running transaction() warns once', async () => {
  const warnings: string[] = []
  const store = await open()
  store.on('warning', ({ message }) => warnings.push(message))
  for (let i = 0; i < 2; i++) {
    await store.transaction(async (tx) => {
      tx.put('a', 1)
      store.put('b', 1)
      store.put('c', 1)
    })
  }
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toContain('tx')
  expect(await store.get('a')).toBe(1)
})

test('warnings go to console.warn unless there is a logger, or it is false', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
  onTestFinished(() => warn.mockRestore())
  const logged: string[] = []
  for (const logger of [undefined, false, { warn: (message: string) => logged.push(message) }] as const) {
    const store = await openStore({ storage: memory(), name: 's', logger })
    store.put('a', 1)
    store.put('b', 1)
    store.deleteRange({ prefix: 'c' })
    await store.close()
  }
  expect(warn).toHaveBeenCalledTimes(1)
  const [message] = warn.mock.calls[0]!
  expect(message).toMatch(/close\(\) dropped 3 uncommitted changes.*commit\(\).*set\(\)/)
  expect(logged).toEqual([message])
})

test('an unawaited set() is durable when close() resolves', async () => {
  const storage = memory()
  const store = await open({}, storage)
  const setting = store.set('a', 1)
  await store.close()
  await setting
  expect(await stored(storage, 'a')).toEqual([1])
  expect(
    await outcomes(
      store.set('b', 1),
      store.update('b', () => 1),
      store.count(),
    ),
  ).toEqual(Array(3).fill('CLOSED'))
  expect(code('CLOSED')).toBeDefined()
})

test('wrong options of a call are refused, whatever the call comes to', async () => {
  const store = await open()
  await store.set('a', 1)
  const call = (name: keyof Store, ...args: unknown[]): Promise<unknown> =>
    (store[name] as (...given: unknown[]) => Promise<unknown>).call(store, ...args)
  const wrong: [keyof Store, ...unknown[]][] = [
    ['set', 'a', 2, null],
    ['set', 'a', 2, 5],
    ['set', 'a', 2, { key: 'b' }],
    ['set', 'a', 2, { type: 'del' }],
    ['update', 'a', () => undefined, null],
    ['update', 'none', () => undefined, { ttl: 1 }],
    ['touch', 'none', null],
    ['get', 'a', null],
    ['has', 'a', 0],
    ['ttl', 'a', ''],
    ['getMany', ['a'], false],
  ]
  for (const args of wrong) await expect(call(...args), args.join()).rejects.toThrow(code('INVALID_ARGUMENT'))
  expect(await store.get('a')).toBe(1)
  const live = store.live()
  for (const act of [
    () => live.subscribe(undefined as never),
    () => live.subscribe(5 as never),
    () => store.watch((() => undefined) as never, () => undefined),
  ]) {
    expect(act).toThrow(code('INVALID_ARGUMENT'))
  }
  for (const logger of [true, null, 5, { warn: 1 }]) {
    await expect(open({ logger } as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
  }
})

test('an update() within another one is told at once', async () => {
  const store = await open()
  const nested = store.update('a', async () => {
    await store.update('b', () => 1)
    return 2
  })
  await expect(nested).rejects.toThrow(code('INVALID_ARGUMENT'))
  expect(await store.update('a', () => 3)).toBe(3)
  expect(await store.get('b')).toBeUndefined()
})
