import { eachAdapter } from '../support/counting.js'
import { describe, expect, test } from 'vitest'
import { type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty } from 'tidemark/testing'
import { adapters, collect } from '../support/storages.js'
import {
  blows,
  bytesOf,
  contentByKeys,
  contentOf,
  live,
  openRuin,
  readKey,
  ruin,
  step,
  steps,
  strike,
  type Content,
} from '../support/ruin.js'

/** Folds and merges, all of whose entries are kept, and a tail. */
async function fill(storage: Storage): Promise<Content> {
  const store = await openRuin(storage)
  await steps(store, 1, 9, 3)
  await store.maintain()
  await steps(store, 10, 14, 2)
  await step(store, 15)
  const content = await contentOf(store)
  await store.close()
  return content
}

function heard(store: Store): string[] {
  const messages: string[] = []
  store.on('repaired', ({ message }) => messages.push(message))
  return messages
}

eachAdapter(adapters, 'repair on %s', (make, adapter) => {
  test('whichever live segment is damaged, in whatever part, all is read right, and the store says so', async () => {
    const storage = make()
    const expected = await fill(storage)
    const refs = await (async () => {
      const store = await openRuin(storage, { mode: 'follower' })
      const all = live(store)
      await store.close()
      return all
    })()
    expect(refs.length).toBeGreaterThan(4)
    let repaired = 0
    for (const [i, ref] of refs.entries()) {
      const bytes = await bytesOf(storage, ref.name)
      const all = blows(ref, bytes)
      // On files some of each.
      for (const [what, damaged] of adapter === 'memory' ? all : all.filter((_, j) => (i + j) % 4 === 0)) {
        await strike(storage, ref.name, damaged)
        const store = await openRuin(storage, { mode: 'follower' })
        const messages = heard(store)
        expect(await contentOf(store), `${what} of ${ref.name}`).toEqual(expected)
        expect(await contentByKeys(store, Object.keys(expected))).toEqual(expected)
        expect(store.metrics().repaired).toBe(messages.length)
        expect(messages.every((message) => message.includes(ref.name))).toBe(true)
        // Damage in bytes that lazy reads never look at does not matter to them.
        if (what !== 'the header' && what !== 'the checksum' && what !== 'the filter' && what !== 'cut at the end') {
          expect(messages, what).toHaveLength(1)
        }
        repaired += messages.length
        await store.close()
        const resident = await openRuin(storage, { mode: 'follower', resident: true })
        expect(resident.metrics().repaired, what).toBe(1)
        for (const key of Object.keys(expected))
          if (!key.startsWith('other ')) expect(resident.getSync(key)).toEqual(expected[key])
        expect(await contentOf(resident)).toEqual(expected)
        await resident.close()
      }
      await strike(storage, ref.name, bytes)
    }
    expect(repaired).toBeGreaterThan(refs.length)
  })

  test('the next fold heals: after a checkpoint and reopening nothing needs the damaged segments, which may be deleted', async () => {
    const base = make()
    const expected = await fill(base)
    const first = await openRuin(base)
    const refs = live(first)
    await first.close()
    for (const ref of [refs[0]!, refs.at(-1)!]) await ruin(base, ref)
    // Between damage and fold it is repaired anew each time.
    for (let i = 0; i < 2; i++) {
      const store = await openRuin(base)
      expect(await contentOf(store)).toEqual(expected)
      expect(store.metrics().repaired).toBeGreaterThan(0)
      await store.close()
    }
    const store = await openRuin(base)
    expect(await contentOf(store)).toEqual(expected)
    await store.checkpoint()
    await base.blobs.delete([refs[0]!.name, refs.at(-1)!.name])
    expect(live(store).map(({ name }) => name)).not.toContain(refs[0]!.name)
    expect(await contentOf(store)).toEqual(expected)
    await step(store, 16)
    const after = await contentOf(store)
    await store.close()
    const again = await openRuin(base)
    expect(await contentOf(again)).toEqual(after)
    expect(again.metrics().repaired).toBe(0)
    await again.close()
  })

  test('a restore in between is repaired from the version that it names, of all partitions or of some', async () => {
    for (const partitions of [undefined, [1]]) {
      const storage = make()
      const store = await openRuin(storage)
      await steps(store, 1, 8, 2)
      await store.maintain()
      const { version } = store
      await steps(store, 9, 12, 3)
      await store.restore(version - 2, { partitions })
      const restored = await contentOf(store)
      const head = store.version
      const ofReset = live(store)
      await steps(store, 13, 14, 2)
      const expected = await contentOf(store)
      const refs = live(store)
      await store.close()
      expect(ofReset.length).toBeGreaterThan(1)
      for (const ref of new Set([...ofReset, ...refs])) {
        const bytes = await bytesOf(storage, ref.name)
        await strike(storage, ref.name, undefined)
        const again = await openRuin(storage, { mode: 'follower' })
        const answer = await contentOf(again).catch((error: unknown) => error)
        // The segments of the first fold have only the log before them, which is all there.
        expect(answer, ref.name).toEqual(expected)
        const then = await again.at(head)
        expect(await contentOf(then)).toEqual(restored)
        await again.close()
        await strike(storage, ref.name, bytes)
      }
    }
  })
})

describe('repair', () => {
  test('old versions, tags and snapshots are read around damage, too, and can be put back', async () => {
    const storage = memory()
    const store = await openRuin(storage)
    const seen = new Map<number, Content>()
    for (let i = 1; i <= 12; i++) {
      await step(store, i)
      seen.set(store.version, await contentOf(store))
      if (i % 3 === 0) await store.checkpoint()
      if (i === 6) await store.maintain()
    }
    const [old] = [...seen.keys()].slice(7)
    await store.tag('old', { at: old! })
    const snap = await store.snapshot()
    for (const ref of live(store)) await ruin(storage, ref)
    await store.close()
    const again = await openRuin(storage)
    const messages = heard(again)
    for (const [version, content] of seen) {
      const past = await again.at(version)
      expect(await contentOf(past), String(version)).toEqual(content)
      await past.close()
    }
    expect(messages.length).toBeGreaterThan(0)
    const tagged = await again.at('old')
    expect(await contentOf(tagged)).toEqual(seen.get(old!))
    const newest = await again.snapshot()
    expect(await contentOf(newest)).toEqual(seen.get(again.version))
    const { undo } = await again.restore('old')
    expect(await contentOf(again)).toEqual(seen.get(old!))
    await again.restore(undo)
    expect(await contentOf(again)).toEqual(seen.get(undo))
    await again.checkpoint()
    await again.close()
    await snap.close()
  })

  test('a snapshot, a transaction and an iteration that damage meets half-way show one version to their end', async () => {
    const storage = memory()
    const expected = await fill(storage)
    const store = await openRuin(storage)
    const snap = await store.snapshot()
    const iteration = store.entries()
    const got: [unknown, unknown][] = []
    for (let i = 0; i < 5; i++) got.push((await iteration.next()).value!)
    const backwards = snap.entries({ reverse: true, limit: 30 })
    const back: unknown[] = [(await backwards.next()).value![0]]
    const [first] = live(store)
    const bytes = await bytesOf(storage, first!.name)
    for (const ref of live(store)) await ruin(storage, ref)
    await store.transaction(async (tx) => {
      expect(await readKey(tx, 'k7')).toEqual(expected['k7'])
      tx.put('k7', 'changed')
      expect(await tx.get('k7')).toBe('changed')
      expect(await readKey(tx, 'k9')).toEqual(expected['k9'])
    })
    store.put('k0', 'later')
    await store.commit()
    got.push(...(await collect(iteration)))
    for (const [key] of await collect(backwards)) back.push(key)
    const plain = Object.entries(expected).filter(([key]) => !key.startsWith('other '))
    expect(got).toEqual(plain)
    expect(back).toEqual(
      plain
        .map(([key]) => key)
        .reverse()
        .slice(0, 30),
    )
    expect(await contentOf(snap)).toEqual(expected)
    expect(await contentOf(store)).toEqual({ ...expected, k0: 'later', k7: 'changed' })
    expect(bytes.length).toBeGreaterThan(0)
    await snap.close()
    await store.close()
  })

  test('concurrent reads share one repair, and are told of it once', async () => {
    const base = memory()
    const expected = await fill(base)
    const reads: string[] = []
    const storage = faulty(base, ({ target, method, path }) => {
      if (target === 'log' && method === 'read') reads.push(path)
      return undefined
    })
    const store = await openRuin(storage, { mode: 'follower' })
    const messages = heard(store)
    const [ref] = live(store)
    await ruin(base, ref!)
    reads.length = 0
    const keys = Object.keys(expected)
    const plain = keys.filter((key) => !key.startsWith('other '))
    const [byKeys, many, ...all] = await Promise.all([
      contentByKeys(store, keys),
      store.getMany(plain),
      contentOf(store),
      contentOf(store),
    ])
    expect([byKeys, ...all]).toEqual([expected, expected, expected])
    expect(many).toEqual(plain.map((key) => expected[key]))
    expect(messages).toHaveLength(1)
    expect(store.metrics().repaired).toBe(1)
    expect(reads.length).toBeLessThan(60)
    await store.close()
  })

  test('a read that went wrong on its way only is repeated, and nothing is given up', async () => {
    const base = memory()
    const expected = await fill(base)
    let wrong = 2
    const storage = faulty(base, ({ target, method, path }) => {
      if (target !== 'blobs' || method !== 'get' || !path.includes('/seg/') || wrong === 0) return undefined
      wrong--
      return { corrupt: (bytes) => bytes.map((byte) => byte ^ 1) }
    })
    const store = await openRuin(storage)
    wrong = 1
    expect(await contentOf(store)).toEqual(expected)
    expect(store.metrics().repaired).toBe(0)
    await store.close()
  })

  test('a merge that meets damage repairs the state and works on the repaired one', async () => {
    const storage = memory()
    const expected = await fill(storage)
    const store = await openRuin(storage)
    const messages = heard(store)
    await ruin(storage, live(store)[1]!)
    await store.maintain()
    expect(messages).toHaveLength(1)
    await store.maintain()
    expect(await contentOf(store)).toEqual(expected)
    await store.checkpoint()
    await store.close()
    const again = await openRuin(storage)
    expect(await contentOf(again)).toEqual(expected)
    expect(again.metrics().repaired).toBe(0)
    await again.close()
  })

  test('a fold that a repair has dropped refuses no commit, however long the log is that has to be folded', async () => {
    const storage = memory()
    const few = { checkpoint: { entries: 4, bytes: 1 << 20 } }
    const filled = await openRuin(storage, few)
    for (let i = 1; i <= 30; i++) await step(filled, i)
    const expected = await contentOf(filled)
    await filled.close()
    const { items } = await storage.blobs.list('s/')
    await storage.blobs.delete(items.map(({ name }) => name).filter((name) => name.includes('/seg/')))
    const store = await openRuin(storage, few)
    store.put('after', 1)
    // Each read begins a repair while a fold is under way.
    for (let reads = 3; reads > 0; reads--) expect(await contentOf(store)).toEqual({ after: 1, ...expected })
    await store.commit()
    expect(await store.get('after')).toBe(1)
    await store.close()
  })

  test('a scan goes on as often as the state that it goes on with turns out to be damaged, before its first record too', async () => {
    const storage = memory()
    const few = { checkpoint: { entries: 4, bytes: 1 << 20 } }
    const store = await openRuin(storage, few)
    // Each fold has a range delete: a scan loads those of all of them before it begins.
    for (let i = 1; i <= 30; i++) {
      for (let k = 0; k < 4; k++) store.put(`k${(i * 7 + k) % 40}`, i)
      store.deleteRange({ gte: `k${i % 10}`, lt: `k${i % 10}5` })
      await store.commit()
    }
    const expected = await contentOf(store)
    const keys = await collect(store.keys({ reverse: true }))
    await store.close()
    const { items } = await storage.blobs.list('s/')
    await storage.blobs.delete(items.map(({ name }) => name).filter((name) => name.includes('/seg/')))
    for (const read of ['entries', 'keys'] as const) {
      const again = await openRuin(storage, { ...few, mode: 'follower' })
      if (read === 'entries') expect(await contentOf(again)).toEqual(expected)
      else expect(await collect(again.keys({ reverse: true }))).toEqual(keys)
      await again.close()
    }
  })

  test('a commit, a fold and a follower that go on meanwhile lose nothing', async () => {
    const storage = memory()
    await fill(storage)
    const store = await openRuin(storage)
    const follower = await openRuin(storage, { mode: 'follower' })
    for (const ref of live(store)) await ruin(storage, ref)
    const seen: unknown[] = []
    const stop = follower.watch({ gte: 'k' }, (changes) => seen.push(...changes.map(({ key }) => key)))
    const before = await contentOf(follower)
    for (let i = 20; i < 24; i++) {
      store.put(`k${i}`, i)
      store.put(`new${i}`, i)
      const reading = readKey(store, `k${i + 10}`)
      await Promise.all([store.commit(), i % 2 ? store.checkpoint() : undefined, reading])
      await follower.refresh()
      expect(await contentOf(follower)).toEqual(await contentOf(store))
    }
    const wanted = Object.fromEntries([20, 21, 22, 23].flatMap((i) => [[`k${i}`, i] as const, [`new${i}`, i] as const]))
    expect(await contentOf(store)).toEqual({ ...before, ...wanted })
    await expect.poll(() => new Set(seen)).toEqual(new Set(Object.keys(wanted)))
    stop()
    await follower.close()
    await store.close()
  })
})
