import { describe, expect, test } from 'vitest'
import { openStore, type Codec, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { sizeOfChange } from '../../../src/store/size.js'
import { handleOf } from '../../../src/store/handles.js'
import { eachAdapter } from '../../support/counting.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...options })
const TINY = { checkpoint: { entries: 3, bytes: 400 }, segmentBytes: 300, blockBytes: 60 }

eachAdapter(adapters, 'maxUncommittedBytes on %s', (make) => {
  test('refuses a put beyond it with QUOTA, keeps what is buffered, and goes on after a commit', async () => {
    const store = await open(make(), { maxUncommittedBytes: 100_000 })
    const value = 'x'.repeat(10_000)
    let taken = 0
    expect(() => {
      for (; ; taken++) store.put(taken, value)
    }).toThrow(code('QUOTA'))
    expect(taken).toBe(9)
    expect(() => store.batch([{ type: 'put', key: 'b', value }])).toThrow(code('QUOTA'))
    expect(await store.get(8)).toBe(value)
    // Changes that make it no larger go through: the same keys again, deletes of large values, ranges.
    store.put(0, value)
    store.batch([
      { type: 'put', key: 1, value },
      { type: 'put', key: 1, value },
    ])
    store.delete(8)
    expect(await store.get(8)).toBeUndefined()
    await store.commit()
    expect((await collect(store.keys())).length).toBe(8)
    for (let i = 0; i < 9; i++) store.put(i, value)
    store.deleteRange({ gte: 0 })
    for (let i = 0; i < 9; i++) store.put(i, value)
    store.discard()
    for (let i = 0; i < 9; i++) store.put(i, value)
    await store.commit()
    await store.close()
  })

  test('counts for each transaction by itself', async () => {
    const store = await open(make(), { maxUncommittedBytes: 100_000 })
    store.put('mine', 'x'.repeat(90_000))
    await store.transaction((tx) => tx.put('a', 'x'.repeat(90_000)))
    const large = store.transaction((tx) => {
      tx.put('b', 'x'.repeat(90_000))
      tx.put('c', 'x'.repeat(90_000))
    })
    await expect(large).rejects.toThrow(code('QUOTA'))
    await store.commit()
    expect(await collect(store.keys())).toEqual(['a', 'mine'])
    await store.close()
  })
})

test('a key that is put a million times is counted once', async () => {
  const store = await open(memory(), { maxUncommittedBytes: 10_000 })
  for (let i = 0; i < 1_000_000; i++) store.put(i % 10, i)
  await store.commit()
  await store.close()
})

test('changes that came back from a failed commit count again', async () => {
  let isFull = false
  const storage = faulty(memory(), ({ method }) => (isFull && method === 'append' ? 'quota' : undefined))
  const store = await open(storage, { maxUncommittedBytes: 10_000 })
  store.put('a', 'x'.repeat(9000))
  isFull = true
  await expect(store.commit()).rejects.toThrow(code('QUOTA'))
  expect(() => store.put('b', 'x'.repeat(9000))).toThrow(code('QUOTA'))
  isFull = false
  await store.commit()
  store.put('b', 'x'.repeat(9000))
  await store.close()
})

test('range deletes count too, and those that shrink the buffer always go through', async () => {
  const store = await open(memory(), { maxUncommittedBytes: 10_000 })
  let taken = 0
  expect(() => {
    // Apart from each other, so that each is one of its own.
    for (; ; taken += 2) store.deleteRange({ gte: taken, lt: taken + 1 })
  }).toThrow(code('QUOTA'))
  expect(taken).toBeLessThan(400)
  store.deleteRange({ gte: 0 })
  for (let i = 0; i < 50; i++) store.put(i, i)
  store.clear()
  store.put('x', 'y'.repeat(9000))
  store.deleteRange({ prefix: 'x' })
  await store.commit()
  await store.close()
})

test('what is queued or in flight counts until it is committed', async () => {
  const store = await open(memory(), { maxUncommittedBytes: 10_000 })
  store.put('a', 'x'.repeat(6000))
  const first = store.commit()
  expect(() => store.put('b', 'x'.repeat(6000))).toThrow(code('QUOTA'))
  const small = store.transaction((tx) => tx.put('c', 'x'.repeat(6000)))
  await expect(small).rejects.toThrow(code('QUOTA'))
  await first
  store.put('b', 'x'.repeat(6000))
  await store.commit()
  expect(await collect(store.keys())).toEqual(['a', 'b'])
  await store.close()
})

test('meta is nested no deeper than values may be, so that it can be read and printed everywhere', async () => {
  const store = await open(memory())
  const nested = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
  store.put('a', 1)
  for (const meta of [nested(501), { f: nested(10_000) }, () => 1, 5n]) {
    await expect(store.commit({ meta })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  }
  await store.commit({ meta: nested(500) })
  for await (const { meta } of store.versions()) expect(JSON.stringify(meta).length).toBe(1000)
  await store.close()
})

describe('the estimated size of a change', () => {
  const cyclic: Record<string, unknown> = { name: 'x'.repeat(50_000) }
  cyclic['self'] = cyclic
  const shared = { text: 'x'.repeat(30_000) }
  test.each([
    ['text', 'x'.repeat(100_000), 100_000],
    ['text of two bytes', 'é'.repeat(50_000), 100_000],
    ['text of three bytes', '語'.repeat(50_000), 150_000],
    ['text of four bytes', '😀'.repeat(50_000), 200_000],
    ['mixed text', 'ab語é'.repeat(20_000), 140_000],
    ['bytes', new Uint8Array(100_000), 100_000],
    ['a bigint', 1n << 800_000n, 100_000],
    ['an object of texts', { a: 'x'.repeat(50_000), b: { c: ['x'.repeat(50_000)] } }, 100_000],
    ['an array of bytes', Array.from({ length: 100 }, () => new Uint8Array(1000)), 100_000],
    ['an array of many texts', Array.from({ length: 5000 }, () => 'x'.repeat(100)), 500_000],
    ['a map of texts', new Map([['k', 'x'.repeat(50_000)]]), 50_000],
    ['a set of texts', new Set(['x'.repeat(50_000)]), 50_000],
    ['an object of two names for one', { a: shared, b: shared }, 60_000],
  ])('is within a factor of two for %s', (_, value, bytes) => {
    expect(sizeOfChange('k', value)).toBeGreaterThan(bytes / 2)
    expect(sizeOfChange('k', value)).toBeLessThan(bytes * 2)
    expect(sizeOfChange('x'.repeat(1000), 1)).toBeGreaterThan(1000)
  })

  test('ends for cycles and for values that throw', () => {
    expect(sizeOfChange('k', cyclic)).toBeGreaterThan(50_000)
    const throwing = Object.defineProperty({}, 'a', {
      enumerable: true,
      get: () => {
        throw new Error('mine')
      },
    })
    expect(sizeOfChange('k', throwing)).toBeLessThan(1000)
  })
})

eachAdapter(adapters, 'freeze on %s', (make) => {
  test('freezes what is put and what is read, deeply, bytes and cycles aside', async () => {
    const storage = make()
    const store = await open(storage, { freeze: true })
    const value = { list: [{ n: 1 }], bytes: new Uint8Array(2), map: new Map([['k', { n: 1 }]]), date: new Date(0) }
    store.put('a', value)
    expect(() => (value.list[0]!.n = 2)).toThrow(TypeError)
    expect(() => value.list.push({ n: 2 })).toThrow(TypeError)
    expect(() => (value.map.get('k')!.n = 2)).toThrow(TypeError)
    value.bytes[0] = 1
    store.table('t').batch([{ type: 'put', key: 'b', value: [[1]] }])
    const cycle: unknown[] = []
    cycle.push(cycle)
    store.put('cycle', cycle)
    expect(Object.isFrozen(cycle)).toBe(true)
    store.delete('cycle')
    await store.commit()
    await store.transaction((tx) => tx.put('tx', { n: 1 }))
    await store.close()

    const again = await open(storage, { freeze: true })
    const read = (await again.get('a')) as typeof value
    expect(read).toEqual(value)
    expect(() => (read.list[0]!.n = 2)).toThrow(TypeError)
    const [inner] = (await again.table('t').get('b')) as number[][]
    expect(() => inner!.push(1)).toThrow(TypeError)
    for await (const [, each] of again.entries()) expect(Object.isFrozen(each)).toBe(true)
    const snap = await again.snapshot()
    expect(Object.isFrozen(await snap.get('tx'))).toBe(true)
    await again.close()
  })

  test('is off by default, and leaves instances of classes alone', async () => {
    class Point {
      constructor(public x: number) {}
    }
    const codec: Codec<Point> = {
      id: 'point',
      encode: ({ x }) => Uint8Array.of(x),
      decode: ([x]) => new Point(x!),
    }
    const store = await open(make(), { freeze: true })
    const point = new Point(1)
    store.table<string, Point>('p', { codec }).put('a', point)
    point.x = 2
    await store.close()
    const thawed = await open(memory())
    const value = { n: 1 }
    thawed.put('a', value)
    expect(Object.isFrozen(value)).toBe(false)
    await thawed.close()
  })
})

eachAdapter(adapters, 'a resident store on %s', (make) => {
  const fill = async (store: Store, rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 12; i++) store.put((round * 5 + i) % 60, `round ${round}`)
      if (round % 7 === 3) store.deleteRange({ gte: 10, lt: 14 })
      await store.commit()
    }
  }
  const expectResident = async (store: Store): Promise<void> => {
    const known = new Map(await collect(store.entries()))
    const { misses } = store.metrics().cache
    for (let key = -1; key <= 61; key++) expect(store.getSync(key)).toEqual(known.get(key))
    expect(store.metrics().cache.misses).toBe(misses)
  }

  test('answers getSync after folds, merges, large commits, reopen() and reopening, whatever cacheBytes says', async () => {
    const storage = make()
    const options = { ...TINY, resident: true, cacheBytes: 0 }
    const store = await open(storage, options)
    await fill(store, 40)
    expect(store.metrics().compactions).toBeGreaterThan(0)
    await expectResident(store)
    await store.checkpoint()
    await expectResident(store)
    store.put('large', 'x'.repeat(5000))
    await store.commit()
    expect(store.getSync('large')).toHaveLength(5000)
    await store.reopen()
    await expectResident(store)
    await store.close()
    const again = await open(storage, options)
    await expectResident(again)
    expect(again.getSync('large')).toHaveLength(5000)
    await again.close()
    for (const bloomBits of [0, 4]) {
      const other = await open(storage, { ...options, bloomBits })
      await fill(other, 6)
      await expectResident(other)
      await other.close()
    }
  })

  test('that follows has everything in memory at every moment', async () => {
    const storage = make()
    const store = await open(storage, TINY)
    await fill(store, 10)
    const follower = await open(storage, { mode: 'follower', resident: true, cacheBytes: 0 })
    await expectResident(follower)
    for (let i = 0; i < 5; i++) {
      await fill(store, 9)
      const refreshing = follower.refresh()
      follower.getSync(1)
      await refreshing
      await expectResident(follower)
    }
    await follower.close()
    await store.close()
  })

  test('keeps what a snapshot needs until the snapshot is closed, and nothing for longer', async () => {
    const storage = make()
    const store = await open(storage, { ...TINY, resident: true, cacheBytes: 0 })
    await fill(store, 10)
    await store.checkpoint()
    const snap = await store.snapshot()
    const before = new Map(await collect(snap.entries()))
    const { cache, state } = handleOf(store)
    const segments = state.manifest.runs.flat()
    const inMemory = (): number => segments.filter((segment) => cache.index(segment) !== undefined).length
    expect(inMemory()).toBe(segments.length)
    await fill(store, 60)
    await store.checkpoint()
    for (let key = 0; key < 60; key++) expect(snap.getSync(key)).toEqual(before.get(key))
    const other = await store.snapshot()
    await snap.close()
    await snap.close()
    expect(inMemory()).toBe(segments.length)
    expect(other.getSync(1)).toEqual(await store.get(1))
    await other.close()
    const live = new Set(
      handleOf(store)
        .state.manifest.runs.flat()
        .map(({ name }) => name),
    )
    expect(segments.some(({ name }) => !live.has(name))).toBe(true)
    expect(inMemory()).toBe(segments.filter(({ name }) => live.has(name)).length)
    await expectResident(store)
    await store.close()
  })

  test('is opened from the log when a segment is damaged, says so, and shows nothing else', async () => {
    const storage = make()
    const store = await open(storage, TINY)
    await fill(store, 10)
    await store.checkpoint()
    await store.close()
    // In a block, and in the header, which only the check of the whole looks at.
    for (const at of [20, 0]) {
      const damaged = faulty(storage, ({ target, method, path }) =>
        target === 'blobs' && method === 'get' && !path.includes('probe')
          ? {
              corrupt: (bytes) => {
                bytes[at]! ^= 1
                return bytes
              },
            }
          : undefined,
      )
      const repaired = await open(damaged, { mode: 'follower', resident: true })
      await expectResident(repaired)
      expect(repaired.metrics().repaired).toBeGreaterThan(0)
      await repaired.close()
    }
    const again = await open(storage, { resident: true })
    await expectResident(again)
    await again.close()
  })
})

test('a resident store lets go of what was uploaded and never listed, however often commits fail', async () => {
  let isFull = false
  const storage = faulty(memory(), ({ method }) => (isFull && method === 'append' ? 'quota' : undefined))
  const store = await open(storage, { ...TINY, resident: true })
  for (let i = 0; i < 10; i++) {
    store.put(i, 'x'.repeat(500))
    isFull = i % 2 === 0
    if (isFull) await expect(store.commit()).rejects.toThrow(code('QUOTA'))
    else await store.commit()
  }
  isFull = false
  await store.commit()
  await store.checkpoint()
  const { cache, state } = handleOf(store)
  expect([...cache.names]).toHaveLength(state.manifest.runs.flat().length)
  for (let i = 0; i < 10; i++) expect(store.getSync(i)).toBe('x'.repeat(500))
  await store.close()
})

describe('a resident store keeps a large commit that no manifest lists yet in memory', () => {
  const large = async (): Promise<{ store: Store; fail: (method: string | undefined) => void }> => {
    let failing: string | undefined
    const storage = faulty(memory(), ({ method }) => (method === failing ? 'error-before' : undefined))
    const options = { ...TINY, checkpoint: { entries: 4, bytes: 400 }, resident: true, cacheBytes: 0 }
    const store = await open(storage, options)
    store.put('large', 'x'.repeat(5000))
    await store.commit()
    expect(handleOf(store).state.tail.some(({ references }) => references)).toBe(true)
    return { store, fail: (method) => (failing = method) }
  }

  test('when a fold fails', async () => {
    const { store, fail } = await large()
    const warned = new Promise((resolve) => store.on('warning', resolve))
    fail('put')
    for (let i = 0; i < 2; i++) {
      store.put(i, i)
      await store.commit()
    }
    await warned
    expect(store.getSync('large')).toHaveLength(5000)
    fail(undefined)
    await store.checkpoint()
    expect(store.getSync('large')).toHaveLength(5000)
    await store.close()
  })

  test('when reopen() fails', async () => {
    const { store, fail } = await large()
    fail('read')
    await expect(store.reopen()).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
    expect(store.getSync('large')).toHaveLength(5000)
    fail(undefined)
    await store.reopen()
    expect(store.getSync('large')).toHaveLength(5000)
    await store.close()
  })
})

test('a resident follower that could not load all of a state keeps nothing of it', async () => {
  let gets = Infinity
  const storage = memory()
  const failing = faulty(storage, ({ target, method }) =>
    target === 'blobs' && method === 'get' && gets-- <= 0 ? 'error-before' : undefined,
  )
  const writer = await open(storage, TINY)
  const follower = await open(failing, { mode: 'follower', resident: true, cacheBytes: 0 })
  for (let i = 0; i < 100; i++) writer.put(i, `value ${i}`)
  await writer.commit()
  await writer.checkpoint()
  const segments = handleOf(writer).state.manifest.runs.flat()
  expect(segments.length).toBeGreaterThan(5)
  const { cache } = handleOf(follower)
  const held = (): number => segments.filter((segment) => cache.index(segment) !== undefined).length
  gets = 3
  await expect(follower.refresh()).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
  expect(held()).toBe(0)
  gets = Infinity
  await follower.refresh()
  expect(held()).toBe(segments.length)
  expect(follower.getSync(50)).toBe('value 50')
  await Promise.all([writer.close(), follower.close()])
})

test('resident, freeze and maxUncommittedBytes refuse what they cannot mean', async () => {
  for (const odd of [{ resident: 1 }, { freeze: 'yes' }, { maxUncommittedBytes: 0 }, { maxUncommittedBytes: 1.5 }]) {
    await expect(open(memory(), odd as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
  }
})
