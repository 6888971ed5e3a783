/** A state that is being read is held, and a reading ends with the handle that it reads from. */
import { describe, expect, test } from 'vitest'
import type { OpenOptions, Store, VersionInfo } from 'tidemark'
import { memory } from 'tidemark/memory'
import { diff, verify } from 'tidemark/tools'
import { exportZip, importZip, push } from 'tidemark/transfer'
import { systemClock } from '../../../src/clock.js'
import { TidemarkError } from '../../../src/errors.js'
// Loaded on demand otherwise, while the time of the tests goes by.
import { Reading } from '../../../src/engine/history/reading-pin.js'
import { isOver, pinsOf } from '../../../src/engine/history/pins.js'
import { intercept } from '../../../src/storage/intercept.js'
import { handleOf } from '../../../src/store/handles.js'
import { churned, GRACE, KEYS, type Churned } from '../../support/churn.js'
import { collect } from '../../support/collect.js'
import { code } from '../../support/shared.js'

type Items = AsyncIterator<unknown>
const all = Array.from({ length: KEYS }, (_, i) => [i, `${i} 0`])

/** Ways to read all that was there at first: item by item, and what they show. */
const scans: readonly [string, (store: Store, world: Churned) => Promise<Items> | Items, readonly unknown[]][] = [
  ['entries()', (store) => store.entries(), all],
  ['keys()', (store) => store.keys(), all.map(([key]) => key)],
  ['values() in reverse', (store) => store.values({ reverse: true }), all.map(([, value]) => value).reverse()],
  ['entries() of a table', (store) => store.table('t').entries(), all],
  ['entries() of a snapshot', async (store) => (await store.snapshot()).entries(), all],
  ['entries() of at()', async (store) => (await store.at(store.version)).entries(), all],
]

async function read(items: Items, meanwhile: (count: number) => Promise<void> | void): Promise<unknown[]> {
  const seen: unknown[] = []
  for (let next = await items.next(); next.done !== true; next = await items.next()) {
    seen.push(next.value)
    await meanwhile(seen.length)
  }
  return seen
}

const nowAndThen =
  (act: () => Promise<void>, every = 15) =>
  (count: number): Promise<void> | undefined =>
    count % every === 1 ? act() : undefined

describe.each<[string, OpenOptions['mode'], Partial<OpenOptions> | undefined]>([
  ['the handle that collects', 'exclusive', undefined],
  ['a follower', 'exclusive', { mode: 'follower' }],
  ['another handle in shared mode', 'shared', {}],
])('a scan by %s', (_, mode, other) => {
  test.each(other ? scans.filter((_, i) => i % 2 === 0) : scans)(
    '%s, longer than the grace period, shows all that was there at first',
    async (_name, start, shown) => {
      const world = await churned(mode)
      const store = other ? await world.open(other) : world.store
      const items = await start(store, world)
      // Those of others pin what they read at a quarter of a grace period, and not later than at the whole.
      expect(
        await read(
          items,
          nowAndThen(() => world.churn(0.4)),
        ),
      ).toEqual(shown)
      await world.churn(2)
      await world.churn(2)
      await world.churn(2)
      // The segments that it held are gone with it.
      expect((await world.segments()).length).toBeLessThan(150)
    },
  )
})

describe('what is read by the handle that collects is held:', () => {
  test('a scan of one partition, and within a transaction', async () => {
    const { store, churn } = await churned()
    const partition = await read(store.partition(1).keys(), nowAndThen(churn))
    expect(partition.length).toBeGreaterThan(20)
    const entries = await read(store.partition(0).keys(), nowAndThen(churn))
    expect(entries.length + partition.length).toBe(KEYS)
    const before = await store.get(1)
    const isRead = store.transaction((tx) => read(tx.values(), nowAndThen(churn)))
    expect((await isRead)[1]).toBe(before)
  })

  test('diff()', async () => {
    const { store, churn } = await churned('exclusive', { retain: { versions: 3 } })
    const first = store.version
    store.deleteRange({ gte: 0 })
    await store.commit()
    const second = store.version
    const changes = await read(diff(store, first, second), nowAndThen(churn, 8))
    expect(changes).toEqual(all.map(([key, before]) => ({ key, before })))
    await expect(store.at(first)).rejects.toThrow(code('VERSION_EXPIRED'))
  })

  test('versions()', async () => {
    const { store, pass } = await churned('exclusive', { retain: { versions: 70 } })
    for (let i = 0; i < 80; i++) await store.commit()
    const numbers = (await collect(store.versions())).map(({ version }) => version)
    const seen = await read(store.versions(), async () => {
      for (let i = 0; i < 3; i++) await store.commit()
      pass(GRACE * 0.7)
      await store.maintain({ minDeletes: 1 })
    })
    expect(seen.map((info) => (info as VersionInfo).version)).toEqual(numbers)
    await store.maintain({ minDeletes: 1 })
    await expect(store.at(numbers[0]!)).rejects.toThrow(code('VERSION_EXPIRED'))
  })

  test('a version that is being tagged, forked or restored', async () => {
    const world = await churned()
    const { pass, open } = world
    let isBusy = false
    const busy = intercept(world.storage, async ({ method, path }, run) => {
      if (isBusy && method === 'put' && path.includes('/pins/')) {
        isBusy = false
        for (let i = 0; i < 8; i++) await again()
      }
      return run(undefined)
    })
    await world.store.close()
    const store = await open({ storage: busy })
    const again = async (): Promise<void> => {
      for (let i = 0; i < KEYS; i++) store.put(i, 'new')
      await store.commit()
      await store.checkpoint()
      pass(GRACE * 0.7)
      await store.maintain({ minDeletes: 1 })
    }
    const { version } = store
    isBusy = true
    await store.tag('kept')
    for (let i = 0; i < 3; i++) await again()
    expect(await collect((await store.at('kept')).entries())).toEqual(all)
    await store.restore('kept')
    isBusy = true
    await store.fork('copy')
    expect(await collect((await open({ name: 'copy' })).entries())).toEqual(all)
    expect((await store.tags()).map((tag) => tag.version)).toEqual([version])
  })

  test('get() and getMany() under way', async () => {
    const { store, churn, stall } = await churned()
    let reading: Promise<unknown>[] = []
    const go = stall(() => {
      reading = [store.get(1), store.getMany([2, 3]), store.has(4), store.table('t').get(5)]
    })
    for (let i = 0; i < 8; i++) await churn()
    go()
    expect(await Promise.all(reading)).toEqual(['1 0', ['2 0', '3 0'], true, '5 0'])
  })

  test('a step of a scan that is under way, and one that waits for it', async () => {
    const { store, churn, stall } = await churned()
    const items = store.values()
    let steps: Promise<IteratorResult<unknown>>[] = []
    const go = stall(() => {
      steps = [items.next(), items.next()]
    })
    for (let i = 0; i < 8; i++) await churn()
    go()
    expect((await Promise.all(steps)).map(({ value }) => value as string)).toEqual(['0 0', '1 0'])
  })

  test('what a watch has yet to tell, while its listener is slow', async () => {
    const { store, churn } = await churned()
    const told: unknown[] = []
    const MANY = 8
    let isAhead: Promise<void> | undefined
    await new Promise<void>((resolve) => {
      store.watch({ key: 7 }, async ([change]) => {
        told.push([change!.before, change!.after])
        await isAhead
        await churn()
        if (told.length === 2 * MANY) resolve()
      })
      isAhead = (async () => {
        for (let i = 0; i < MANY; i++) await churn(0)
      })()
    })
    expect(told).toEqual(Array.from({ length: 2 * MANY }, (_, i) => [`7 ${i}`, `7 ${i + 1}`]))
  })
})

describe('what nobody reads on is held no longer than a grace period:', () => {
  test('a scan that was abandoned', async () => {
    const { store, churn, pass } = await churned()
    const items = store.entries()
    for (let i = 0; i < 5; i++) await items.next()
    pass(GRACE)
    for (let i = 0; i < 8; i++) await churn()
    await expect(read(items, () => undefined)).rejects.toThrow(code('VERSION_EXPIRED'))
  })

  test('one that ended, by return(), its limit or an error, at once', async () => {
    const { store, churn, segments } = await churned()
    const shown = new Set(await segments())
    for await (const key of store.keys()) if (key === 3) break
    await collect(store.keys({ limit: 3 }))
    const stop = new AbortController()
    const items = store.keys({ signal: stop.signal })
    for (let i = 0; i < 3; i++) await items.next()
    stop.abort()
    await expect(items.next()).rejects.toThrow(code('ABORTED'))
    // Little time passes: what was still held would be there.
    for (let i = 0; i < 8; i++) await churn(0)
    await churn(1)
    await churn(0)
    expect((await segments()).filter((name) => shown.has(name))).toEqual([])
  })
})

describe('a transfer out of a store that is written and collected meanwhile', () => {
  const pinsOf = async ({ storage }: Churned): Promise<string[]> =>
    (await storage.blobs.list('s/')).items.map(({ name }) => name).filter((name) => name.includes('/pins/'))

  test('exportZip() holds its version while it is read, and nothing afterwards', async () => {
    const world = await churned()
    const { storage, clock, churn } = world
    const chunks = (await read(exportZip({ storage, name: 's' }, { clock }), nowAndThen(churn, 4))) as Uint8Array[]
    expect(chunks.length).toBeGreaterThan(20)
    const target = { storage, name: 'copy' }
    await importZip(new Uint8Array(Buffer.concat(chunks)), target, { clock })
    expect(await collect((await world.open(target)).entries())).toEqual(all)
    expect(await pinsOf(world)).toEqual([])
    for await (const chunk of exportZip({ storage, name: 's' }, { clock })) if (chunk.length > 0) break
    expect(await pinsOf(world)).toEqual([])
  })

  test('push() does, its target being another store of the same storage', async () => {
    const world = await churned()
    const { storage, clock } = world
    const target = { storage: memory({ clock }), name: 'copy' }
    const slow = intercept(target.storage, async ({ target: of, method }, run) => {
      if (of === 'blobs' && method === 'put') await world.churn()
      return run(undefined)
    })
    await push({ storage, name: 's' }, { ...target, storage: slow }, { clock })
    expect(await collect((await world.open(target)).entries())).toEqual(all)
    expect(await pinsOf(world)).toEqual([])
  })

  test('makes its pin anew while it lasts, and one that is left behind ends by itself', async () => {
    const world = await churned()
    const { storage, clock, churn, pass, segments } = world
    const HOUR = 3_600_000
    const shown = new Set(await segments())
    const pins = new Set<string>()
    let reads = 0
    const slow = intercept(storage, async ({ target, method, path }, run) => {
      if (target !== 'blobs' || method !== 'get' || !path.includes('/seg/')) return run(undefined)
      if (++reads < 4) {
        for (const pin of await pinsOf(world)) pins.add(pin)
        pass((HOUR * 3) / 4)
        await churn()
      } else {
        // It is held up for so long that nobody waits for it any more.
        for (const pin of await pinsOf(world)) pins.add(pin)
        pass(HOUR + 1)
        for (let i = 0; i < 3; i++) await churn(2)
        expect(await pinsOf(world)).toEqual([])
        expect((await segments()).filter((name) => shown.has(name))).toEqual([])
      }
      return run(undefined)
    })
    const exporting = collect(exportZip({ storage: slow, name: 's' }, { clock }))
    await expect(exporting).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(pins.size).toBeGreaterThan(2)
  })

  test('reads on without a pin where it may not write, and fails typed when that was too slow', async () => {
    const { storage, clock, churn } = await churned()
    const readOnly = intercept(storage, ({ method }, run) =>
      ['put', 'delete', 'append', 'claim', 'swap'].includes(method)
        ? Promise.reject(new TidemarkError('STORAGE_UNAVAILABLE', 'Access denied.'))
        : run(undefined),
    )
    const place = { storage: readOnly, name: 's' }
    expect((await collect(exportZip(place, { clock }))).length).toBeGreaterThan(20)
    const slow = intercept(readOnly, async ({ target, method, path }, run) => {
      if (target === 'blobs' && method === 'get' && path.includes('/seg/')) for (let i = 0; i < 4; i++) await churn()
      return run(undefined)
    })
    const exporting = collect(exportZip({ storage: slow, name: 's' }, { clock }))
    await expect(exporting).rejects.toThrow(code('VERSION_EXPIRED'))
  })

  test('begins with the newest version where the one that it found was collected at once', async () => {
    const { storage, clock, store, churn } = await churned()
    let left = 3
    const busy = intercept(storage, async ({ method, path }, run) => {
      if (method === 'put' && path.includes('/pins/') && left-- > 0) {
        await churn(2)
        await churn(2)
      }
      return run(undefined)
    })
    await push({ storage: busy, name: 's' }, { storage, name: 'copy' }, { clock })
    const found = await verify({ storage, name: 'copy' }, { clock })
    expect([found.ok, left]).toEqual([true, -1])
    expect(await verify({ storage, name: 's' }, { clock })).toMatchObject({ ok: true, version: store.version })
  })
})

test('a pin that the storage refused to make anew is made before the one before it has ended', async () => {
  const { store, storage, pass, clock } = await churned()
  const { shard } = handleOf(store)
  let isRefused = false
  const failing = intercept(storage, ({ method }, run) =>
    method === 'put' && isRefused
      ? Promise.reject(new TidemarkError('STORAGE_UNAVAILABLE', 'Not now.'))
      : run(undefined),
  )
  const reading = new Reading({ ...shard.context, storage: failing }, shard.log, shard.state)
  expect(await reading.begin(shard.state)).toBe(true)
  for (let step = 0; step < 80; step++) {
    isRefused = step % 10 === 5
    const pins = await pinsOf(shard)
    expect(pins.some((pin) => !isOver(pin, clock.now()))).toBe(true)
    await reading.use()
    pass(GRACE / 10)
  }
  await reading.end()
  expect(await pinsOf(shard)).toEqual([])
})

test('an open snapshot of a follower that is read for long has a pin, which goes with the follower', async () => {
  const world = await churned()
  const follower = await world.open({ mode: 'follower' })
  const snap = await follower.snapshot()
  world.pass(GRACE * 0.3)
  expect(await snap.get(1)).toBe('1 0')
  await world.store.commit()
  expect(await collect(snap.entries())).toEqual(all)
  const pins = async (): Promise<number> =>
    (await world.storage.blobs.list('s/')).items.filter(({ name }) => name.includes('/pins/')).length
  // It is made beside the reading.
  while ((await pins()) === 0) await systemClock.pause()
  await follower.close()
  expect(await pins()).toBe(0)
})

test('a resident follower for which loading takes too long loads what is there by then', async () => {
  const world = await churned()
  let isBusy = false
  const busy = intercept(world.storage, async ({ method, path }, run) => {
    if (isBusy && method === 'get' && path.includes('/seg/')) {
      isBusy = false
      for (let i = 0; i < 8; i++) await world.churn()
    }
    return run(undefined)
  })
  const follower = await world.open({ mode: 'follower', resident: true, storage: busy })
  await world.churn()
  isBusy = true
  await follower.refresh()
  expect([follower.version, follower.getSync(1)]).toEqual([world.store.version, '1 9'])
})

describe('what is read ends with what it is read from:', () => {
  const closing: readonly [string, (store: Store, world: Churned) => Promise<Items> | Items][] = [
    ...scans.map(([name, start]): [string, typeof start] => [name, start]),
    ['entries() of a partition', (store) => store.partition(1).entries()],
    ['versions()', (store) => store.versions()],
    ['diff()', (store) => diff(store, store.version - 1, store.version)],
  ]

  test.each(closing)('%s says CLOSED at its next step after close()', async (_, start) => {
    const world = await churned('exclusive', { retain: { versions: 5 } })
    const { store } = world
    store.clear()
    await store.commit()
    for (let i = 0; i < KEYS; i++) store.put(i, i)
    await store.commit()
    const items = await start(store, world)
    expect((await items.next()).done).toBe(false)
    await store.close()
    await expect(items.next()).rejects.toThrow(code('CLOSED'))
    expect(await items.next()).toEqual({ done: true, value: undefined })
  })

  test('a scan of a snapshot that is closed, and of a transaction that has ended', async () => {
    const { store } = await churned()
    const snap = await store.snapshot()
    const items = [snap.entries(), snap.table('t').keys(), snap.partition(0).values()]
    await Promise.all(items.map((each) => each.next()))
    await snap.close()
    for (const each of items) await expect(each.next()).rejects.toThrow(code('CLOSED'))
    let left!: AsyncIterator<unknown>
    await store.transaction(async (tx) => {
      left = tx.entries()
      await left.next()
    })
    await expect(left.next()).rejects.toThrow(code('CLOSED'))
  })

  test('not what was at its end already', async () => {
    const { store } = await churned()
    const items = store.keys({ limit: 2 })
    await items.next()
    await items.next()
    await store.close()
    expect((await items.next()).done).toBe(true)
  })
})
