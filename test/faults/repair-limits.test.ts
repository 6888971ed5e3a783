/** Where repair ends: what is lost is named, what was collected is not damage, and what is needed is not collected. */
import { describe, expect, test } from 'vitest'
import { isTidemarkError, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { collect } from '../support/storages.js'
import { contentOf, live, maintainLater, openRuin, ruin, step, steps } from '../support/ruin.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

function heard(store: Store): string[] {
  const messages: string[] = []
  store.on('repaired', ({ message }) => messages.push(message))
  return messages
}

describe('the limits of repair', () => {
  test('when nothing is left to repair from, the error says what is lost and that verify() lists all damage', async () => {
    const storage = memory()
    const options = { retain: { versions: 3 }, graceMs: 1 } as const
    const store = await openRuin(storage, { ...options, partitions: 1 })
    store.put('untouched', 'x'.repeat(500))
    for (let i = 0; i < 12; i++) {
      store.put(`k${i}`, i)
      await store.commit()
      if (i % 2) await maintainLater(store)
    }
    store.put('z', 1)
    await store.commit()
    // In every manifest that is kept.
    const refs = live(store)
    const names: string[] = []
    for (const ref of refs) {
      await ruin(storage, ref)
      names.push(ref.name)
    }
    for (const { name } of (await storage.blobs.list('s/0/')).items)
      if (name.includes('/seg/')) await storage.blobs.delete([name])
    await store.close()
    const again = await openRuin(storage, { ...options, partitions: 1 })
    const messages = heard(again)
    const error: unknown = await again.get('untouched').catch((e: unknown) => e)
    if (!isTidemarkError(error)) throw error
    expect(error.code).toBe('CORRUPT')
    expect(error.message).toMatch(/^Store "s" cannot be repaired\. Segment s\/0\/\w+\/seg\/\w+ is missing/)
    expect(error.message).toMatch(/It held keys of the default table, from "k0" to "untouched", in partition 0\./)
    expect(error.message).toMatch(/verify\(\) lists all damage\./)
    expect(messages).toEqual([])
    expect(again.metrics().repaired).toBe(0)
    // Changes that the log still has are there.
    expect(await again.get('z')).toBe(1)
    await expect(collect(again.entries())).rejects.toThrow(code('CORRUPT'))
    const resident = { mode: 'follower', partitions: 1, resident: true } as const
    await expect(openRuin(storage, resident)).rejects.toThrow(code('CORRUPT'))
    again.put('k0', 'new')
    await again.commit()
    expect(await again.get('k0')).toBe('new')
    await again.close()
  })

  test('what the fold before has lost meanwhile is not given up for what the newest one has lost', async () => {
    const storage = memory()
    const store = await openRuin(storage, { partitions: 1 })
    await steps(store, 1, 4, 2)
    const older = live(store)
    await store.maintain()
    const merged = new Set(live(store).map(({ name }) => name))
    store.put('zz last', 1)
    await store.commit()
    await store.checkpoint()
    const expected = await contentOf(store)
    await store.close()
    // The inputs of the merge are gone, the log begins with the second fold, and the newest run is damaged.
    for (const { name } of older) await storage.blobs.delete([name])
    const [path] = (await storage.logs('s/')).paths
    await storage.log(path!).remove([1, 2, 3])
    const again = await openRuin(storage, { partitions: 1 })
    for (const ref of live(again)) if (!merged.has(ref.name)) await ruin(storage, ref)
    // The fold before the newest one lists the merged segments, and so all is there.
    expect(await contentOf(again)).toEqual(expected)
    await again.close()
    const [first] = live(again).filter(({ name }) => merged.has(name))
    await ruin(storage, first!)
    const third = await openRuin(storage, { partitions: 1 })
    await expect(contentOf(third)).rejects.toThrow(/cannot be repaired.* Entry \d+ of the log of store "s" is missing/)
    expect(await third.get('zz last')).toBe(1)
    await third.close()
  })

  test('a large commit by reference that is damaged cannot be repaired, and versions without it still open', async () => {
    const storage = memory()
    const store = await openRuin(storage)
    await steps(store, 1, 4, 2)
    const before = await contentOf(store)
    const { version } = store
    const known = new Set(live(store).map(({ name }) => name))
    for (let i = 0; i < 60; i++) store.put(`large ${String(i).padStart(2, '0')}`, 'y'.repeat(100))
    await store.commit()
    const large = live(store).filter(({ name }) => !known.has(name))
    expect(large.length).toBeGreaterThan(0)
    for (const ref of large) await ruin(storage, ref)
    const error: unknown = await store.get('large 07').catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'CORRUPT' })
    expect((error as Error).message).toMatch(/Any kept version that does not need it can be opened with at\(\)/)
    const past = await store.at(version)
    expect(await contentOf(past)).toEqual(before)
    await store.restore(version)
    expect(await contentOf(store)).toEqual(before)
    await store.checkpoint()
    await store.close()
  })

  test('a snapshot of a version that was collected meanwhile is VERSION_EXPIRED, and not damage', async () => {
    const storage = memory()
    const options = { retain: { versions: 1 }, graceMs: 1 } as const
    const store = await openRuin(storage, options)
    await steps(store, 1, 4, 2)
    const follower = await openRuin(storage, { mode: 'follower' })
    const snap = await follower.snapshot()
    for (let i = 5; i < 20; i++) {
      await step(store, i)
      await maintainLater(store)
    }
    await expect(contentOf(snap)).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(follower.metrics().repaired).toBe(0)
    await follower.reopen()
    expect(await contentOf(follower)).toEqual(await contentOf(store))
    await follower.close()
    await store.close()
  })

  test('with old versions collected, the newest fold can still be lost: one more is kept for that', async () => {
    const storage = memory()
    const options = { retain: { versions: 2 }, graceMs: 1 } as const
    const store = await openRuin(storage, options)
    for (let i = 1; i <= 16; i++) {
      await step(store, i)
      if (i % 2 === 0) await store.checkpoint()
      if (i % 5 === 0) await maintainLater(store)
    }
    const before = new Set(live(store).map(({ name }) => name))
    await step(store, 17)
    await maintainLater(store)
    const expected = await contentOf(store)
    const fresh = live(store).filter(({ name }) => !before.has(name))
    await store.close()
    expect(fresh.length).toBeGreaterThan(0)
    for (const ref of fresh) await ruin(storage, ref)
    const again = await openRuin(storage, { ...options, resident: true })
    expect(await contentOf(again)).toEqual(expected)
    // The segments that it stands on now are not collected before it is healed.
    await step(again, 18)
    for (let i = 0; i < 3; i++) await maintainLater(again)
    const after = await contentOf(again)
    await again.close()
    const healed = await openRuin(storage, { ...options, resident: true })
    expect(await contentOf(healed)).toEqual(after)
    expect(healed.metrics().repaired).toBe(0)
    await healed.close()
  })
})
