import { expect, test } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { faulty } from 'tidemark/testing'
import { partitionOf } from '../../../src/store/reads.js'
import { eachAdapter } from '../../support/counting.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): unknown => expect.objectContaining({ code: expected })

eachAdapter(adapters, 'a store on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...options })

  test('keeps what was committed and forgets what was not', async () => {
    const storage = make()
    const store = await open(storage)
    expect(store.version).toBe(0)
    expect(store.offsets).toEqual({})
    store.put('a', 1)
    const { version, bytes, requests } = await store.commit()
    expect(version).toBe(store.version)
    expect(bytes).toBeGreaterThan(0)
    expect(requests).toBe(1)
    store.put('a', 2)
    store.put('b', 3)
    await store.close()
    const again = await open(storage)
    expect(await again.get('a')).toBe(1)
    expect(await again.get('b')).toBeUndefined()
    expect(again.version).toBe(version)
    await again.close()
  })

  test('makes a version of a commit without changes', async () => {
    const store = await open(make())
    const first = await store.commit()
    const second = await store.commit({ label: 'nothing' })
    expect(second.version).toBeGreaterThan(first.version)
    expect((await collect(store.versions())).map((v) => v.label)).toEqual([undefined, 'nothing'])
    await store.close()
  })

  test('reads what is buffered, and discard() drops it', async () => {
    const store = await open(make())
    store.put('a', 1)
    await store.commit()
    store.put('a', 2)
    store.put('b', 2)
    store.delete('a')
    expect(await store.get('a')).toBeUndefined()
    expect(store.getSync('b')).toBe(2)
    expect(await collect(store.entries())).toEqual([['b', 2]])
    store.discard()
    expect(await collect(store.entries())).toEqual([['a', 1]])
    await store.close()
  })

  test('a read shows what was there when it was called, whatever is put in the same turn', async () => {
    const store = await open(make())
    store.put('a', 1)
    store.put('b', { is: 'old' })
    const scan = store.entries()
    expect(await scan.next()).toEqual({ done: false, value: ['a', 1] })
    const reads = [store.get('a'), store.getMany(['a', 'b']), store.has('c'), collect(scan)]
    store.put('a', 2)
    store.put('b', { is: 'new' })
    store.put('c', 3)
    expect(await Promise.all(reads)).toEqual([1, [1, { is: 'old' }], false, [['b', { is: 'old' }]]])
    expect(await store.getMany(['a', 'b', 'c'])).toEqual([2, { is: 'new' }, 3])
    await store.close()
  })

  test('close() leaves a tail within its bound, and a failure to do that loses nothing', async () => {
    const storage = make()
    const life = async (fails: boolean, text: string): Promise<number> => {
      let isOpen = false
      const on = faulty(storage, ({ method }) => (fails && isOpen && method === 'put' ? 'error-before' : undefined))
      const warnings: string[] = []
      const logger = { warn: (message: string) => warnings.push(message) }
      const store = await open(on, { checkpoint: { bytes: 2_000 }, timeoutMs: 500, logger })
      isOpen = true
      let last: Promise<unknown> | undefined
      for (let i = 0; i < 5; i++) {
        store.put(i, text.repeat(100))
        await last
        last = store.commit()
      }
      // The last one is still on its way.
      await store.close()
      await last
      expect(warnings.length > 0).toBe(fails)
      const reader = await open(storage, { mode: 'follower' })
      for (let i = 0; i < 5; i++) expect(await reader.get(i)).toBe(text.repeat(100))
      const { tail } = reader.metrics()
      await reader.close()
      return tail
    }
    expect(await life(true, 'first')).toBeGreaterThan(4)
    expect(await life(false, 'second')).toBeLessThan(4)
  })

  test('batch() applies all of its changes or, when one is refused, none', async () => {
    const store = await open(make())
    store.batch([
      { type: 'put', key: 'a', value: 1 },
      { type: 'put', key: 'b', value: 2 },
      { type: 'del', key: 'a' },
    ])
    expect(await store.getMany(['a', 'b'])).toEqual([undefined, 2])
    expect(() =>
      store.batch([
        { type: 'put', key: 'c', value: 1 },
        { type: 'put', key: Number.NaN, value: 1 },
      ]),
    ).toThrow(code('INVALID_ARGUMENT') as Error)
    expect(() =>
      store.batch([
        { type: 'put', key: 'c', value: 1 },
        { type: 'put', key: 'd', value: undefined },
      ]),
    ).toThrow(code('INVALID_ARGUMENT') as Error)
    expect(await store.has('c')).toBe(false)
    await store.close()
  })

  test('a value that cannot be encoded fails the commit by name, and nothing of it is committed', async () => {
    const storage = make()
    const store = await open(storage)
    store.put('good', 1)
    store.put('bad', { f: () => 1 })
    await expect(store.commit()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /"bad".* A function at "f" cannot be stored\. After a put\(\), delete the key/,
      ) as string,
    })
    expect(store.version).toBe(0)
    store.delete('bad')
    await store.commit()
    expect(await collect(store.keys())).toEqual(['good'])
    store.put('bad', Symbol('s'))
    await expect(store.commit()).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    store.discard()
    await store.commit()
    await store.close()
  })

  test('an iteration sees the state as of its first next(), whatever is written meanwhile', async () => {
    const store = await open(make(), { checkpoint: { entries: 2 }, blockBytes: 50 })
    for (let i = 0; i < 20; i++) store.put(i, 'old')
    await store.commit()
    await store.checkpoint()
    const iteration = store.entries()
    store.put(-1, 'before the first next')
    const first = await iteration.next()
    expect(first.value).toEqual([-1, 'before the first next'])
    for (let i = 0; i < 20; i++) store.put(i, 'new')
    store.clear()
    await store.commit()
    await store.checkpoint()
    expect(await collect(iteration)).toEqual(Array.from({ length: 20 }, (_, i) => [i, 'old']))
    expect(await collect(store.entries())).toEqual([])
    await store.close()
  })

  test('an aborted iteration ends with ABORTED, and several next() at once come in order', async () => {
    const store = await open(make(), { blockBytes: 40 })
    for (let i = 0; i < 30; i++) store.put(i, i)
    await store.commit()
    await store.checkpoint()
    const keys = store.keys()
    const several = await Promise.all(Array.from({ length: 32 }, () => keys.next()))
    expect(several.map((r) => r.value)).toEqual([...Array(30).keys(), undefined, undefined])
    const controller = new AbortController()
    const aborted = store.keys({ signal: controller.signal })
    await aborted.next()
    controller.abort()
    await expect(aborted.next()).rejects.toThrow(code('ABORTED') as Error)
    expect(await aborted.next()).toEqual({ done: true, value: undefined })
    await store.close()
  })

  test('getSync() answers from memory and says NOT_RESIDENT otherwise', async () => {
    const storage = make()
    const store = await open(storage)
    store.put('a', 1)
    await store.commit()
    await store.checkpoint()
    await store.close()
    const again = await open(storage)
    expect(() => again.getSync('a')).toThrow(code('NOT_RESIDENT') as Error)
    expect(await again.get('a')).toBe(1)
    expect(again.getSync('a')).toBe(1)
    await again.close()
  })

  test('keys go to their partition, are read through it, and other partitions do not show them', async () => {
    const storage = make()
    const store = await open(storage, { partitions: 4 })
    const home = partitionOf('k', 4)
    store.put('k', 1)
    expect(await store.partition(home).get('k')).toBe(1)
    expect(await store.partition((home + 1) % 4).get('k')).toBeUndefined()
    const named = (home + 2) % 4
    store.partition(named).put('n', 2)
    store.partition(named).table('t').put('n', 3)
    await store.commit()
    await store.checkpoint()
    expect(await store.partition(named).get('n')).toBe(2)
    expect(await store.partition(named).table('t').get('n')).toBe(3)
    expect(await collect(store.entries())).toEqual([
      ['k', 1],
      ['n', 2],
    ])
    expect(await collect(store.partition(home).keys())).toEqual(partitionOf('n', 4) === home ? ['k'] : ['k'])
    for (const bad of [4, -1, 0.5, Number.NaN])
      expect(() => store.partition(bad)).toThrow(code('INVALID_ARGUMENT') as Error)
    await store.close()
    await expect(open(storage, { partitions: 3 })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    const again = await open(storage)
    expect(again.partitions).toBe(4)
    await again.close()
  })

  test('offsets are committed with the data, merged, and never go back', async () => {
    const storage = make()
    const store = await open(storage)
    await store.commit({ offsets: { a: 30, b: { 0: 5n, 2: 'x' } } })
    await expect(store.commit({ offsets: { a: 29 } })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    await store.commit({ offsets: { a: 31 } })
    await store.commit({ offsets: { b: { 1: 7 } } })
    await expect(store.commit({ offsets: { b: { 0: 4 } } })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    await expect(store.commit({ offsets: { b: 4 } })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    expect(store.offsets).toEqual({ a: 31, b: { 0: 5n, 1: 7, 2: 'x' } })
    await store.commit({ offsets: { a: 3 }, force: true })
    await store.commit()
    await store.close()
    const again = await open(storage)
    expect(again.offsets).toEqual({ a: 3, b: { 0: 5n, 1: 7, 2: 'x' } })
    for (const bad of [{ a: Number.NaN }, { a: null }, { a: { x: 1 } }, { a: {}, b: true }, 5]) {
      await expect(again.commit({ offsets: bad as never })).rejects.toThrow(code('INVALID_ARGUMENT') as Error)
    }
    await again.close()
  })

  test('a source named __proto__ is a source like any other', async () => {
    const store = await open(make())
    await store.commit({ offsets: JSON.parse('{"__proto__": 5}') as Record<string, number> })
    expect(Object.keys(store.offsets)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(store.offsets)).toBe(Object.prototype)
    await store.close()
  })

  test('a hundred opens without a commit lose neither offsets nor versions', async () => {
    const storage = make()
    const options = { checkpoint: { entries: 16 } }
    const store = await open(storage, options)
    store.put('a', 1)
    const { version } = await store.commit({ offsets: { s: 7 } })
    await store.close()
    for (let i = 0; i < 100; i++) {
      const again = await open(storage, options)
      expect([again.version, again.offsets, await again.get('a')]).toEqual([version, { s: 7 }, 1])
      expect(again.metrics().tail).toBeLessThanOrEqual(17)
      await again.close()
    }
  })

  test('labels and meta come back with the versions', async () => {
    const store = await open(make(), { checkpoint: { entries: 4 } })
    const made: number[] = []
    for (let i = 0; i < 40; i++)
      made.push((await store.commit({ label: `l${i}`, meta: { i, list: [i] }, offsets: { s: i } })).version)
    const all = await collect(store.versions())
    expect(all.map((v) => [v.version, v.label, v.meta, v.offsets])).toEqual(
      made.map((version, i) => [version, `l${i}`, { i, list: [i] }, { s: i }]),
    )
    expect((await collect(store.versions({ reverse: true, limit: 2 }))).map((v) => v.label)).toEqual(['l39', 'l38'])
    expect((await collect(store.versions({ gte: made[3], lte: made[5] }))).map((v) => v.label)).toEqual([
      'l3',
      'l4',
      'l5',
    ])
    expect(all.some((v) => v.folded)).toBe(true)
    await store.close()
  })

  test('commits that are not waited for each get the version that holds their changes', async () => {
    const store = await open(make())
    const before = store.metrics().requests.put
    const commits = Array.from({ length: 64 }, (_, i) => {
      store.put(i, i)
      return store.commit()
    })
    const results = await Promise.all(commits)
    expect(store.metrics().requests.put - before).toBeLessThan(16)
    expect(results.map((r) => r.version)).toEqual(results.map((r) => r.version).sort((a, b) => a - b))
    expect((await collect(store.keys())).length).toBe(64)
    await store.close()
  })

  test('no space leaves the version before whole and keeps the changes for another try', async () => {
    const inner = make()
    let full = false
    const storage = faulty(inner, (point) =>
      full && (point.method === 'append' || point.method === 'put') ? 'quota' : undefined,
    )
    const store = await open(storage)
    store.put('a', 1)
    const { version } = await store.commit()
    full = true
    store.put('a', 2)
    store.put('b', 2)
    const first = store.commit({ offsets: { s: 1 } })
    store.put('b', 3)
    const second = store.commit({ offsets: { s: 2 } })
    await expect(first).rejects.toThrow(code('QUOTA') as Error)
    await expect(second).rejects.toThrow(code('QUOTA') as Error)
    expect([store.version, store.offsets, await store.get('b')]).toEqual([version, {}, 3])
    full = false
    await store.commit({ offsets: { s: 1 } })
    expect(await collect(store.entries())).toEqual([
      ['a', 2],
      ['b', 3],
    ])
    await store.close()
    const again = await open(inner)
    expect(await collect(again.entries())).toEqual([
      ['a', 2],
      ['b', 3],
    ])
    await again.close()
  })

  test('folding reuses segments by reference: three kept and one new uploads exactly one', async () => {
    const store = await open(make())
    for (let i = 0; i < 3; i++) {
      store.put(`key ${i}`, i)
      await store.commit()
      await store.checkpoint()
    }
    const before = store.metrics()
    expect(before.segments).toMatchObject({ written: 3, live: 3 })
    store.put('key 3', 3)
    await store.commit()
    await store.checkpoint()
    const after = store.metrics()
    expect(after.segments.written - before.segments.written).toBe(1)
    expect(after.segments.reused - before.segments.reused).toBe(3)
    expect(after.segments.live).toBe(4)
    await store.close()
  })

  test('blobs of the same size with other content never meet: every upload has a name of its own', async () => {
    const storage = make()
    const store = await open(storage)
    for (const value of ['aaaa', 'bbbb', 'cccc']) {
      store.put('k', value)
      await store.commit()
      await store.checkpoint()
    }
    const { items } = await storage.blobs.list('s/')
    expect(items.length).toBe(3)
    expect(new Set(items.map(({ name }) => name)).size).toBe(3)
    expect(new Set(items.map(({ size }) => size)).size).toBe(1)
    expect(await store.get('k')).toBe('cccc')
    await store.close()
  })

  test('values with a time to live disappear from live reads when it is over', async () => {
    let now = 1_000_000
    const { systemClock } = await import('tidemark')
    const clock = { ...systemClock, now: () => now }
    const storage = make()
    const store = await open(storage, { clock, ttlMs: 1000 })
    store.put('short', 1)
    store.put('long', 2, { ttlMs: 5000 })
    await store.commit()
    await store.checkpoint()
    now += 1500
    expect(await collect(store.entries())).toEqual([['long', 2]])
    expect(await store.has('short')).toBe(false)
    now += 5000
    expect(await collect(store.keys())).toEqual([])
    await store.close()
  })
})
