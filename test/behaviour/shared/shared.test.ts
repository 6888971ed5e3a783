import { expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore, verify } from 'tidemark/tools'
import { sleep } from '../../../src/clock.js'
import { intercept } from '../../../src/storage/intercept.js'
import { eachAdapter } from '../../support/counting.js'
import { open } from '../../support/shared.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

eachAdapter(adapters, 'a store in shared mode on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store<string, number>> =>
    openStore<string, number>({ storage, name: 's', mode: 'shared', ...(options as object) })

  async function pair(options: Partial<OpenOptions> = {}): Promise<[Store<string, number>, Store<string, number>]> {
    const storage = make()
    const a = await open(storage, options)
    return [a, await open(storage, options)]
  }

  const closeAll = (...stores: readonly Store<string, number>[]): Promise<unknown> =>
    Promise.all(stores.map((store) => store.close()))

  test('two handles write in turn, each version is acknowledged to one, and both see all', async () => {
    const [a, b] = await pair()
    const versions: number[] = []
    for (let i = 0; i < 40; i++) {
      const store = i % 3 === 0 ? a : b
      store.put(`k${i}`, i)
      versions.push((await store.commit()).version)
    }
    expect(new Set(versions).size).toBe(40)
    expect(versions).toEqual(versions.toSorted((x, y) => x - y))
    await a.refresh()
    await b.refresh()
    const expected = Array.from({ length: 40 }, (_, i) => [`k${i}`, i] as const).toSorted(([x], [y]) =>
      x < y ? -1 : 1,
    )
    for (const store of [a, b]) {
      expect(await collect(store.entries())).toEqual(expected)
      expect((await collect(store.versions())).map(({ version }) => version)).toEqual(versions)
    }
    await closeAll(a, b)
  })

  test('both at once write a hundred commits each, and none is lost or acknowledged twice', async () => {
    const storage = make()
    const [a, b] = [await open(storage, { checkpoint: { entries: 8 } }), await open(storage)]
    const write = async (store: Store<string, number>, name: string): Promise<number[]> => {
      const versions: number[] = []
      for (let i = 0; i < 100; i++) {
        store.put(`${name}${i}`, i)
        versions.push((await store.commit()).version)
      }
      return versions
    }
    const versions = (await Promise.all([write(a, 'a'), write(b, 'b')])).flat()
    expect(new Set(versions).size).toBe(200)
    await closeAll(a, b)
    const c = await open(storage)
    expect((await collect(c.keys())).length).toBe(200)
    await c.close()
  })

  test('transactions at once are run again until each counts', async () => {
    const storage = make()
    const stores = await Promise.all(Array.from({ length: 5 }, () => open(storage)))
    const increment = (store: Store<string, number>): Promise<void> =>
      store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1), { tries: 1000 })
    await Promise.all(stores.flatMap((store) => Array.from({ length: 10 }, () => increment(store))))
    for (const store of stores) {
      await store.refresh()
      expect(await store.get('n')).toBe(50)
    }
    await closeAll(...stores)
  })

  test('a commit that changes what was read before another writer came is CONFLICT, and its changes are kept', async () => {
    const [a, b] = await pair()
    a.put('k', 1)
    await a.commit()
    await b.refresh()
    expect(await b.get('k')).toBe(1)
    a.put('k', 2)
    await a.commit()
    b.put('k', 10)
    await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
    expect(await b.get('k')).toBe(10)
    // The program knows by now: what it commits again it means.
    await b.commit()
    await a.refresh()
    expect(await a.get('k')).toBe(10)
    await closeAll(a, b)
  })

  test.each([
    ['an iteration', (store: Store<string, number>) => collect(store.entries({ prefix: 'k' }))],
    ['getMany()', (store: Store<string, number>) => store.getMany(['x', 'k1'])],
    ['has()', (store: Store<string, number>) => store.has('k1')],
  ])('%s counts as reading', async (_name, read) => {
    const [a, b] = await pair({ partitions: 3 })
    await a.set('k1', 0)
    await b.refresh()
    await read(b)
    await a.set('k1', 1)
    b.put('k1', 2)
    await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
    await expect(b.commit()).resolves.toBeDefined()
    await read(b)
    // Others are in nobody's way as long as they change something else, or what was not read.
    await a.set('other', 1)
    b.put('k1', 3)
    await b.commit()
    await a.set('unread', 2)
    b.put('unread', 3)
    await b.commit()
    await a.refresh()
    expect(await a.getMany(['k1', 'unread', 'other'])).toEqual([3, 3, 1])
    await closeAll(a, b)
  })

  test('a range that is deleted blindly goes on top of what others have written in it', async () => {
    const [a, b] = await pair()
    b.put('k0', 0)
    await b.commit()
    a.put('k1', 1)
    a.put('l', 1)
    await a.commit()
    b.deleteRange({ prefix: 'k' })
    await b.commit()
    await a.refresh()
    expect(await collect(a.keys())).toEqual(['l'])
    await a.get('k5')
    await b.set('x', 1)
    a.deleteRange({ prefix: 'k' })
    await a.commit()
    await a.get('k6')
    await b.set('k6', 1)
    a.deleteRange({ prefix: 'k' })
    await expect(a.commit()).rejects.toThrow(/CONFLICT|"k6"/)
    await closeAll(a, b)
  })

  test('commits that fall behind another writer go back in their order', async () => {
    const [a, b] = await pair()
    await b.get('k')
    a.put('k', 1)
    await a.commit()
    b.put('k', 2)
    const first = b.commit()
    b.put('k', 3)
    b.put('blind', 1)
    const second = b.commit({ label: 'second' })
    b.put('k', 4)
    const [one, two] = await Promise.allSettled([first, second])
    expect([one.status, two.status]).toEqual(['rejected', 'rejected'])
    expect(b.getSync('k')).toBe(4)
    await b.commit()
    await a.refresh()
    expect(await a.getMany(['k', 'blind'])).toEqual([4, 1])
    await closeAll(a, b)
  })

  test('a commit with offsets is never repeated on top of others', async () => {
    const [a, b] = await pair()
    await a.commit({ offsets: { clicks: 5 } })
    b.put('k', 1)
    await expect(b.commit({ offsets: { clicks: 7 } })).rejects.toThrow(code('CONFLICT'))
    expect(b.offsets).toEqual({ clicks: 5 })
    await b.commit({ offsets: { clicks: 7 } })
    await a.refresh()
    expect(a.offsets).toEqual({ clicks: 7 })
    let runs = 0
    await b.commit({ offsets: { clicks: 8 } })
    const transaction = a.transaction(
      (tx) => {
        runs++
        tx.put('t', 1)
      },
      { offsets: { clicks: 9 } },
    )
    await expect(transaction).rejects.toThrow(code('CONFLICT'))
    expect(runs).toBe(1)
    await closeAll(a, b)
  })

  test('a transaction out of tries is CONFLICT', async () => {
    const [a, b] = await pair()
    const transaction = a.transaction(
      async (tx) => {
        b.put('other', 1)
        await b.commit()
        tx.put('k', 1)
      },
      { tries: 3 },
    )
    await expect(transaction).rejects.toThrow(code('CONFLICT'))
    expect(await b.get('k')).toBeUndefined()
    await closeAll(a, b)
  })

  test('a commit that lies within the time to live keeps its expiry when it is appended again', async () => {
    const [a, b] = await pair()
    b.put('session', 1, { ttlMs: 60_000 })
    a.put('x', 1)
    await a.commit()
    await b.commit({ label: 'kept', meta: { by: 'b' } })
    const newest = (await collect(b.versions())).at(-1)!
    expect(newest).toMatchObject({ label: 'kept', meta: { by: 'b' } })
    expect(await b.get('session')).toBe(1)
    await closeAll(a, b)
  })

  test('large commits of both, folds and merges beside them', async () => {
    const [a, b] = await pair({ checkpoint: { entries: 4, bytes: 2048 }, segmentBytes: 4096, blockBytes: 512 })
    for (let i = 0; i < 30; i++) {
      const store = i % 2 === 0 ? a : b
      for (let k = 0; k < (i % 5 === 0 ? 300 : 3); k++) store.put(`${i}-${k}`, k)
      await store.commit()
    }
    await a.checkpoint()
    await b.maintain()
    await a.refresh()
    expect((await collect(a.keys())).length).toBe(6 * 300 + 24 * 3)
    await closeAll(a, b)
  })

  test('restore, tags and forks work beside another writer', async () => {
    const [a, b] = await pair()
    a.put('k', 1)
    const { version } = await a.commit()
    b.put('k', 2)
    await b.commit()
    await a.tag('first', { at: version })
    const { undo } = await a.restore('first')
    await b.refresh()
    expect(await b.get('k')).toBe(1)
    expect(Object.keys(await b.tags())).toHaveLength(1)
    await b.restore(undo)
    await a.refresh()
    expect(await a.get('k')).toBe(2)
    await closeAll(a, b)
  })

  test('collection by one writer takes nothing from the other', async () => {
    const [a, b] = await pair({ retain: { versions: 3 }, graceMs: 1, checkpoint: { entries: 4 } })
    for (let i = 0; i < 40; i++) {
      const store = i % 2 === 0 ? a : b
      store.put(`k${i % 7}`, i)
      await store.commit()
      if (i % 9 === 0) await a.maintain()
      if (i % 11 === 0) await b.maintain()
    }
    await a.refresh()
    const expected = Array.from({ length: 7 }, (_, k) => [`k${k}`, 39 - ((39 - k) % 7)])
    expect(await collect(a.entries())).toEqual(expected)
    expect((await collect(a.versions())).length).toBeLessThan(40)
    await closeAll(a, b)
  })

  test('is opened in another mode only by force, which ends the right to write of those before', async () => {
    const storage = make()
    const a = await open(storage)
    a.put('k', 1)
    await a.commit()
    await expect(open(storage, { mode: 'exclusive' })).rejects.toThrow(code('CONFLICT'))
    const owner = await open(storage, { mode: 'exclusive', force: true })
    a.put('k', 2)
    await expect(a.commit()).rejects.toThrow(code('FENCED'))
    await expect(open(storage)).rejects.toThrow(code('CONFLICT'))
    const shared = await open(storage, { force: true })
    owner.put('k', 3)
    await expect(owner.commit()).rejects.toThrow(code('FENCED'))
    shared.put('k', 4)
    await shared.commit()
    await expect(a.reopen()).resolves.toBeUndefined()
    expect(await a.get('k')).toBe(4)
    await closeAll(a, owner, shared)
  })

  test('watch() tells of what others write, with refresh()', async () => {
    const [a, b] = await pair()
    const seen: unknown[] = []
    a.watch({}, (changes) => void seen.push(...changes.map(({ key, after }) => [key, after])))
    b.put('k', 1)
    await b.commit()
    await a.refresh()
    await expect.poll(() => seen).toEqual([['k', 1]])
    await closeAll(a, b)
  })

  test('catching up by itself, a handle still refuses to write over what changed after it was read', async () => {
    const [a, b] = await pair({ followMs: 1 })
    a.put('k', 1)
    await a.commit()
    await b.refresh()
    await collect(b.entries())
    const { version } = await (a.put('k', 2), a.commit())
    await expect.poll(() => b.version).toBe(version)
    b.put('k', 10)
    await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
    b.discard()
    // The other keys that it had read are as they were.
    await collect(b.entries())
    a.put('k', 3)
    await a.commit()
    await expect.poll(() => b.version).toBe(a.version)
    b.put('l', 1)
    await b.commit()
    await closeAll(a, b)
  })

  test('opening, reading and closing write nothing', async () => {
    const storage = make()
    const a = await open(storage)
    a.put('k', 1)
    const { version } = await a.commit()
    for (let i = 0; i < 5; i++) {
      const b = await open(storage)
      expect(await b.get('k')).toBe(1)
      await b.close()
    }
    a.put('k', 2)
    expect((await a.commit()).version).toBe(version + 1)
    await a.close()
  })
})

test('what another writer has condemned and deleted before it was named is written again', async () => {
  const storage = memory()
  const options = {
    name: 's',
    mode: 'shared',
    graceMs: 1,
    checkpoint: { bytes: 1024 },
  } as const
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => (release = resolve))
  let reached = (): void => undefined
  const atAppend = new Promise<void>((resolve) => (reached = resolve))
  let isHeld = false
  const slow = intercept(storage, async (call, run) => {
    if (isHeld && call.method === 'claim') {
      reached()
      await held
    }
    return run(call.signal)
  })
  const a = await openStore<string, string>({ ...options, storage: slow })
  const b = await openStore<string, string>({ ...options, storage })
  isHeld = true
  a.put('large', 'x'.repeat(5_000))
  const committing = a.commit()
  await atAppend
  const blobs = async (): Promise<string[]> => (await storage.blobs.list('')).items.map(({ name }) => name)
  const [uploaded] = await blobs()
  expect(uploaded).toBeDefined()
  for (let i = 0; i < 4; i++) {
    b.put('k', String(i))
    await b.commit()
    await b.maintain()
    await sleep(systemClock, 5)
  }
  expect(await blobs()).not.toContain(uploaded)
  release()
  await committing
  await b.refresh()
  expect((await b.get('large'))?.length).toBe(5_000)
  expect(await b.get('k')).toBe('3')
  await a.close()
  await b.close()
  expect((await verify({ storage, name: 's' })).damages).toEqual([])
})

test('fifty writers with a counter between them count every increment', async () => {
  const storage = memory()
  const stores = await Promise.all(
    Array.from({ length: 50 }, () => openStore<string, number>({ storage, name: 's', mode: 'shared' })),
  )
  await Promise.all(
    stores.map(async (store) => {
      for (let i = 0; i < 10; i++) {
        await store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) ?? 0) + 1), { tries: 1_000 })
      }
    }),
  )
  await stores[0]!.refresh()
  expect(await stores[0]!.get('n')).toBe(500)
  await Promise.all(stores.map((store) => store.close()))
})

test('a handle that slept while the log was trimmed beyond it goes on with what is there', async () => {
  const storage = memory()
  const options = { storage, name: 's', mode: 'shared', graceMs: 1, retain: { versions: 2 } } as const
  const asleep = await openStore<string, number>(options)
  asleep.put('mine', 1)
  await asleep.commit()
  const awake = await openStore<string, number>({ ...options, checkpoint: { entries: 4 } })
  for (let i = 0; i < 60; i++) {
    awake.put('k', i)
    await awake.commit()
    if (i % 20 === 0) await awake.maintain()
    await sleep(systemClock, 2)
  }
  await awake.maintain()
  await asleep.refresh()
  expect(asleep.version).toBe(awake.version)
  expect(await asleep.getMany(['mine', 'k'])).toEqual([1, 59])
  asleep.put('mine', 2)
  await asleep.commit()
  await awake.refresh()
  expect(await awake.get('mine')).toBe(2)
  await asleep.close()
  await awake.close()
})

test.each(['shared', 'follower'] as const)(
  'a store that is destroyed while it is opened is not opened: %s',
  async (mode) => {
    const base = memory()
    const first = await open(base)
    first.put('a', 1)
    await first.commit()
    await first.close()
    let reads = 0
    const storage = intercept(base, async ({ target, method }, run) => {
      // The second look at the anchor confirms what was read.
      if (target === 'anchor' && method === 'read' && ++reads === 2) await destroyStore({ storage: base, name: 's' })
      return run(undefined)
    })
    await expect(open(storage, { mode, create: false })).rejects.toThrow(code('NOT_FOUND'))
    expect((await base.logs('')).paths).toEqual([])
  },
)
