import { eachAdapter } from '../../support/counting.js'
import { extent } from '../../support/extent.js'
import { describe, expect, test } from 'vitest'
import { metered, openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { adapters, collect } from '../../support/storages.js'

const GRACE = 1000
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
type Contents = Record<string, unknown>

/** A store with a clock of its own that only moves when it is told. */
class Bench {
  readonly storage: Storage
  now = 1_700_000_000_000
  store!: Store

  constructor(storage: Storage) {
    this.storage = storage
  }

  async open(options: Partial<OpenOptions>): Promise<Store> {
    const clock = { ...systemClock, now: () => this.now, monotonic: () => this.now }
    this.store = await openStore({ storage: this.storage, name: 's', clock, graceMs: GRACE, ...options })
    return this.store
  }

  async contents(view: Pick<Store, 'entries'> = this.store): Promise<Contents> {
    return Object.fromEntries(await collect(view.entries())) as Contents
  }

  async past(version: number): Promise<Contents> {
    const past = await this.store.at(version)
    try {
      return await this.contents(past)
    } finally {
      await past.close()
    }
  }

  async commit(key: string, value: unknown): Promise<number> {
    this.store.put(key, value)
    return (await this.store.commit()).version
  }

  versions(): Promise<number[]> {
    return collect(this.store.versions()).then((infos) => infos.map(({ version }) => version))
  }

  /** Log entries and blobs; the anchor is one more. */
  async objects(): Promise<{ entries: number; segments: number; pins: number; all: number }> {
    const [path] = (await this.storage.logs('')).paths
    const { numbers } = await this.storage.log(path!).list(1)
    const { items, more } = await this.storage.blobs.list('')
    expect(more).toBe(false)
    const pins = items.filter(({ name }) => name.includes('/pins/')).length
    return { entries: numbers.length, segments: items.length - pins, pins, all: numbers.length + items.length + 1 }
  }

  /** The names of all blobs and the numbers of all entries. */
  async names(): Promise<ReadonlySet<string | number>> {
    const [path] = (await this.storage.logs('')).paths
    const { numbers } = await this.storage.log(path!).list(1)
    const { items } = await this.storage.blobs.list('')
    return new Set([...numbers, ...items.map(({ name }) => name)])
  }
}

eachAdapter(adapters, 'retention on %s', (make, adapter) => {
  const COUNT = adapter === 'memory' ? extent(1000, 120) : extent(120, 60)

  test(`retaining 3 with a fold at every second or third of ${COUNT} versions keeps exactly those, and the rest goes from the storage`, async () => {
    const bench = new Bench(make())
    const options = { retain: { versions: 3 }, checkpoint: { entries: 4 }, segmentBytes: 2000, blockBytes: 300 }
    let store = await bench.open(options)
    store.put('never touched', 'again')
    for (let i = 0; i < 20; i++) store.put(`to be deleted ${i}`, i)
    await store.commit()
    const kept: { version: number; state: Contents }[] = []
    const model: Contents = await bench.contents()
    let most = 0
    for (let i = 0; i < COUNT; i++) {
      bench.now += 37
      model['same'] = i
      model[`k${i % 50}`] = i
      delete model[`to be deleted ${i}`]
      store.put('same', i)
      store.put(`k${i % 50}`, i)
      store.delete(`to be deleted ${i}`)
      const { version } = await store.commit()
      if (i % 5 === 1 || i % 5 === 4) await store.checkpoint()
      if (i % 9 === 0) await store.maintain()
      kept.push({ version, state: { ...model } })
      // One that is no longer kept tells so, or has not been collected yet.
      for (const { version: v, state } of kept.slice(-3)) expect(await bench.past(v)).toEqual(state)
      if (i % 50 === 0) {
        await store.close()
        store = await bench.open(options)
        for (const { version: v, state } of kept.slice(-3)) expect(await bench.past(v)).toEqual(state)
      }
      if (i % 20 === 19) most = Math.max(most, (await bench.objects()).all)
    }
    await store.maintain()
    bench.now += GRACE
    await store.maintain()
    const left = await bench.objects()
    const live = store.metrics().segments.live
    console.log(`${adapter}: at most ${most} objects, ${left.all} in the end, ${live} live segments`)
    expect(left.all).toBeLessThan(3 + live + 24)
    expect(await bench.versions()).toEqual(kept.slice(-3).map(({ version }) => version))
    for (const { version, state } of kept.slice(-3)) expect(await bench.past(version)).toEqual(state)
    for (const { version } of kept.slice(-9, -3)) {
      await expect(store.at(version)).rejects.toThrow(code('VERSION_EXPIRED'))
    }
    expect(await store.get('never touched')).toBe('again')
    await store.reopen()
    expect(await bench.contents()).toEqual(model)
    await store.close()
    const report = await verify({ storage: bench.storage, name: 's' })
    expect([report.damages, report.orphans.count]).toEqual([[], 0])
  })

  test('once everything was deleted, compacted and collected, neither values nor tombstones are left', async () => {
    const bench = new Bench(make())
    const store = await bench.open({ retain: { versions: 2 }, segmentBytes: 2000, blockBytes: 300 })
    for (let i = 0; i < 200; i++) store.put(i, 'x'.repeat(40))
    const { version } = await store.commit()
    await store.tag('full')
    await store.maintain()
    for (let i = 0; i < 100; i++) store.delete(i)
    store.deleteRange({ gte: 100 })
    await store.commit()
    await store.maintain()
    expect(store.metrics().segments.live).toBe(0)
    // As many folds as push the ones with the values and with the tombstones out of what is kept.
    for (let round = 0; round < 6; round++) {
      await bench.commit('last', round)
      await store.maintain()
      bench.now += GRACE
    }
    // The tag still holds all of it.
    expect(Object.keys(await bench.past(version)).length).toBe(200)
    expect((await bench.objects()).segments).toBeGreaterThan(5)
    await store.untag('full')
    for (let round = 0; round < 3; round++) {
      await store.maintain()
      bench.now += GRACE
    }
    const { segments, pins } = await bench.objects()
    expect([pins, store.metrics().segments.live]).toEqual([0, 1])
    expect(segments).toBeLessThanOrEqual(8)
    for (const { size } of (await bench.storage.blobs.list('')).items) expect(size).toBeLessThan(300)
    await expect(store.at(version)).rejects.toThrow(code('VERSION_EXPIRED'))
    await store.close()
  })

  test('an idle store stays idle: maintain() that finds nothing writes and deletes nothing', async () => {
    const bench = new Bench(make())
    const storage = metered(bench.storage)
    const idle = new Bench(storage)
    for (const entries of [1, 2, 4, 16]) {
      const store = await idle.open({ name: `s${entries}`, retain: { versions: 2 }, checkpoint: { entries } })
      for (let i = 0; i < 30; i++) await idle.commit('k', i)
      for (let round = 0; round < 4; round++) {
        await store.maintain()
        idle.now += GRACE
      }
      const { put, delete: deleted } = storage.usage().requests
      for (let round = 0; round < 5; round++) {
        const { folds, compactions, condemned, deleted: gone, waiting } = await store.maintain()
        expect([folds, compactions, condemned.entries, condemned.segments, waiting]).toEqual([0, 0, 0, 0, 0])
        expect(gone).toEqual({ entries: 0, segments: 0, pins: 0, bytes: 0 })
        idle.now += GRACE * 10
      }
      expect(storage.usage().requests).toMatchObject({ put, delete: deleted })
      // And without maintain() there is no request at all.
      const before = storage.usage().requests
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(storage.usage().requests).toEqual(before)
      await store.close()
    }
  })

  test('beside commits it collects by itself', async () => {
    const bench = new Bench(make())
    const store = await bench.open({ retain: { versions: 3 }, checkpoint: { entries: 8 } })
    let collected = 0
    store.on('collected', ({ deleted }) => (collected += deleted))
    const count = adapter === 'memory' ? extent(3000, 1200) : extent(700, 400)
    let most = 0
    for (let i = 0; i < count; i++) {
      bench.now += 50
      store.put(i % 100, i)
      await store.commit({ label: 'alone' })
      if (i % 25 === 24) most = Math.max(most, (await bench.objects()).all)
    }
    console.log(`${adapter}: ${count} commits, never more than ${most} objects, ${collected} collected`)
    expect(most).toBeLessThan(400)
    expect(collected).toBeGreaterThan(count / 2)
    expect(store.metrics().collected).toBe(collected)
    await store.close()
    expect((await verify({ storage: bench.storage, name: 's' })).damages).toEqual([])
  })
})

describe('retention', () => {
  async function filled(
    options: Partial<OpenOptions>,
    count: number,
    stepMs: number,
  ): Promise<[Bench, Store, number[]]> {
    const bench = new Bench(metered(memory()))
    const store = await bench.open({ checkpoint: { entries: 2 }, ...options })
    const versions: number[] = []
    for (let i = 0; i < count; i++) {
      bench.now += stepMs
      versions.push(await bench.commit(`k${i}`, i))
      if (i % 2 === 1) await store.checkpoint()
    }
    return [bench, store, versions]
  }

  test('by age keeps what is younger, and the version with which that time began', async () => {
    const [bench, store, versions] = await filled({ retain: { versions: 1, ageMs: 1000 } }, 40, 100)
    await store.maintain()
    // Ten of the last 1,000 ms, and the one that was current when they began.
    expect(await bench.versions()).toEqual(versions.slice(-11))
    const past = await store.at(new Date(bench.now - 1000))
    expect(past.version).toBe(versions.at(-11))
    await past.close()
    bench.now += 5000
    await store.maintain()
    expect(await bench.versions()).toEqual(versions.slice(-1))
    await store.close()
  })

  test('by number and age keeps the union', async () => {
    const [bench, store, versions] = await filled({ retain: { versions: 8, ageMs: 300 } }, 40, 100)
    await store.maintain()
    expect(await bench.versions()).toEqual(versions.slice(-8))
    await store.close()
    const wide = await bench.open({ checkpoint: { entries: 2 }, retain: { versions: 2, ageMs: 500 } })
    await wide.maintain()
    expect(await bench.versions()).toEqual(versions.slice(-6))
    // A version that is gone does not come back when more is to be kept.
    await wide.close()
    const wider = await bench.open({ checkpoint: { entries: 2 }, retain: { versions: 30 } })
    expect(await bench.versions()).toEqual(versions.slice(-6))
    await wider.maintain()
    expect(await bench.versions()).toEqual(versions.slice(-6))
    await wider.close()
  })

  test('dryRun tells what would be done and writes nothing', async () => {
    const [bench, store] = await filled({ retain: { versions: 3 } }, 40, 10)
    const writes = (): unknown => {
      const { put, delete: deleted } = (bench.storage as ReturnType<typeof metered>).usage().requests
      return { put, deleted }
    }
    const before = [writes(), await bench.objects(), await bench.versions()]
    const planned = await store.maintain({ dryRun: true })
    expect([writes(), await bench.objects(), await bench.versions()]).toEqual(before)
    expect(planned.condemned.entries).toBeGreaterThan(20)
    expect(planned.deleted).toEqual({ entries: 0, segments: 0, pins: 0, bytes: 0 })
    const done = await store.maintain()
    expect(done.condemned.entries).toBeGreaterThanOrEqual(planned.condemned.entries)
    bench.now += GRACE
    const { entries, all } = await bench.objects()
    const due = await store.maintain({ dryRun: true })
    expect([due.deleted.entries, (await bench.objects()).all]).toEqual([done.condemned.entries, all])
    const deleted = (await store.maintain()).deleted
    expect(deleted).toEqual(due.deleted)
    expect((await bench.objects()).entries).toBeLessThanOrEqual(entries - deleted.entries + 1)
    await store.close()
  })

  test('minDeletes puts it off until so many entries can go, unless segments go with them', async () => {
    const bench = new Bench(memory())
    const store = await bench.open({ checkpoint: { entries: 2 }, retain: { versions: 3 } })
    for (let i = 0; i < 30; i++) await store.commit()
    expect((await store.maintain({ minDeletes: 100 })).condemned).toEqual({ entries: 0, segments: 0 })
    for (let i = 0; i < 50; i++) await store.commit()
    const few = await store.maintain({ minDeletes: 1000 })
    expect(few.condemned).toEqual({ entries: 0, segments: 0 })
    expect((await store.maintain({ minDeletes: 20 })).condemned.entries).toBeGreaterThan(20)
    let segments = 0
    for (let i = 0; i < 8; i++) {
      await bench.commit('k', i)
      segments += (await store.maintain({ minDeletes: 1000 })).condemned.segments
    }
    expect(segments).toBeGreaterThan(0)
    await store.close()
  })

  test('maxDeletes and budgetMs do a part and go on later', async () => {
    const [bench, store, versions] = await filled({ retain: { versions: 3 }, segmentBytes: 200 }, 60, 10)
    await store.maintain()
    bench.now += GRACE
    const wanted = (await store.maintain({ dryRun: true })).deleted
    const events: number[] = []
    store.on('collected', ({ deleted }) => events.push(deleted))
    let left = wanted.entries + wanted.segments
    expect(left).toBeGreaterThan(30)
    expect((await store.maintain({ budgetMs: 0 })).deleted).toEqual({ entries: 0, segments: 0, pins: 0, bytes: 0 })
    const before = await bench.names()
    for (const maxDeletes of [1, 7, 0, 5]) {
      const { deleted, condemned } = await store.maintain({ maxDeletes })
      expect([deleted.entries + deleted.segments, condemned.entries]).toEqual([maxDeletes, 0])
      left -= maxDeletes
      expect(await bench.versions()).toEqual(versions.slice(-3))
    }
    // Merges that go on meanwhile write others.
    const after = await bench.names()
    expect([...before].filter((name) => !after.has(name))).toHaveLength(13)
    const { deleted } = await store.maintain()
    expect(deleted.entries + deleted.segments).toBe(left)
    expect(events).toEqual([1, 7, 5, left])
    expect(store.metrics().collected).toBeGreaterThanOrEqual(13 + left)
    await store.close()
    expect((await verify({ storage: bench.storage, name: 's' })).damages).toEqual([])
  })
})
