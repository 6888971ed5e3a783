import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, worldOver } from 'tidemark/testing'
import { destroyStore, listStores, verify, type VerifyReport } from 'tidemark/tools'
import { encodeEntry } from '../../../src/log/encode.js'
import { decodeEntry } from '../../../src/log/entry.js'
import { decodePin, encodePin, type Pin } from '../../../src/log/pin.js'
import { DeltaWriter } from '../../../src/log/delta-writer.js'
import { eachAdapter } from '../../support/counting.js'
import { storageOf } from '../../support/damage.js'
import { objectsOf } from '../../support/loss-worlds.js'
import { adapters, collect } from '../../support/storages.js'

const TINY = { checkpoint: { entries: 4, bytes: 2000 }, segmentBytes: 400, blockBytes: 80 }
const pinsOf = async ({ blobs }: Storage, store: string): Promise<string[]> =>
  (await blobs.list(`${store}/`)).items.map(({ name }) => name).filter((name) => name.includes('/pins/'))

/** A clock that stands still until it is moved on, and stores under it. */
function world(storage: Storage) {
  let now = 1_700_000_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  return {
    wait: (ms: number) => void (now += ms),
    open: (options: Partial<OpenOptions> = {}): Promise<Store> =>
      openStore({ storage, name: 's', clock, graceMs: 1000, ...TINY, ...options }),
    verify: (name = 's'): Promise<VerifyReport> => verify({ storage, name }, { clock }),
  }
}

async function fill(store: Store, count: number): Promise<number> {
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < 6; k++) store.put(`k${(i * 7 + k * 5) % 40}`, `${store.version} ${i}`)
    if (i % 3 === 0) store.deleteRange({ gte: `k1${i % 10}`, lt: 'k2' })
    await store.commit()
  }
  return store.version
}

eachAdapter(adapters, 'verify on %s', (make) => {
  test('finds nothing wrong with tags, forks, resets and what is collected, at every step', async () => {
    const storage = make()
    const { open, verify, wait } = world(storage)
    const store = await open({ partitions: 3, retain: { versions: 4 } })
    const check = async (name?: string): Promise<VerifyReport> => {
      const report = await verify(name)
      expect(report.damages).toEqual([])
      return report
    }
    const first = await fill(store, 6)
    expect(await check()).toMatchObject({ oldest: 2, tags: [], forks: [] })
    await store.tag('first')
    await store.tag('short', { ttlMs: 500 })
    await fill(store, 7)
    await store.restore('first', { partitions: [0, 2] })
    await check()
    await store.fork('fork', { at: 'first' })
    expect(await check()).toMatchObject({ tags: ['first', 'short'], forks: ['fork'] })
    await fill(store, 3)
    for (let i = 0; i < 8; i++) {
      await store.maintain()
      await check()
      await check('fork')
      await fill(store, 3)
      if (i === 3) await store.restore('first')
      if (i === 5) await store.restore(store.version - 1, { partitions: [1] })
      wait(1100)
    }
    const versions = (await collect(store.versions())).map(({ version }) => version)
    const report = await check()
    expect(report).toMatchObject({ tags: ['first'], forks: ['fork'], version: store.version, oldest: versions[0] })
    expect(report.oldest).toBeGreaterThan(first)
    // A fork of the fork, and both live on.
    const fork = await open({ name: 'fork' })
    await fork.fork('fork.2')
    await fill(fork, 9)
    await fork.restore(1)
    for (const name of ['s', 'fork', 'fork.2']) await check(name)
    await fork.close()
    await store.untag('first')
    await store.close()
    await check()
    // Without its anchor a store that was collected is still whole.
    await storage.anchor('s/0/anchor').remove()
    await check()
  })
})

test('verify calls nothing damaged that is collected while it reads', async () => {
  const inner = memory()
  const { open, verify: check, wait } = world(inner)
  const store = await open({ retain: { versions: 2 }, partitions: 2 })
  await fill(store, 10)
  await store.fork('fork')
  const fork = await open({ name: 'fork', retain: { versions: 1 } })
  let isDone = false
  const collecting = (async () => {
    for (let i = 0; i < 40; i++) {
      for (const one of [store, fork]) {
        await fill(one, 2)
        await one.tag(`t${i}`)
        if (i > 1) await one.untag(`t${i - 2}`)
        await one.maintain()
      }
      wait(600)
      await systemClock.pause()
    }
    isDone = true
  })()
  let checks = 0
  while (!isDone) {
    for (const name of ['s', 'fork']) expect((await check(name)).damages).toEqual([])
    checks++
  }
  await collecting
  expect(checks).toBeGreaterThan(3)
  await store.close()
  await fork.close()
})

describe('verify finds', () => {
  /** A store with a tag, whose pin is replaced by another; and what is found. */
  async function withPin(change: (pin: Pin, bytes: Uint8Array) => Pin | Uint8Array): Promise<unknown> {
    const storage = memory()
    const { open, verify } = world(storage)
    const store = await open()
    await fill(store, 6)
    await store.tag('t')
    await fill(store, 6)
    await store.close()
    const [name] = await pinsOf(storage, 's')
    const { bytes } = await storage.blobs.get(name!)
    const changed = change(decodePin(bytes!, 'it'), bytes!.slice())
    await storage.blobs.delete([name!])
    await storage.blobs.put(name!, changed instanceof Uint8Array ? changed : encodePin(changed))
    const { damages, orphans } = await verify()
    expect(orphans.count).toBe(0)
    for (const { object } of damages) expect(object).toBe(name)
    return damages.map(({ message }) => message.replace(name!, 'P'))
  }

  test('a pin of which a byte is flipped, or that is no pin of its version', async () => {
    expect(await withPin((pin) => pin)).toEqual([])
    expect(await withPin((_, bytes) => bytes.fill(bytes[40]! ^ 1, 40, 41))).toEqual([
      'Pin P is damaged: its checksum does not match.',
    ])
    expect(await withPin((pin) => ({ ...pin, hash: new Uint8Array(16) }))).toEqual([
      `Pin P is damaged: entry 7 has another hash than it says.`,
    ])
    expect(await withPin((pin) => ({ ...pin, versionTime: 1 }))).toEqual([
      'Pin P is damaged: it gives its version another time.',
    ])
    const writer = new DeltaWriter(1, 64)
    writer.group(0, new Uint8Array(0), 'json', 1)
    writer.delete('k5')
    const delta = writer.finish()
    expect(await withPin((pin) => ({ ...pin, delta }))).toEqual([
      expect.stringMatching(/^Pin P does not keep version 7: key 000000306b\d+ is not the same in both.$/) as string,
    ])
    expect(await withPin((pin) => ({ ...pin, version: 8 }))).toEqual([
      'Pin P is damaged: its manifest is not that of its version.',
    ])
  })

  test('a tag of which a segment is lost', async () => {
    const storage = memory()
    const { open, verify, wait } = world(storage)
    const store = await open({ retain: { versions: 1 } })
    await fill(store, 20)
    await store.tag('t')
    await fill(store, 20)
    for (let i = 0; i < 3; i++) {
      await store.maintain()
      wait(1100)
    }
    await store.close()
    const sound = await verify()
    expect(sound.damages).toEqual([])
    const { items } = await storage.blobs.list('s/')
    let found = 0
    for (const { name } of items.filter((item) => item.name.includes('/seg/'))) {
      const { bytes } = await storage.blobs.get(name)
      await storage.blobs.delete([name])
      const { damages } = await verify()
      await storage.blobs.put(name, bytes!)
      if (damages.length === 0) continue
      expect(damages.map(({ object }) => object)).toContain(name)
      found++
    }
    expect(found).toBe(sound.segments)
  })

  test('a reset that puts something else back', async () => {
    const storage = memory()
    const { open } = world(storage)
    const store = await open({ checkpoint: { entries: 100, bytes: 1 << 20 } })
    store.put('a', 1)
    const { version } = await store.commit()
    store.put('a', 2)
    await store.commit()
    const { version: reset } = await store.restore(version)
    await store.close()
    const [path] = (await storage.logs('s/')).paths
    const name = `${path}/log/${String(reset).padStart(16, '0')}`
    const objects = await objectsOf(storage, 's')
    const entry = decodeEntry(objects.get(name)!, reset, undefined)
    objects.set(name, encodeEntry({ ...entry, origin: { ...entry.origin!, version: version + 1 } }))
    const { damages } = await world(await storageOf(objects)).verify()
    expect(damages).toEqual([
      {
        object: name,
        code: 'CORRUPT',
        message: `Entry ${reset} does not put version ${version + 1} back: key 0000003061 is not the same in both.`,
      },
    ])
  })

  test('segments of a parent that no longer holds them', async () => {
    const storage = memory()
    const { open, verify } = world(storage)
    const store = await open()
    await fill(store, 8)
    await store.fork('fork')
    await store.close()
    expect((await verify('fork')).damages).toEqual([])
    await storage.blobs.delete(await pinsOf(storage, 's'))
    const { damages } = await verify('fork')
    expect(damages.length).toBeGreaterThan(0)
    for (const { message } of damages) expect(message).toMatch(/no pin of s\/0\/[0-9a-f]+ holds it/)
  })
})

test('destroyStore of a fork, cut at every storage call in four ways, harms no parent and lets it go in the end', async () => {
  const make = async (): Promise<Storage> => {
    const storage = memory()
    const { open } = world(storage)
    const store = await open()
    await fill(store, 6)
    await store.fork('fork')
    await store.close()
    return storage
  }
  const result = await cuts<'begun'>({
    makeWorld: worldOver(make),
    scenario: (storage) => destroyStore({ storage, name: 'fork' }),
    verify: async (storage) => {
      const { open, verify: check, wait } = world(storage)
      expect((await check()).damages).toEqual([])
      await destroyStore({ storage, name: 'fork' }).catch((error: unknown) =>
        expect(error).toMatchObject({ code: 'NOT_FOUND' }),
      )
      const store = await open()
      wait(5000)
      await store.maintain()
      wait(5000)
      await store.maintain()
      await store.close()
      expect(await pinsOf(storage, 's')).toEqual([])
      expect((await listStores(storage)).map(({ name }) => name)).toEqual(['s'])
      await destroyStore({ storage, name: 's' })
    },
  })
  expect(result.missed).toBe(0)
  expect(result.points).toBeGreaterThan(10)
})

eachAdapter(adapters, 'a parent on %s', (make) => {
  test('is not destroyed while forks need it, and is let go by a fork that is destroyed', async () => {
    const storage = make()
    const { open } = world(storage)
    const store = await open()
    await fill(store, 8)
    for (const name of ['one', 'two']) await store.fork(name)
    await store.tag('t')
    await store.close()
    const place = { storage, name: 's' }
    await expect(destroyStore(place)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('its forks "one", "two" need') as string,
    })
    await (await open({ create: false })).close()
    expect((await pinsOf(storage, 's')).length).toBe(3)
    await destroyStore({ storage, name: 'one' })
    expect((await pinsOf(storage, 's')).length).toBe(2)
    await expect(destroyStore(place, { force: true })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('its fork "two" needs') as string,
    })
    // A fork that has rewritten all of it needs nothing more.
    const two = await open({ name: 'two', retain: { versions: 1 } })
    two.clear()
    await two.commit()
    await two.close()
    await expect(destroyStore(place)).rejects.toMatchObject({ code: 'CONFLICT' })
    await destroyStore({ storage, name: 'two' })
    expect((await pinsOf(storage, 's')).length).toBe(1)
    await destroyStore(place)
    expect(await listStores(storage)).toEqual([])
    expect((await storage.blobs.list('')).items).toEqual([])
  })

  test('is destroyed when its fork was interrupted before it began, and what is left of that is no store', async () => {
    const storage = make()
    const { open } = world(storage)
    const store = await open()
    await fill(store, 5)
    const failing = {
      ...storage,
      log: (path: string, options?: object) => ({
        ...storage.log(path, options),
        ...(path.startsWith('fork/') && { claim: () => Promise.reject(new Error('cut off')) }),
      }),
    } as Storage
    await store.close()
    const cut = await openStore({ storage: failing, name: 's' })
    await expect(cut.fork('fork')).rejects.toThrow()
    await cut.close()
    expect((await pinsOf(storage, 's')).length).toBe(1)
    await destroyStore({ storage, name: 's' })
    expect(await listStores(storage)).toEqual([])
    await expect(verify({ storage, name: 'fork' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await (await open({ name: 'fork' })).close()
  })
})
