import { eachAdapter } from '../../support/counting.js'
import { expect, test } from 'vitest'
import { metered, openStore, systemClock, type Key, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { Random } from 'tidemark/testing'
import { diff, type DiffChange } from 'tidemark/tools'
import { adapters, collect } from '../../support/storages.js'

const TINY = { checkpoint: { entries: 4, bytes: 2000 }, segmentBytes: 400, blockBytes: 80 }
const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 's', ...TINY, ...options })

/** All that a version holds, by partition and key, in the order of keys. */
type Contents = [key: Key, partition: number, value: unknown][]

async function contents(store: Store, version: number): Promise<Contents> {
  const past = await store.at(version)
  const all: Contents = []
  for (let i = 0; i < store.partitions; i++) {
    for await (const [key, value] of past.partition(i).entries()) all.push([key, i, value])
  }
  await past.close()
  return all
}

const isVersion = (store: Store, version: number): Promise<boolean> =>
  store.at(version).then(
    async (past) => (await past.close(), past.version === version),
    () => false,
  )

function expected(a: Contents, b: Contents): DiffChange[] {
  const byId = (all: Contents): Map<string, Contents[number]> =>
    new Map(all.map((entry) => [`${String(entry[0])} ${entry[1]}`, entry]))
  const [before, after] = [byId(a), byId(b)]
  const ids = [...new Set([...before.keys(), ...after.keys()])].sort()
  return ids.flatMap((id) => {
    const [was, is] = [before.get(id), after.get(id)]
    if (JSON.stringify(was) === JSON.stringify(is)) return []
    return [{ key: (was ?? is)![0], ...(was && { before: was[2] }), ...(is && { after: is[2] }) }]
  })
}

eachAdapter(adapters, 'diff on %s', (make) => {
  test('is what two versions differ in, whatever lies between: folds, merges, range deletes, resets, large commits', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = new Random(seed)
      const pick = (n: number): number => random.below(n)
      const store = await open(make(), { partitions: 3 })
      const versions: number[] = []
      const known = new Map<number, Contents>()
      for (let step = 0; step < 40; step++) {
        const many = pick(9) === 0 ? 200 : pick(6)
        for (let i = 0; i < many; i++) {
          const key = `k${100 + pick(300)}`
          const place = pick(3) === 0 ? store.partition(pick(3)) : store
          if (pick(4) === 0) place.delete(key)
          else place.put(key, pick(5))
        }
        if (pick(8) === 0) store.deleteRange({ gte: `k${100 + pick(300)}`, lt: `k${100 + pick(300)}` })
        if (pick(30) === 0) store.clear()
        await store.commit()
        if (pick(6) === 0) {
          const partitions = pick(2) === 0 ? [pick(3)] : undefined
          await store.restore(versions[pick(versions.length)] ?? store.version, { partitions })
        }
        if (pick(6) === 0) await store.checkpoint()
        if (pick(12) === 0) await store.maintain()
        if (pick(10) === 0) await store.reopen()
        versions.push(store.version)
        known.set(store.version, await contents(store, store.version))
      }
      for (let i = 0; i < 60; i++) {
        const [a, b] = [versions[pick(versions.length)]!, versions[pick(versions.length)]!]
        const changes = await collect(diff(store, a, b))
        expect(changes, `seed ${seed}: ${a} to ${b}`).toEqual(expected(known.get(a)!, known.get(b)!))
      }
      await store.close()
    }
  })

  test('compares tags of versions that are long collected with each other and with what is kept', async () => {
    let now = 1_700_000_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const random = new Random(7)
    const store = await open(make(), { partitions: 2, retain: { versions: 3 }, graceMs: 1000, clock })
    const known = new Map<number | string, Contents>()
    for (let step = 0; step < 60; step++) {
      for (let i = random.below(5); i >= 0; i--) store.put(`k${100 + random.below(60)}`, random.below(4))
      if (random.chance(0.2)) store.delete(`k${100 + random.below(60)}`)
      if (random.chance(0.1)) store.deleteRange({ gte: `k${100 + random.below(60)}`, lt: 'k130' })
      const { version } = await store.commit()
      known.set(version, await contents(store, version))
      if (random.chance(0.2)) {
        await store.tag(`t${step}`)
        known.set(`t${step}`, known.get(version)!)
      }
      if (random.chance(0.1))
        await store.restore([...known.keys()].findLast((when) => typeof when === 'string') ?? version)
      if (random.chance(0.2)) await store.maintain()
      known.set(store.version, await contents(store, store.version))
      now += 700
    }
    const kept = [...known.keys()].filter((when) => typeof when === 'string' || when > store.version - 3)
    for (let i = 0; i < 60; i++) {
      const [a, b] = [kept[random.below(kept.length)]!, kept[random.below(kept.length)]!]
      if (typeof a === 'number' && !(await isVersion(store, a))) continue
      if (typeof b === 'number' && !(await isVersion(store, b))) continue
      expect(await collect(diff(store, a, b)), `${a} to ${b}`).toEqual(expected(known.get(a)!, known.get(b)!))
    }
    await store.close()
  })

  test('works by tag and date, in a table and under a prefix, on followers and forks', async () => {
    let now = 1_700_000_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const storage = make()
    const store = await open(storage, { clock, partitions: 2 })
    const users = store.table<Key, number>('users')
    store.put('x', 0)
    users.put(['a', 1], 1)
    users.put(['b', 1], 1)
    await store.commit()
    await store.tag('first')
    const date = new Date(now)
    now += 1000
    users.put(['a', 1], 2)
    users.put(['a', 2], 2)
    users.delete(['b', 1])
    await store.commit()
    const changes = [
      { key: ['a', 1], before: 1, after: 2 },
      { key: ['a', 2], after: 2 },
    ]
    const both = [...changes, { key: ['b', 1], before: 1 }]
    expect(await collect(diff(store, 'first', store.version, { table: 'users' }))).toEqual(both)
    expect(await collect(diff(store, date, new Date(now), { table: 'users', prefix: ['a'] }))).toEqual(changes)
    expect(await collect(diff(store, 'first', store.version))).toEqual([])
    const follower = await open(storage, { mode: 'follower' })
    expect(await collect(diff(follower, 'first', store.version, { table: 'users' }))).toEqual(both)
    await follower.close()
    await store.fork('f', { at: 'first' })
    const fork = await openStore({ storage, name: 'f' })
    const forked = fork.version
    fork.table('users').put(['a', 1], 3)
    await fork.commit()
    expect(await collect(diff(fork, forked, fork.version, { table: 'users' }))).toEqual([
      { key: ['a', 1], before: 1, after: 3 },
    ])
    await fork.close()
    await store.close()
  })

  test('judges expiry by the time of each version', async () => {
    let now = 1_700_000_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const store = await open(make(), { clock })
    for (let i = 10; i < 60; i++) store.put(`k${i}`, i, i % 10 === 0 ? { ttlMs: 1000 } : {})
    const { version: a } = await store.commit()
    await store.checkpoint()
    store.put('in the tail', 1, { ttlMs: 1500 })
    const { version: b } = await store.commit()
    now += 1200
    const { version: c } = await store.commit()
    now += 1000
    const { version: d } = await store.commit()
    const gone = [10, 20, 30, 40, 50].map((i) => ({ key: `k${i}`, before: i }))
    expect(await collect(diff(store, b, c))).toEqual(gone)
    expect(await collect(diff(store, c, d))).toEqual([{ key: 'in the tail', before: 1 }])
    expect(await collect(diff(store, d, a))).toEqual(gone.map(({ key, before }) => ({ key, after: before })))
    await store.close()
  })
})

test('reads only what the two versions do not have in common', async () => {
  const storage = metered(memory())
  const options = {
    name: 's',
    storage,
    partitions: 2,
    segmentBytes: 20_000,
    cacheBytes: 1 << 20,
    checkpoint: { bytes: 1 << 20 },
  }
  let store = await openStore(options)
  for (let i = 0; i < 20_000; i++) store.put(i, { number: i, text: `value ${i * 7919}` })
  const { version: a } = await store.commit()
  await store.maintain()
  const segments = store.metrics().segments.live
  store.put(777, 'changed')
  store.delete(15_000)
  const { version: b } = await store.commit()
  store.deleteRange({ gte: 100, lt: 103 })
  await store.commit()
  await store.checkpoint()
  const { version: c } = await store.restore(a)
  store.put(5, 'after')
  const { version: d } = await store.commit()
  await store.close()
  store = await openStore({ ...options, mode: 'follower' })
  const requests = async (from: number, to: number, keys: number[]): Promise<number> => {
    await store.reopen()
    const before = storage.usage().requests.get
    expect((await collect(diff(store, from, to))).map(({ key }) => key)).toEqual(keys)
    return storage.usage().requests.get - before
  }
  expect(segments).toBeGreaterThan(40)
  expect(await requests(a, b, [777, 15_000])).toBeLessThan(20)
  expect(await requests(a, c - 1, [100, 101, 102, 777, 15_000])).toBeLessThan(30)
  expect(await requests(a, c, [])).toBeLessThan(10)
  expect(await requests(b, d, [5, 777, 15_000])).toBeLessThan(30)
  await store.close()
})

test('streams, and ends at once with its signal, before, between and within', async () => {
  const store = await openStore({ storage: memory(), name: 's' })
  for (let i = 0; i < 5000; i++) store.put(i, i)
  const { version: a } = await store.commit()
  for (let i = 0; i < 5000; i++) store.put(i, -i - 1)
  const { version: b } = await store.commit()
  const aborted = expect.objectContaining({ code: 'ABORTED' }) as Error
  const before = new AbortController()
  before.abort()
  await expect(collect(diff(store, a, b, { signal: before.signal }))).rejects.toThrow(aborted)
  const between = new AbortController()
  const seen: unknown[] = []
  const half = async (): Promise<void> => {
    for await (const { key } of diff(store, a, b, { signal: between.signal })) {
      seen.push(key)
      if (seen.length === 100) between.abort()
    }
  }
  await expect(half()).rejects.toThrow(aborted)
  expect(seen.length).toBe(100)
  const within = new AbortController()
  const pulling = diff(store, a, b, { signal: within.signal }).next()
  within.abort()
  await expect(pulling).rejects.toThrow(aborted)
  const stopped = diff(store, a, b)
  expect(await stopped.next()).toEqual({ done: false, value: { key: 0, before: 0, after: -1 } })
  await stopped.return(undefined)
  for (const wrong of [() => diff(store, a, undefined as never), () => diff({} as never, a, b)]) {
    expect(wrong).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error)
  }
  await expect(collect(diff(store, a, b + 1))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await store.close()
  await expect(async () => collect(diff(store, a, b))).rejects.toMatchObject({ code: 'CLOSED' })
})
