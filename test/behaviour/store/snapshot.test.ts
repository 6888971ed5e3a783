import { eachAdapter } from '../../support/counting.js'
import { expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const TINY = { checkpoint: { entries: 2, bytes: 400 }, segmentBytes: 300, blockBytes: 60 }

eachAdapter(adapters, 'a snapshot on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...options })

  test('shows what was committed, and nothing that is buffered or comes later', async () => {
    const store = await open(make())
    store.put('a', 1)
    store.put('b', 2)
    await store.commit({ offsets: { clicks: 7 } })
    store.put('a', 'buffered')
    const snap = await store.snapshot()
    store.put('c', 'later')
    store.delete('b')
    const { version } = await store.commit({ offsets: { clicks: 8 } })
    expect(await snap.get('a')).toBe(1)
    expect(await snap.getMany(['b', 'c'])).toEqual([2, undefined])
    expect(snap.getSync('b')).toBe(2)
    expect(await snap.has('c')).toBe(false)
    expect(await collect(snap.entries({ reverse: true }))).toEqual([
      ['b', 2],
      ['a', 1],
    ])
    expect(await collect(snap.keys())).toEqual(['a', 'b'])
    expect(await collect(snap.values())).toEqual([1, 2])
    expect(snap.offsets).toEqual({ clicks: 7 })
    expect(snap.version).toBeLessThan(version)
    const [first] = await collect(store.versions())
    expect([snap.version, snap.time]).toEqual([first!.version, first!.time])
    await store.close()
  })

  test('does not show a commit that is still on its way', async () => {
    const store = await open(make())
    store.put('a', 1)
    const committing = store.commit()
    const snap = await store.snapshot()
    expect(snap.version).toBe(0)
    await committing
    expect(await snap.get('a')).toBeUndefined()
    await store.close()
  })

  test('has tables and partitions', async () => {
    const store = await open(make(), { partitions: 3 })
    store.table('t').put('a', 1)
    store.partition(2).put('p', 2)
    store.partition(1).table('t').put('q', 3)
    await store.commit()
    const snap = await store.snapshot()
    store.table('t').clear()
    store.clear()
    await store.commit()
    expect(await snap.table('t').get('a')).toBe(1)
    expect(await snap.partition(2).get('p')).toBe(2)
    expect(await snap.partition(1).table('t').get('q')).toBe(3)
    expect(await collect(snap.keys())).toEqual(['p'])
    expect(snap.partitions).toBe(3)
    expect(() => snap.partition(3)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => snap.table(7 as never)).toThrow(code('INVALID_ARGUMENT'))
    await store.close()
  })

  test('stays the same across commits, folds, merges and reopen()', async () => {
    const store = await open(make(), TINY)
    for (let i = 0; i < 40; i++) store.put(i, `first ${i}`)
    await store.commit()
    const expected = await collect(store.entries())
    const snap = await store.snapshot()
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 10; i++) store.put((round * 7 + i) % 50, `round ${round}`)
      if (round % 10 === 4) store.deleteRange({ gte: 5, lt: 20 })
      await store.commit()
      if (round % 5 === 0) await store.checkpoint()
    }
    // Merges go on beside commits; this waits for them.
    await store.maintain()
    expect(store.metrics().folds).toBeGreaterThan(3)
    expect(store.metrics().compactions).toBeGreaterThan(0)
    expect(await collect(snap.entries())).toEqual(expected)
    await store.reopen()
    expect(await collect(snap.entries({ prefix: [] }))).toEqual([])
    expect(await collect(snap.entries())).toEqual(expected)
    expect(await snap.getMany([3, 7])).toEqual(['first 3', 'first 7'])
    await store.close()
  })

  test('refuses every write with READ_ONLY, and everything with CLOSED once it is closed', async () => {
    const store = await open(make())
    store.put('a', 1)
    await store.commit()
    const snap = await store.snapshot()
    const table = snap.table('t')
    const partition = snap.partition(0)
    for (const writer of [snap, table, partition]) {
      expect(() => writer.put('a', 2)).toThrow(code('READ_ONLY'))
      expect(() => writer.delete('a')).toThrow(code('READ_ONLY'))
      expect(() => writer.deleteRange({ gte: 'a' })).toThrow(code('READ_ONLY'))
      expect(() => writer.clear()).toThrow(code('READ_ONLY'))
      expect(() => writer.batch([{ type: 'del', key: 'a' }])).toThrow(code('READ_ONLY'))
    }
    expect(await snap.get('a')).toBe(1)
    await snap.close()
    await snap.close()
    await snap[Symbol.asyncDispose]()
    await expect(snap.get('a')).rejects.toThrow(code('CLOSED'))
    await expect(partition.has('a')).rejects.toThrow(code('CLOSED'))
    await expect(collect(table.entries())).rejects.toThrow(code('CLOSED'))
    expect(() => snap.getSync('a')).toThrow(code('CLOSED'))
    expect(() => snap.table('u')).toThrow(code('CLOSED'))
    expect(() => snap.put('a', 1)).toThrow(code('CLOSED'))
    await store.close()
  })

  test('ends with its store', async () => {
    const store = await open(make())
    const snap = await store.snapshot()
    await store.close()
    await expect(snap.get('a')).rejects.toThrow(code('CLOSED'))
    await expect(store.snapshot()).rejects.toThrow(code('CLOSED'))
    await snap.close()
  })

  test('is taken of a follower, and stays while the follower catches up', async () => {
    const storage = make()
    const store = await open(storage, TINY)
    store.put('a', 1)
    await store.commit()
    const follower = await open(storage, { mode: 'follower' })
    const snap = await follower.snapshot()
    for (let i = 0; i < 10; i++) {
      store.put('a', i)
      await store.commit()
    }
    await store.checkpoint()
    await follower.refresh()
    expect(await follower.get('a')).toBe(9)
    expect(await snap.get('a')).toBe(1)
    await follower.close()
    await store.close()
  })
})

test('a snapshot judges expiry by the time of its version, never by the clock', async () => {
  let now = 1_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const storage = memory()
  const store = await openStore({ storage, name: 's', clock })
  store.put('a', 1, { ttlMs: 100 })
  store.put('b', 1)
  await store.commit()
  const snap = await store.snapshot()
  now += 1000
  expect(await store.get('a')).toBeUndefined()
  expect(await snap.get('a')).toBe(1)
  expect(await collect(snap.keys())).toEqual(['a', 'b'])
  store.put('b', 2)
  await store.commit()
  const later = await store.snapshot()
  expect(later.time).toBeGreaterThan(snap.time)
  expect(await later.get('a')).toBeUndefined()
  expect(await collect(later.keys())).toEqual(['b'])
  await store.close()
})

test('a fold after a fence drops nothing that a snapshot of the version before it shows', async () => {
  let now = 1_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const store = await openStore({ storage: memory(), name: 's', clock })
  store.put('a', 1, { ttlMs: 100 })
  store.put('b', 1)
  await store.commit()
  now += 1000
  await store.reopen()
  const before = await store.snapshot()
  await store.checkpoint()
  const after = await store.snapshot()
  expect(after.version).toBe(before.version)
  expect(await before.get('a')).toBe(1)
  expect(await after.get('a')).toBe(1)
  await store.close()
})
