import { eachAdapter } from '../../support/counting.js'
import { expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store, type When } from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore, verify } from 'tidemark/tools'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const TINY = { checkpoint: { entries: 4, bytes: 2000 }, segmentBytes: 400, blockBytes: 80 }
const contents = async (store: Pick<Store, 'entries'>): Promise<Record<string, unknown>> =>
  Object.fromEntries(await collect(store.entries())) as Record<string, unknown>

const then = async (store: Store, when: When): Promise<Record<string, unknown>> => {
  const past = await store.at(when)
  try {
    return await contents(past)
  } finally {
    await past.close()
  }
}

eachAdapter(adapters, 'the past on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...TINY, ...options })

  /** Commits i = 1 … count, each with a label, an offset and a key of its own; returns the versions. */
  async function fill(store: Store, count: number): Promise<number[]> {
    const versions: number[] = []
    for (let i = 1; i <= count; i++) {
      store.put('same', i)
      store.put(`k${i}`, 'x'.repeat(i % 5 === 0 ? 2500 : 20))
      if (i % 3 === 0) store.delete(`k${i - 2}`)
      const { version } = await store.commit({ offsets: { src: i }, label: `commit ${i}`, force: true })
      versions.push(version)
    }
    return versions
  }

  test('at() opens every version, by number, tag and date, with its time and offsets', async () => {
    const storage = make()
    const store = await open(storage)
    const seen = new Map<number, Record<string, unknown>>()
    for (let i = 1; i <= 20; i++) {
      await fill(store, 1)
      store.put(`own${i}`, i)
      const { version } = await store.commit({ offsets: { src: 100 + i }, force: true })
      seen.set(version, await contents(store))
    }
    for (const [version, expected] of seen) {
      const past = await store.at(version)
      expect(past.version).toBe(version)
      expect(await contents(past)).toEqual(expected)
      await past.close()
    }
    const infos = await collect(store.versions())
    for (const { version, time, offsets } of infos) {
      const past = await store.at(version)
      expect([past.time, past.offsets]).toEqual([time, offsets])
      const same = await store.at(new Date(time))
      expect(same.version).toBe(infos.findLast((info) => info.time === time)!.version)
    }
    await expect(store.at(new Date(infos[0]!.time - 1))).rejects.toThrow(code('NOT_FOUND'))
    expect((await store.at(new Date(infos[0]!.time + 1e9))).version).toBe(store.version)
    await expect(store.at(store.version + 1)).rejects.toThrow(code('NOT_FOUND'))
    await expect(store.at(0)).rejects.toThrow(code('NOT_FOUND'))
    await expect(store.at('none')).rejects.toThrow(code('NOT_FOUND'))
    for (const odd of [-1, 1.5, '1', new Date(NaN), undefined]) {
      await expect(store.at(odd as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    await store.close()
  })

  test('restore() makes a new version of an old one, and undo takes it back', async () => {
    const storage = make()
    const store = await open(storage)
    const versions = await fill(store, 12)
    const before = await contents(store)
    const old = await then(store, versions[3]!)
    store.put('uncommitted', 1)
    await expect(store.restore(versions[3]!)).rejects.toThrow(code('INVALID_ARGUMENT'))
    store.discard()
    const { version, undo } = await store.restore(versions[3]!)
    expect([version, undo]).toEqual([store.version, versions.at(-1)])
    expect(await contents(store)).toEqual(old)
    expect(store.offsets).toEqual({ src: 4 })
    await store.commit({ offsets: { src: 5 } })
    await store.reopen()
    expect(await contents(store)).toEqual(old)
    await store.restore(undo)
    expect(await contents(store)).toEqual(before)
    expect(store.offsets).toEqual({ src: 12 })
    const kinds = (await collect(store.versions())).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'reset').length).toBe(2)
    await store.checkpoint()
    await store.close()
    const again = await open(storage)
    expect(await contents(again)).toEqual(before)
    await again.close()
    expect((await verify({ storage, name: 's' })).damages).toEqual([])
  })

  test('what is committed after restore() was called comes after it, offsets too; one that fails harms nothing', async () => {
    const store = await open(make())
    const versions = await fill(store, 4)
    const restoring = store.restore(versions[0]!)
    store.put('later', 1)
    const committing = store.commit({ offsets: { src: 2 }, label: 'later' })
    const failing = store.restore(9999)
    store.put('last', 1)
    const last = store.commit({ offsets: { src: 3 } })
    await expect(failing).rejects.toThrow(code('NOT_FOUND'))
    const { version, undo } = await restoring
    expect(undo).toBe(versions[3])
    expect((await committing).version).toBe(version + 1)
    expect((await last).version).toBe(version + 2)
    expect(store.offsets).toEqual({ src: 3 })
    expect(await contents(store)).toEqual({ ...(await then(store, versions[0]!)), later: 1, last: 1 })
    await store.commit({ offsets: { src: 4 } })
    await store.close()
  })

  test('restore() of some partitions leaves the others, folded or not', async () => {
    const storage = make()
    const store = await open(storage, { partitions: 4 })
    const parts = [0, 1, 2, 3].map((i) => store.partition(i))
    const read = async (): Promise<unknown[]> =>
      Promise.all(parts.map(async (part) => Object.fromEntries(await collect(part.entries()))))
    const states: unknown[][] = []
    const versions: number[] = []
    for (let i = 0; i < 14; i++) {
      for (const [p, part] of parts.entries()) {
        part.put('n', i)
        part.put(`k${i}`, i % 6 === 5 ? 'x'.repeat(1000) : p)
        if (i % 4 === 3) part.deleteRange({ gte: 'k0', lt: `k${i - 1}` })
      }
      versions.push((await store.commit({ offsets: { src: { 0: i, 1: i, 2: i, 3: i } } })).version)
      states.push(await read())
    }
    const present = states.at(-1)!
    await store.restore(versions[5]!, { partitions: [1, 3] })
    expect(await read()).toEqual([present[0], states[5]![1], present[2], states[5]![3]])
    expect(store.offsets).toEqual({ src: { 0: 13, 1: 5, 2: 13, 3: 5 } })
    await store.restore(versions[9]!, { partitions: [3, 2] })
    const expected = [present[0], states[5]![1], states[9]![2], states[9]![3]]
    expect(await read()).toEqual(expected)
    await store.checkpoint()
    await store.maintain()
    expect(await read()).toEqual(expected)
    await store.reopen()
    expect(await read()).toEqual(expected)
    expect((await verify({ storage, name: 's' })).damages).toEqual([])
    await store.commit({ offsets: { one: 7 } })
    await expect(store.restore(versions[9]!, { partitions: [0] })).rejects.toThrow(code('INVALID_ARGUMENT'))
    await store.restore(versions[9]!, { partitions: [0], offsets: { one: 3 } })
    expect(store.offsets).toEqual({ src: { 0: 9, 1: 5, 2: 9, 3: 9 }, one: 3 })
    for (const odd of [[], [4], [-1], 'all', [0.5]]) {
      await expect(store.restore(versions[9]!, { partitions: odd as never })).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    await store.close()
  })

  test('retaining 3 keeps exactly those, and what is tagged; the rest is deleted a grace period later', async () => {
    let now = 1_700_000_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const storage = make()
    const store = await open(storage, { retain: { versions: 3 }, graceMs: 1000, clock, segmentBytes: 4 << 20 })
    store.put('never touched', 'again')
    await store.commit()
    const kept: { version: number; state: unknown }[] = []
    for (let i = 0; i < 60; i++) {
      now += 100
      store.put('same', i)
      store.put(`k${i}`, i)
      store.delete(`k${i - 3}`)
      const { version } = await store.commit()
      if (i % 3 === 0) await store.checkpoint()
      kept.push({ version, state: await contents(store) })
      if (i === 10) await store.tag('ten', {})
      if (i % 7 === 0) await store.maintain()
      for (const { version: v, state } of kept.slice(-3)) expect(await then(store, v)).toEqual(state)
    }
    const ten = kept[10]!
    await store.maintain()
    now += 1500
    await store.maintain()
    await expect(store.at(kept.at(-4)!.version)).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(await then(store, 'ten')).toEqual(ten.state)
    expect(await then(store, ten.version)).toEqual(ten.state)
    expect((await store.tags()).map(({ name, version }) => [name, version])).toEqual([['ten', ten.version]])
    expect((await collect(store.versions())).map(({ version }) => version)).toEqual(
      kept.slice(-3).map((k) => k.version),
    )
    await store.untag('ten')
    await expect(store.at('ten')).rejects.toThrow(code('NOT_FOUND'))
    await store.maintain()
    now += 1500
    await store.maintain()
    now += 1500
    const last = await store.maintain()
    expect(last.deleted.segments + last.condemned.segments).toBe(0)
    for (const { version: v, state } of kept.slice(-3)) expect(await then(store, v)).toEqual(state)
    const { paths } = await storage.logs('')
    const { numbers } = await storage.log(paths[0]!).list(1)
    const { items } = await storage.blobs.list('')
    expect(numbers.length + items.length).toBeLessThan(3 + store.metrics().segments.live + 24)
    await store.reopen()
    for (const { version: v, state } of kept.slice(-3)) expect(await then(store, v)).toEqual(state)
    expect(await store.get('never touched')).toBe('again')
    await store.close()
    expect((await verify({ storage, name: 's' })).damages).toEqual([])
  })

  test('fork() makes a store of its own that keeps what it needs of its parent', async () => {
    let now = 1_700_000_000_000
    const clock = { ...systemClock, now: () => now, monotonic: () => now }
    const storage = make()
    const store = await open(storage, { retain: { versions: 2 }, graceMs: 1000, clock, job: 'j' })
    const versions = await fill(store, 10)
    const old = await then(store, versions[6]!)
    await store.fork('what-if', { at: versions[6]! })
    await expect(store.fork('what-if')).rejects.toThrow(code('INVALID_ARGUMENT'))
    const fork = await openStore({ storage, name: 'what-if', clock, graceMs: 1000, ...TINY, retain: { versions: 1 } })
    expect(await contents(fork)).toEqual(old)
    expect(fork.offsets).toEqual({ src: 7 })
    fork.put('mine', 1)
    await fork.commit()
    await fill(store, 20)
    for (let i = 0; i < 3; i++) {
      await store.maintain()
      now += 1500
    }
    expect(await contents(fork)).toEqual({ ...old, mine: 1 })
    await fork.reopen()
    expect(await contents(fork)).toEqual({ ...old, mine: 1 })
    expect((await store.tags()).length).toBe(0)
    // Once the fork has rewritten everything, the parent lets go.
    for (let i = 0; i < 6; i++) {
      fork.put('mine', i)
      await fork.commit()
      await fork.maintain()
      now += 1500
    }
    for (let i = 0; i < 3; i++) {
      await store.maintain()
      now += 1500
    }
    const { items } = await storage.blobs.list('s/')
    expect(items.filter(({ name }) => name.includes('/pins/'))).toEqual([])
    expect(await contents(fork)).toEqual({ ...old, mine: 5 })
    await fork.reopen()
    expect(await contents(fork)).toEqual({ ...old, mine: 5 })
    await fork.close()
    await store.close()
  })
})

test('a fork of a fork keeps what it names of the first store, and the fork between holds it', async () => {
  let now = 1_700_000_000_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const storage = memory()
  const open = (name: string): Promise<Store> =>
    openStore({ storage, name, clock, graceMs: 1000, retain: { versions: 1 } })
  const first = await open('a')
  first.put('k', 1)
  await first.commit()
  await first.checkpoint()
  first.put('l', 2)
  await first.commit()
  await first.fork('b')
  const second = await open('b')
  await second.fork('c')
  first.clear()
  await first.commit()
  second.clear()
  await second.commit()
  for (let round = 0; round < 5; round++) {
    await first.maintain()
    await second.maintain()
    now += 1500
  }
  await second.close()
  await expect(destroyStore({ storage, name: 'b' })).rejects.toThrow(code('CONFLICT'))
  const third = await open('c')
  expect(await contents(third)).toEqual({ k: 1, l: 2 })
  await third.close()
  expect((await verify({ storage, name: 'c' })).damages).toEqual([])
  await destroyStore({ storage, name: 'c' })
  await destroyStore({ storage, name: 'b' })
  await first.close()
})

test('a damaged tag hides no other, and nothing is collected while nobody can tell what it keeps', async () => {
  const inner = memory()
  let damaged = ''
  const { blobs } = inner
  const get: typeof blobs.get = async (name, options) => {
    const answer = await blobs.get(name, options)
    return name === damaged ? { ...answer, bytes: answer.bytes!.slice(1) } : answer
  }
  const storage = { ...inner, blobs: { ...blobs, get } }
  const warnings: string[] = []
  const logger = { warn: (message: string): void => void warnings.push(message) }
  const store = await openStore({ storage, name: 's', logger, retain: { versions: 1 }, graceMs: 1 })
  store.put('a', 1)
  await store.commit()
  await store.tag('first')
  const before = new Set((await inner.blobs.list('s/')).items.map(({ name }) => name))
  await store.tag('second')
  damaged = (await inner.blobs.list('s/')).items.find(({ name }) => !before.has(name))!.name
  expect((await store.tags()).map(({ name }) => name)).toEqual(['first'])
  expect((await collect(store.versions())).map(({ tags }) => tags)).toEqual([['first']])
  expect(warnings[0]).toMatch(/cannot be read/)
  await expect(store.maintain()).rejects.toThrow(code('CORRUPT'))
  await store.close()
})

test('a store without versions has nothing to tag, fork or restore', async () => {
  const store = await openStore({ storage: memory(), name: 's' })
  for (const call of [() => store.tag('t'), () => store.fork('f'), () => store.restore(0), () => store.at(0)]) {
    await expect(call()).rejects.toThrow(code('NOT_FOUND'))
  }
  expect(await store.maintain()).toMatchObject({ deleted: { entries: 0, segments: 0 } })
  await store.close()
})

test('a damaged entry that is read long before the last one rejects at(), and nothing beside it', async () => {
  const storage = memory()
  const store = await openStore({ storage, name: 's', checkpoint: { entries: 100 } })
  for (let i = 0; i < 40; i++) {
    store.put(i, i)
    await store.commit()
  }
  let isDamaged = false
  // Entries are read some at a time, and slowly, as over a network.
  const slow: Storage = {
    ...storage,
    log(path, options) {
      const log = storage.log(path, options)
      delete log.readTail
      return {
        ...log,
        async read(n, o) {
          const answer = await log.read(n, o)
          await new Promise((resolve) => setTimeout(resolve, 2))
          return isDamaged && n === 5
            ? { ...answer, bytes: answer.bytes?.map((byte, i) => (i === 30 ? ~byte : byte)) }
            : answer
        },
      }
    },
  }
  const reader = await openStore({ storage: slow, name: 's', mode: 'follower' })
  isDamaged = true
  await expect(reader.at(reader.version - 1)).rejects.toThrow(code('CORRUPT'))
  await reader.close()
  await store.close()
})
