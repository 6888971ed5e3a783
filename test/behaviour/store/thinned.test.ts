import { eachAdapter } from '../../support/counting.js'
import { extent } from '../../support/extent.js'
import { describe, expect, test } from 'vitest'
import {
  metered,
  openStore,
  systemClock,
  TidemarkError,
  type Clock,
  type OpenOptions,
  type Storage,
  type Store,
} from 'tidemark'
import { memory } from 'tidemark/memory'
import { diff, listStores, verify } from 'tidemark/tools'
import { backups, push } from 'tidemark/transfer'
import { Random } from '../../../src/testing/random.js'
import { intercept } from '../../../src/storage/intercept.js'
import { handleOf } from '../../../src/store/handles.js'
import { adapters, collect } from '../../support/storages.js'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const GRACE = 1000
/** Midnight in UTC. */
const START = Date.UTC(2026, 0, 1)
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

type Contents = Record<string, unknown>
interface Made {
  readonly version: number
  readonly time: number
  readonly contents: Contents
}

/** The last of each of the last `count` periods that have any, said in another way than the store does. */
function lastOfEach(made: readonly Made[], ms: number, count: number): number[] {
  const last = new Map<number, number>()
  for (const { version, time } of made) last.set(Math.floor(time / ms), version)
  return [...last.values()].slice(-count || Infinity)
}

/** A store whose clock moves only when it is told, and all that was ever committed to it. */
class World {
  readonly storage: Storage
  readonly made: Made[] = []
  now = START
  store!: Store
  options: Partial<OpenOptions>
  readonly warnings: string[] = []

  constructor(storage: Storage, options: Partial<OpenOptions> = {}) {
    this.storage = storage
    this.options = options
  }

  get clock(): Clock {
    return { ...systemClock, now: () => this.now, monotonic: () => this.now }
  }

  async open(options: Partial<OpenOptions> = {}): Promise<Store> {
    this.options = { ...this.options, ...options }
    this.store = await this.another()
    return this.store
  }

  another(): Promise<Store> {
    const logger = { warn: (message: string) => this.warnings.push(message) }
    const small = { checkpoint: { entries: 5, bytes: 4000 }, segmentBytes: 1500, blockBytes: 200 }
    return openStore({
      storage: this.storage,
      name: 's',
      clock: this.clock,
      graceMs: GRACE,
      logger,
      ...small,
      ...this.options,
    })
  }

  async reopen(options: Partial<OpenOptions> = {}): Promise<Store> {
    await this.store.close()
    return this.open(options)
  }

  async commit(changes: Contents, at = this.now): Promise<number> {
    this.now = at
    for (const [key, value] of Object.entries(changes)) this.store.put(key, value)
    const { version } = await this.store.commit({ label: `at ${at - START}`, meta: { changes } })
    this.made.push({ version, time: at, contents: { ...this.made.at(-1)?.contents, ...changes } })
    return version
  }

  /** The versions that are to be kept, by what the options say. */
  kept(): number[] {
    const { versions = 100, hourly = 24, daily = 30 } = this.options.retain ?? {}
    const numbers = [
      ...this.made.slice(-versions).map(({ version }) => version),
      ...(hourly === 0 ? [] : lastOfEach(this.made, HOUR, hourly)),
      ...(daily === 0 ? [] : lastOfEach(this.made, DAY, daily)),
    ]
    return [...new Set(numbers)].sort((a, b) => a - b)
  }

  /** Those, and what the log still has: it goes from fold to fold. */
  there(): number[] {
    const { keeps } = handleOf(this.store).shard.state.carried
    const kept = this.kept()
    return this.made.map(({ version }) => version).filter((version) => version >= keeps || kept.includes(version))
  }

  async listed(store = this.store): Promise<number[]> {
    return (await collect(store.versions())).map(({ version }) => version)
  }

  async read(when: number | Date, store = this.store): Promise<Contents> {
    const past = await store.at(when)
    try {
      return Object.fromEntries(await collect(past.entries())) as Contents
    } finally {
      await past.close()
    }
  }

  async expectReadable(versions: readonly number[], store = this.store): Promise<void> {
    for (const version of versions) {
      const { contents } = this.made.find((made) => made.version === version)!
      expect(await this.read(version, store), `version ${version}`).toEqual(contents)
    }
  }

  /** Collects until nothing is left to do. */
  async settle(): Promise<void> {
    for (let round = 0; round < 6; round++) {
      await this.store.maintain()
      this.now += GRACE
    }
    const { condemned, deleted, waiting } = await this.store.maintain()
    expect([condemned, deleted, waiting]).toEqual([
      { entries: 0, segments: 0 },
      { entries: 0, segments: 0, pins: 0, bytes: 0 },
      0,
    ])
  }

  async pins(): Promise<{ name: string; size: number }[]> {
    return (await this.storage.blobs.list('s/')).items.filter(({ name }) => name.includes('/pins/'))
  }

  async entries(): Promise<number> {
    const [path] = (await this.storage.logs('s/')).paths
    return (await this.storage.log(path!).list(1)).numbers.length
  }

  async expectSound(): Promise<void> {
    const { damages, orphans } = await verify({ storage: this.storage, name: 's' })
    expect([damages, orphans.count]).toEqual([[], 0])
  }
}

eachAdapter(adapters, 'a thinned history on %s', (make, adapter) => {
  const COMMITS = adapter === 'memory' ? extent(1200, 420) : extent(300, 240)

  test(`of ${COMMITS} commits at random moments of a year the newest of each hour and day is kept and right, over restarts`, async () => {
    const random = new Random(7)
    const world = new World(make(), { retain: { versions: 3 } })
    await world.open()
    const gap = (): number => {
      const kind = random.next()
      // Some within the hour, some hours and some days later; a year in all.
      if (kind < 0.5) return random.next() * 30 * 60_000
      return kind < 0.95 ? random.next() * 8 * HOUR : (random.next() * 2 * 280 * DAY) / (0.05 * COMMITS)
    }
    let [most, mostPins] = [0, 0]
    for (let i = 0; i < COMMITS; i++) {
      world.now += Math.floor(gap())
      await world.commit({ same: i, [`k${i % 40}`]: `${i} `.repeat(1 + random.below(20)) })
      if (random.chance(0.15)) await world.store.maintain()
      if (random.chance(0.03)) await world.reopen()
      if (i % 60 !== 59) continue
      const listed = await world.listed()
      expect(listed).toEqual(expect.arrayContaining(world.kept()))
      const kept = world.kept()
      await world.expectReadable([kept[0]!, ...Array.from({ length: 5 }, () => kept[random.below(kept.length)]!)])
      await world.settle()
      // Exactly these, and the others are gone.
      expect(await world.listed()).toEqual(world.there())
      const there = world.there()
      const gone = world.made.findLast(({ version }) => !there.includes(version))
      if (gone) await expect(world.store.at(gone.version)).rejects.toThrow(code('VERSION_EXPIRED'))
      most = Math.max(most, await world.entries())
      mostPins = Math.max(mostPins, (await world.pins()).length)
    }
    expect(world.now - START).toBeGreaterThan(250 * DAY)
    console.log(`${adapter}: never more than ${most} entries and ${mostPins} pins after collections`)
    expect(most).toBeLessThan(40)
    expect(mostPins).toBeLessThanOrEqual(54)
    expect(mostPins).toBeGreaterThan(30)
    await world.expectReadable(world.kept())
    const follower = await openStore({ storage: world.storage, name: 's', mode: 'follower', clock: world.clock })
    expect(await world.listed(follower)).toEqual(world.kept())
    await world.expectReadable(world.kept().slice(0, 3), follower)
    await follower.close()
    await world.store.close()
    expect(world.warnings).toEqual([])
    await world.expectSound()
  })

  test('beside commits it thins by itself', async () => {
    const world = new World(make(), { retain: { versions: 5, hourly: 6, daily: 3 } })
    await world.open()
    for (let i = 0; i < 500; i++) {
      await world.commit({ [`k${i % 20}`]: i }, world.now + 9 * 60_000)
      if (i % 100 === 99) await world.reopen()
    }
    expect(await world.listed()).toEqual(expect.arrayContaining(world.kept()))
    await world.expectReadable(world.kept())
    expect((await world.pins()).length).toBeGreaterThan(0)
    expect(await world.entries()).toBeLessThan(250)
    await world.store.close()
    expect(world.warnings).toEqual([])
  })
})

describe('thinning', () => {
  test('counts hours and days of UTC that have versions, the present one among them', async () => {
    const world = new World(memory(), { retain: { versions: 1, hourly: 3, daily: 2 } })
    await world.open()
    const at = (day: number, hour: number, minute: number): number => START + day * DAY + hour * HOUR + minute * 60_000
    const v: number[] = []
    for (const time of [
      at(0, 22, 1),
      at(0, 23, 59),
      at(1, 0, 0),
      at(1, 0, 30),
      // Nothing for many hours.
      at(1, 9, 10),
      at(1, 9, 59),
      at(5, 10, 0),
      at(5, 10, 1),
      at(5, 10, 2),
    ]) {
      v.push(await world.commit({ time }, time))
      await world.store.maintain()
    }
    await world.store.maintain()
    // Hours: 10 of day 5, 9 and 0 of day 1. Days: 5 and 1.
    expect(await world.listed()).toEqual([v[3], v[5], v[8]])
    // By day two of the first three hours are gone; the day before is now the second one.
    v.push(await world.commit({ time: 0 }, at(6, 0, 0)))
    await world.settle()
    expect(await world.listed()).toEqual([v[5], v[8], v[9]])
    await world.expectReadable([v[5]!, v[8]!, v[9]!])
    // Nothing goes by time alone.
    world.now += 400 * DAY
    await world.settle()
    expect(await world.listed()).toEqual([v[5], v[8], v[9]])
    await world.store.close()
    await world.expectSound()
  })

  test('a thinned version is shown as it was, and found by its number and by moments of its hour', async () => {
    const world = new World(memory(), { retain: { versions: 2 } })
    const store = await world.open()
    const infos = new Map<number, unknown>()
    for (let hour = 0; hour < 6; hour++) {
      for (let i = 0; i < 3; i++) {
        world.now = START + hour * HOUR + i * 60_000
        store.put('k', `${hour} ${i}`)
        await store.commit({ offsets: { source: hour * 3 + i }, label: `${hour} ${i}`, meta: { hour, at: [i] } })
        if (hour === 2 && i === 2) await store.restore(store.version - 1, { label: 'back', meta: 'again' })
        if (hour === 3 && i === 2) await store.tag('fourth')
        const [info] = await collect(store.versions({ gte: store.version }))
        infos.set(store.version, info)
      }
    }
    const before = await collect(store.versions())
    expect(before.length).toBe(19)
    await world.settle()
    const thinned = await collect(store.versions())
    expect(thinned.length).toBe(7)
    for (const info of thinned) expect(info).toEqual(before.find(({ version }) => version === info.version))
    expect(thinned.map(({ label, kind }) => [label, kind])).toEqual([
      ['0 2', 'commit'],
      ['1 2', 'commit'],
      ['back', 'reset'],
      ['3 2', 'commit'],
      ['4 2', 'commit'],
      ['5 1', 'commit'],
      ['5 2', 'commit'],
    ])
    expect(thinned[2]!.meta).toBe('again')
    expect(thinned[3]).toMatchObject({ tags: ['fourth'], meta: { hour: 3, at: [2] }, offsets: { source: 11 } })
    const numbers = thinned.map(({ version }) => version)
    // Every way to list them.
    const list = async (options: Parameters<Store['versions']>[0]): Promise<number[]> =>
      (await collect(store.versions(options))).map(({ version }) => version)
    const reversed = [...numbers].reverse()
    expect(await list({ reverse: true })).toEqual(reversed)
    for (let limit = 0; limit <= 8; limit++) {
      expect(await list({ limit })).toEqual(numbers.slice(0, limit))
      expect(await list({ limit, reverse: true })).toEqual(reversed.slice(0, limit))
    }
    for (const bound of [numbers[1]!, numbers[1]! + 1, numbers[4]!, numbers[5]!, numbers[6]!]) {
      expect(await list({ gte: bound })).toEqual(numbers.filter((n) => n >= bound))
      expect(await list({ lte: bound })).toEqual(numbers.filter((n) => n <= bound))
    }
    // By moments: what was there until the end of its hour is known.
    const { time, version } = thinned[1]!
    for (const moment of [time, time + 1, START + 2 * HOUR - 1]) {
      const past = await store.at(new Date(moment))
      expect([past.version, past.time]).toEqual([version, time])
      await past.close()
    }
    for (const moment of [time - 1, START + 2 * HOUR, START + HOUR - 60 * 60_000 + 1]) {
      await expect(store.at(new Date(moment))).rejects.toThrow(code('VERSION_EXPIRED'))
    }
    await store.close()
  })

  test('no list of tags shows it, no program can give or take its name, and it serves as any version does', async () => {
    const world = new World(memory(), { retain: { versions: 1 } })
    const store = await world.open()
    const { storage, clock } = world
    const v: number[] = []
    for (let hour = 0; hour < 5; hour++) {
      await world.commit({ [`first ${hour}`]: 0 }, START + hour * HOUR)
      v.push(await world.commit({ hour, [`k${hour}`]: 'x'.repeat(hour === 2 ? 5000 : 20) }, world.now + 1000))
    }
    await store.tag('mine', { at: v[4] })
    await world.settle()
    expect((await world.pins()).length).toBe(5)
    const place = { storage, name: 's' }
    const names = ['mine']
    expect((await store.tags()).map(({ name }) => name)).toEqual(names)
    expect((await verify(place)).tags).toEqual(names)
    expect((await backups(place)).map(({ name }) => name)).toEqual(names)
    expect(JSON.stringify(await listStores(storage))).not.toContain('"-"')
    for (const act of [() => store.tag('-'), () => store.untag('-'), () => store.at('-'), () => store.fork('-')]) {
      await expect(act()).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    // It can be compared, copied, forked, tagged and put back.
    const changes = await collect(diff(store, v[1]!, v[2]!))
    expect(changes.map(({ key }) => String(key)).toSorted()).toEqual(['first 2', 'hour', 'k2'])
    await push(place, { storage, name: 'copy' }, { at: v[2], clock })
    const copy = await openStore({ storage, name: 'copy', clock })
    const { contents } = world.made.find(({ version }) => version === v[2])!
    expect(Object.fromEntries(await collect(copy.entries()))).toEqual(contents)
    const { label, meta } = (await collect(copy.versions())).at(-1)!
    expect([label, meta]).toEqual([`at ${2 * HOUR + 1000}`, { changes: { hour: 2, k2: contents['k2'] } }])
    await copy.close()
    await store.fork('child', { at: v[2] })
    await store.tag('old', { at: v[2] })
    const { version } = await store.restore(v[2]!)
    expect(Object.fromEntries(await collect(store.entries()))).toEqual(contents)
    expect(await world.read(version)).toEqual(contents)
    // What it is copied to stays when it goes.
    await world.reopen({ retain: { versions: 1, hourly: 0, daily: 0 } })
    for (let i = 0; i < 4; i++) await world.commit({ later: i })
    await world.settle()
    expect((await world.store.tags()).map(({ name }) => name)).toEqual(['mine', 'old'])
    const past = await world.store.at('old')
    expect(Object.fromEntries(await collect(past.entries()))).toEqual(contents)
    await past.close()
    const child = await openStore({ storage, name: 'child', clock })
    expect(Object.fromEntries(await collect(child.entries()))).toEqual(contents)
    await child.close()
    await world.store.close()
    await world.expectSound()
  })

  test('a fork thins its own history, and holds its parent for that', async () => {
    const world = new World(memory(), { retain: { versions: 1 } })
    await world.open()
    await world.commit({ big: 'x'.repeat(4000), k: 0 })
    await world.store.checkpoint()
    await world.store.fork('child')
    await world.store.close()
    const child = new World(world.storage, { name: 'child', retain: { versions: 1 } })
    child.now = world.now
    await child.open()
    child.made.push({ version: child.store.version, time: child.now, contents: world.made[0]!.contents })
    for (let hour = 1; hour < 4; hour++) {
      await child.commit({ k: hour }, START + hour * HOUR)
      await child.store.checkpoint()
    }
    for (let i = 0; i < 4; i++) {
      await child.commit({ big: i }, child.now + 60_000)
      await child.store.maintain()
    }
    world.now = child.now
    // The parent has nothing of that any more, but for its child.
    await world.open({ retain: { versions: 1, hourly: 0, daily: 0 } })
    for (let i = 0; i < 6; i++) {
      await world.commit({ big: i, k: i }, world.now + GRACE)
      await world.store.maintain()
    }
    expect(await child.listed()).toEqual(child.kept())
    await child.expectReadable(child.kept())
    await child.store.close()
    await world.store.close()
    expect((await verify({ storage: world.storage, name: 'child' })).damages).toEqual([])
  })

  test('other options from one opening to the next: fewer hours let go of more, more hours bring nothing back', async () => {
    const world = new World(memory(), { retain: { versions: 2, hourly: 10, daily: 0 } })
    await world.open()
    const hours = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await world.commit({ i }, world.now + HOUR - 60_000)
        await world.commit({ j: i }, world.now + 60_000)
      }
      await world.settle()
    }
    await hours(20)
    const ten = world.kept()
    expect(await world.listed()).toEqual(ten)
    expect(ten.length).toBe(10)
    await world.reopen({ retain: { versions: 2, hourly: 4, daily: 0 } })
    await world.settle()
    const four = world.kept()
    expect(await world.listed()).toEqual(four)
    expect(four.length).toBe(4)
    await world.reopen({ retain: { versions: 2, hourly: 24, daily: 2 } })
    await world.settle()
    expect(await world.listed()).toEqual(four)
    await hours(3)
    expect(await world.listed()).toEqual(world.there().filter((version) => version >= four[0]!))
    await world.reopen({ retain: { versions: 2, hourly: 0, daily: 0 } })
    await world.settle()
    expect(await world.listed()).toEqual(world.there())
    expect(await world.pins()).toEqual([])
    await world.store.close()
    await world.expectSound()
    for (const wrong of [-1, 1.5, '24']) {
      await expect(world.open({ retain: { hourly: wrong as number } })).rejects.toThrow(
        /retain\.hourly: a whole number/,
      )
      await expect(world.open({ retain: { daily: wrong as number } })).rejects.toThrow(/retain\.daily: a whole number/)
    }
  })

  test('changes of more than a block go into segments, and not into the pin', async () => {
    const world = new World(memory(), { checkpoint: { entries: 1000, bytes: 1 << 20 }, blockBytes: 1000 })
    await world.open({ retain: { versions: 1 } })
    for (let hour = 0; hour < 4; hour++) {
      for (let i = 0; i < 50; i++) {
        await world.commit({ [`${hour} ${i}`]: 'x'.repeat(100), small: i }, START + hour * HOUR + i)
      }
    }
    await world.commit({ small: 'again' }, START + 4 * HOUR)
    await world.commit({ small: 'and again' }, START + 5 * HOUR)
    await world.settle()
    expect(await world.listed()).toEqual(world.there())
    await world.expectReadable(world.kept())
    for (const { size } of await world.pins()) expect(size).toBeLessThan(3000)
    await world.store.close()
    await world.expectSound()
  })

  test('many at once take several collections, and nothing is let go of meanwhile', async () => {
    const world = new World(memory(), { retain: { versions: 1000, hourly: 40, daily: 0 } })
    await world.open()
    for (let hour = 0; hour < 60; hour++) await world.commit({ hour }, START + hour * HOUR)
    await world.reopen({ retain: { versions: 1, hourly: 40, daily: 0 } })
    const seen: number[] = []
    for (let round = 0; round < 4; round++) {
      await world.store.maintain()
      seen.push((await world.pins()).length)
      expect(await world.listed()).toEqual(expect.arrayContaining(world.kept()))
    }
    expect(seen).toEqual([16, 32, 39, 39])
    // Out of time it goes on all the same, one by one.
    for (let hour = 60; hour < 70; hour++) await world.commit({ hour }, START + hour * HOUR)
    await world.store.maintain({ budgetMs: 0 })
    expect(await world.listed()).toEqual(expect.arrayContaining(world.kept()))
    await world.settle()
    expect(await world.listed()).toEqual(world.there())
    await world.expectReadable(world.kept())
    await world.store.close()
  })

  test('a dry run says the same as the run, and writes nothing', async () => {
    const storage = metered(memory())
    const world = new World(storage, { retain: { versions: 1, hourly: 3, daily: 0 } })
    await world.open()
    for (let hour = 0; hour < 8; hour++) {
      for (let i = 0; i < 4; i++) await world.commit({ [`k${i}`]: `${hour} `.repeat(100) }, START + hour * HOUR + i)
      await world.store.checkpoint()
    }
    const writes = (): unknown => {
      const { put, delete: deleted } = storage.usage().requests
      return { put, deleted }
    }
    await world.store.maintain({ dryRun: true })
    const before = [writes(), await world.pins(), await world.listed()]
    const planned = await world.store.maintain({ dryRun: true })
    expect([writes(), await world.pins(), await world.listed()]).toEqual(before)
    const { condemned } = await world.store.maintain({ minDeletes: 1 })
    expect(condemned.segments).toBe(planned.condemned.segments)
    expect(await world.listed()).toEqual(world.there())
    await world.commit({ k: 0 }, START + 9 * HOUR)
    const due = await world.store.maintain({ dryRun: true })
    expect(due.deleted.pins).toBe(1)
    const names = async (): Promise<string[]> => (await world.pins()).map(({ name }) => name)
    const pins = await names()
    await world.store.maintain()
    const left = await names()
    expect(pins.filter((name) => !left.includes(name)).length).toBe(due.deleted.pins)
    await world.store.close()
  })

  test('where there is no room for it a version goes, and a warning says so', async () => {
    let isFull = false
    const storage = intercept(memory(), async ({ method, path, signal }, run) => {
      if (isFull && method === 'put' && path.includes('/pins/')) throw new TidemarkError('QUOTA', 'It is full.')
      return run(signal)
    })
    const world = new World(storage, { retain: { versions: 1 } })
    await world.open()
    const hours = async (from: number, to: number): Promise<void> => {
      for (let hour = from; hour < to; hour++) {
        await world.commit({ hour }, START + hour * HOUR)
        await world.commit({ last: hour })
        await world.store.checkpoint()
      }
      await world.settle()
    }
    isFull = true
    await hours(0, 6)
    const { keeps } = handleOf(world.store).shard.state.carried
    const lost = world.kept().filter((version) => version < keeps)
    expect(lost.length).toBeGreaterThan(2)
    expect(await world.listed()).toEqual(world.there().filter((version) => version >= keeps))
    expect(world.warnings.filter((text) => text.includes('no room'))).toEqual(
      lost.map(
        (version) =>
          `There was no room to keep version ${version} of store "s" as the newest of its hour or day. It is full.`,
      ),
    )
    isFull = false
    await hours(6, 10)
    expect(await world.listed()).toEqual(world.there().filter((version) => version >= keeps))
    expect((await world.pins()).length).toBeGreaterThan(2)
    await world.expectReadable(await world.listed())
    await world.store.close()
    await world.expectSound()
  })

  test('several writers that collect at once, again and again', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const random = new Random(seed)
      const world = new World(memory(), { mode: 'shared', retain: { versions: 2, hourly: 5, daily: 3 } })
      await world.open()
      const others = [world.store, await world.another(), await world.another()]
      for (let i = 0; i < 120; i++) {
        world.store = others[random.below(3)]!
        await world.store.refresh()
        await world.commit({ [`k${i % 9}`]: i }, world.now + random.below(40) * 60_000)
        if (random.chance(0.3)) await Promise.all(others.map((store) => store.maintain()))
        if (i % 20 !== 19) continue
        for (const store of others) await store.refresh()
        for (const store of others) {
          expect(await world.listed(store)).toEqual(expect.arrayContaining(world.kept()))
          await world.expectReadable(world.kept(), store)
        }
      }
      await world.store.refresh()
      await world.settle()
      expect(await world.listed()).toEqual(world.there())
      await world.expectReadable(world.kept())
      for (const store of others) await store.close()
      await world.expectSound()
    }
  })
})
