import { describe, expect, test } from 'vitest'
import { metered, openStore, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { faulty, flipBit } from 'tidemark/testing'
import { listStores, verify } from 'tidemark/tools'
import { pull, push, type TransferProgress } from 'tidemark/transfer'
import { extent } from '../../support/extent.js'
import { collect, temporaryFolder } from '../../support/storages.js'
import { contents, fill, found, open, TINY } from '../../support/transfers.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const files = (): Storage => nodeFs(temporaryFolder())
const across = [
  ['memory() to memory()', memory, memory],
  ['memory() to nodeFs()', memory, files],
  ['nodeFs() to memory()', files, memory],
  ['nodeFs() to nodeFs()', files, files],
] as const

describe.each(across)('push from %s', (_, makeSource, makeTarget) => {
  test('makes each version that it is called at the newest one of the target, with offsets, label and meta', async () => {
    const [storage, remote] = [makeSource(), makeTarget()]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 'copy' },
    ]
    const store = await open(storage, { partitions: 3, job: 'j' })
    let first = 1
    for (const last of [1, 2, 5, 6, 13, 24]) {
      await fill(store, first, last)
      first = last + 1
      const result = await push(from, to)
      expect(result.from).toBe(store.version)
      expect(await found(remote, 'copy')).toEqual(await contents(store))
      const again = await push(from, to)
      expect(again).toEqual({ version: result.version, from: result.from, copied: 0, reused: 0, bytes: 0 })
    }
    const copy = await openStore({ storage: remote, name: 'copy', partitions: 3, job: 'j' })
    expect(copy.offsets).toEqual({ src: 24 })
    const infos = await collect(copy.versions())
    expect(infos.map(({ kind, label, meta }) => [kind, label, meta])).toEqual(
      [1, 2, 5, 6, 13, 24].map((i) => ['reset', `commit ${i}`, { i }]),
    )
    await copy.close()
    expect((await verify(to)).damages).toEqual([])
    // The owner was never disturbed.
    store.put('on', 1)
    await store.commit()
    await store.close()
  })

  test('and pull bring changes of both sides over, one after the other, and refuse what has diverged', async () => {
    const [storage, remote] = [makeSource(), makeTarget()]
    const [local, distant] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    let store = await open(storage)
    await fill(store, 1, 7)
    await store.close()
    await push(local, distant)
    for (let round = 0; round < 3; round++) {
      const other = await open(remote)
      other.put(`there ${round}`, round)
      await other.commit()
      await other.close()
      await expect(push(local, distant)).rejects.toThrow(code('CONFLICT'))
      await pull(local, distant)
      expect(await found(storage, 's')).toHaveProperty(`there ${round}`, round)
      expect((await pull(local, distant)).bytes + (await push(local, distant)).bytes).toBe(0)
      store = await open(storage)
      store.put(`here ${round}`, round)
      await store.commit()
      await expect(pull(local, distant)).rejects.toThrow(code('CONFLICT'))
      await push(local, distant)
      expect(await found(remote, 's')).toEqual(await contents(store))
      await store.close()
    }
    // Both go on: nobody can say which one is right.
    for (const side of [storage, remote]) {
      const one = await open(side)
      one.put('both', side === storage ? 'here' : 'there')
      await one.commit()
      await one.close()
    }
    const before = await found(storage, 's')
    await expect(push(local, distant)).rejects.toThrow(code('CONFLICT'))
    await expect(pull(local, distant)).rejects.toThrow(code('CONFLICT'))
    expect(await found(storage, 's')).toEqual(before)
    const { version } = await pull(local, distant, { force: true })
    store = await open(storage)
    expect(await store.get('both')).toBe('there')
    expect(await contents(await store.at(version - 1))).toEqual(before)
    await store.close()
  })
})

describe('push', () => {
  test('after anything that may happen between two of them leaves the target as the source is', async () => {
    for (let seed = 1; seed <= extent(5, 2); seed++) {
      let state = seed * 7919
      const random = (below: number): number => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
        return (state >>> 8) % below
      }
      const [storage, remote] = [memory(), memory()]
      const [from, to] = [
        { storage, name: 's' },
        { storage: remote, name: 's' },
      ]
      const partitions = seed % 2 ? 1 : 3
      let store = await open(storage, { partitions })
      const versions: number[] = []
      for (let step = 0; step < 50; step++) {
        for (let i = random(6); i >= 0; i--) store.put(`k${random(40)}`, `${step} `.repeat(random(60)))
        const what = random(16)
        if (what === 0) store.clear()
        else if (what === 1) store.deleteRange({ gte: `k${random(5)}`, lt: `k${random(5)}x` })
        else if (what <= 5) store.delete(`k${random(40)}`)
        else if (what === 6) store.put('large', `${step} `.repeat(1500))
        versions.push((await store.commit()).version)
        if (what === 7) await store.checkpoint()
        else if (what === 8) await store.maintain()
        else if (what === 9) versions.push((await store.restore(versions[random(versions.length)]!)).version)
        else if (what === 10) {
          await store.close()
          store = await open(storage)
        } else if (what === 11 && step > 5) {
          const target = await open(remote)
          if (random(2)) await target.maintain()
          await target.close()
        }
        if (random(3) > 0 || step < 3) {
          await push(from, to)
          expect(await found(remote, 's'), `seed ${seed}, step ${step}`).toEqual(await contents(store))
        }
      }
      await store.close()
      expect((await verify(to)).damages).toEqual([])
    }
  })

  test('of 1 % changed keys moves at most 1.2 times what is new at the source, wherever that is by then', async () => {
    for (const [checkpoint, folds] of [
      [{ entries: 16, bytes: 1 << 20 }, false],
      [{ entries: 16, bytes: 1 << 20 }, true],
      [{ entries: 4, bytes: 64 << 10 }, false],
    ] as const) {
      const storage = metered(memory())
      const remote = metered(memory())
      const store = await openStore({ storage, name: 's', checkpoint })
      const put = (key: number, round: number): void => {
        store.put(`key ${key}`, { round, text: `${(key * 7919 + round) ** 3}`.repeat(4) })
      }
      for (let key = 0; key < 10_000; key++) {
        put(key, 0)
        if (key % 2500 === 2499) await store.commit()
      }
      const to = { storage: remote, name: 'copy' }
      await push({ storage, name: 's' }, to)
      // Segments that were uploaded in the background, for an entry of a later round to name.
      let early = 0
      for (let round = 1; round <= 18; round++) {
        const before = [storage.usage().bytesWritten, remote.usage().bytesWritten] as const
        for (let i = 0; i < 100; i++) put((round * 97 + i * 101) % 10_000, round)
        const { bytes } = await store.commit()
        if (folds && round % 5 === 0) await store.checkpoint()
        const result = await push({ storage, name: 's' }, to)
        const made = storage.usage().bytesWritten - before[0]
        const moved = remote.usage().bytesWritten - before[1]
        expect(result.bytes).toBe(moved)
        expect(moved).toBeLessThanOrEqual(1.2 * (made + (result.copied > 0 ? early : 0)))
        early = made - bytes + (result.copied > 0 ? 0 : early)
      }
      expect(await found(remote, 'copy')).toEqual(await contents(store))
      await store.close()
      expect((await verify(to)).damages).toEqual([])
    }
  })

  test('reads the log of the source once', async () => {
    const storage = metered(memory())
    const store = await openStore({ storage, name: 's', logger: false })
    let bytes = 0
    for (let i = 0; i < 30; i++) {
      store.put(`k${i}`, `${i} `.repeat(1000))
      bytes += (await store.commit()).bytes
    }
    const before = storage.usage().bytesRead
    const remote = memory()
    await push({ storage, name: 's' }, { storage: remote, name: 's' })
    expect(storage.usage().bytesRead - before).toBeLessThan(1.2 * bytes)
    expect(await found(remote, 's')).toEqual(await contents(store))
    await store.close()
  })

  test('takes any kept version: by number, tag and date', async () => {
    const [storage, remote] = [memory(), memory()]
    const store = await open(storage, { retain: { versions: 2 } })
    await fill(store, 1, 6)
    await store.tag('six')
    const six = await contents(store)
    const { version: at } = store
    await fill(store, 7, 30)
    await store.maintain()
    await store.maintain()
    const from = { storage, name: 's' }
    for (const [name, when] of [
      ['by-tag', 'six'],
      ['by-number', at],
    ] as const) {
      const to = { storage: remote, name }
      expect((await push(from, to, { at: when })).from).toBe(at)
      expect(await found(remote, name)).toEqual(six)
      expect((await push(from, to, { at: when })).bytes).toBe(0)
      await push(from, to)
      expect(await found(remote, name)).toEqual(await contents(store))
    }
    await push(from, { storage: remote, name: 'by-date' }, { at: new Date(8e12) })
    expect(await found(remote, 'by-date')).toEqual(await contents(store))
    for (const [when, expected] of [
      [at + 1, 'VERSION_EXPIRED'],
      ['none', 'NOT_FOUND'],
      [9999, 'NOT_FOUND'],
    ] as const) {
      await expect(push(from, { storage: remote, name: 'x' }, { at: when })).rejects.toThrow(code(expected))
    }
    expect((await listStores(remote)).map(({ name }) => name)).toEqual(['by-date', 'by-number', 'by-tag'])
    await store.close()
  })

  test('works for stores with another codec, for forks, and after a restore of some partitions', async () => {
    const [storage, remote] = [memory(), memory()]
    const codec = {
      id: 'reversed',
      encode: (v: string) => Uint8Array.from(v, (c) => 255 - c.charCodeAt(0)),
      decode: (b: Uint8Array) => String.fromCharCode(...b.map((c) => 255 - c)),
    }
    const options = { ...TINY, name: 's', partitions: 4, codec }
    const store = await openStore<string, string>({ storage, ...options })
    for (let i = 0; i < 40; i++) {
      store.put(`k${i % 13}`, `${i}`.repeat(30))
      await store.commit()
    }
    await store.restore(store.version - 20, { partitions: [1, 2] })
    await store.fork('f')
    for (const name of ['s', 'f']) {
      await push({ storage, name }, { storage: remote, name })
      const copy = await openStore<string, string>({ ...options, storage: remote, name })
      expect(await contents(copy)).toEqual(await contents(store))
      await copy.close()
    }
    await store.close()
  })

  test('fences who has the target open, but not when there is nothing to push', async () => {
    const [storage, remote] = [memory(), memory()]
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const store = await open(storage)
    await fill(store, 1, 3)
    await push(from, to)
    const owner = await open(remote)
    await push(from, to, { tag: 'unchanged' })
    await owner.checkpoint()
    await fill(store, 4, 4)
    await push(from, to)
    owner.put('x', 1)
    await expect(owner.commit()).rejects.toThrow(code('FENCED'))
    await owner.reopen()
    expect(await contents(owner)).toEqual(await contents(store))
    await owner.close()
    await store.close()
  })

  test('refuses other partitions, another job, itself, wrong options, and a source that is not there', async () => {
    const [storage, remote] = [memory(), memory()]
    const store = await open(storage, { partitions: 2, job: 'a' })
    const from = { storage, name: 's' }
    await expect(push(from, { storage: remote, name: 't' })).rejects.toThrow(code('NOT_FOUND'))
    await fill(store, 1, 2)
    await (await open(remote, { name: 'one', partitions: 1 })).close()
    await (await open(remote, { name: 'job', partitions: 2, job: 'b' })).close()
    for (const name of ['one', 'job']) {
      await expect(push(from, { storage: remote, name }, { force: true })).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    await expect(push(from, from)).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(push({ storage, name: 'no' }, { storage: remote, name: 't' })).rejects.toThrow(code('NOT_FOUND'))
    for (const odd of [{ tags: 'x' }, { tag: '12' }, { keep: 0 }, { force: 1 }, { onProgress: 1 }, { signal: 1 }]) {
      await expect(push(from, { storage: remote, name: 't' }, odd as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    expect((await listStores(remote)).map(({ name }) => name)).toEqual(['job', 'one'])
    await store.close()
  })

  test('writes nothing at the target of a source segment that is damaged in any bit that it copies', async () => {
    const storage = memory()
    const store = await open(storage)
    await fill(store, 1, 12)
    await store.checkpoint()
    await store.close()
    for (const at of [3, 150, 777, 9001]) {
      const remote = memory()
      const bad = faulty(storage, ({ target, method }) =>
        target === 'blobs' && method === 'get' ? { corrupt: flipBit(at) } : undefined,
      )
      const to = { storage: remote, name: 's' }
      await expect(push({ storage: bad, name: 's' }, to)).rejects.toThrow(code('CORRUPT'))
      await expect(open(remote, { create: false })).rejects.toThrow(code('NOT_FOUND'))
      await push({ storage, name: 's' }, to)
      const before = await found(remote, 's')
      const again = await open(storage)
      again.put('more', `${at} `.repeat(2000))
      await again.commit()
      await again.close()
      await expect(push({ storage: bad, name: 's' }, to)).rejects.toThrow(code('CORRUPT'))
      expect(await found(remote, 's')).toEqual(before)
      await push({ storage, name: 's' }, to)
    }
  })

  test('tells how far it is, ends with its signal, and does not copy again what has arrived', async () => {
    const [storage, remote] = [memory(), metered(memory())]
    const store = await open(storage)
    await fill(store, 1, 60)
    await store.checkpoint()
    const [from, to] = [
      { storage, name: 's' },
      { storage: remote, name: 's' },
    ]
    const stop = new AbortController()
    const seen: TransferProgress[] = []
    const onProgress = (progress: TransferProgress): void => {
      seen.push(progress)
      if (seen.length === 8) stop.abort()
    }
    await expect(push(from, to, { onProgress, signal: stop.signal })).rejects.toThrow(code('ABORTED'))
    expect(seen[0]).toMatchObject({ done: 0, bytes: 0 })
    expect(seen[0]!.total).toBeGreaterThan(12)
    await expect(open(remote, { create: false })).rejects.toThrow(code('NOT_FOUND'))
    const all: TransferProgress[] = []
    const { copied, reused } = await push(from, to, { onProgress: (progress) => all.push(progress) })
    expect(copied).toBeLessThanOrEqual(seen[0]!.total - 7)
    expect(copied + reused).toBe(seen[0]!.total)
    expect(all.at(-1)).toEqual({
      done: copied,
      total: copied,
      bytes: all[0]!.totalBytes,
      totalBytes: all[0]!.totalBytes,
    })
    expect(await found(remote, 's')).toEqual(await contents(store))
    // The tail that was folded for the first try.
    expect((await verify(to)).orphans.count).toBeLessThanOrEqual(1)
    await expect(push(from, to, { signal: AbortSignal.abort() })).rejects.toThrow(code('ABORTED'))
    await store.close()
  })

  test('of two at once into one new store, one at least succeeds and what is there is whole', async () => {
    for (let round = 0; round < 8; round++) {
      const [storage, remote] = [memory(), memory()]
      const store = await open(storage)
      await fill(store, 1, 9)
      const [from, to] = [
        { storage, name: 's' },
        { storage: remote, name: 's' },
      ]
      const ends = await Promise.allSettled([push(from, to), push(from, to), push(from, to)])
      expect(ends.some(({ status }) => status === 'fulfilled')).toBe(true)
      expect(await found(remote, 's')).toEqual(await contents(store))
      await push(from, to)
      expect((await verify(to)).damages).toEqual([])
      await store.close()
    }
  })
})
