/** Versions whose manifest lists damaged segments are copied, exported, put back and kept as well as they are read (R11). */
import { describe, expect, test } from 'vitest'
import { metered, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { exportZip, importZip, pull, push } from 'tidemark/transfer'
import { extent } from '../../support/extent.js'
import { contentOf, live, openRuin, ruin, step, steps, type Content } from '../../support/ruin.js'

/** A store whose newest version stands on segments that are damaged by now, and what it holds. */
interface Ruined {
  readonly storage: Storage
  readonly content: Content
  readonly version: number
  /** The names of the segments that were damaged. */
  readonly names: readonly string[]
}

/** Folds, a merge and a tail; then the first, the last or each segment is damaged. */
async function ruined(which: 'first' | 'last' | 'all', isTailed: boolean): Promise<Ruined> {
  const storage = memory()
  const store = await openRuin(storage)
  await steps(store, 1, 9, 3)
  await store.maintain()
  await steps(store, 10, 12, 3)
  if (isTailed) await step(store, 13)
  const content = await contentOf(store)
  const refs = live(store)
  const { version } = store
  await store.close()
  expect(refs.length).toBeGreaterThan(3)
  const struck = which === 'all' ? refs : [refs.at(which === 'first' ? 0 : -1)!]
  for (const ref of struck) await ruin(storage, ref)
  return { storage, content, version, names: struck.map(({ name }) => name) }
}

async function using<T>(
  storage: Storage,
  use: (store: Store) => Promise<T>,
  options: Partial<OpenOptions> = {},
): Promise<T> {
  const store = await openRuin(storage, options)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}

const reading = (storage: Storage, name = 's'): Promise<Content> =>
  using(storage, contentOf, { name, mode: 'follower' })

/** Repairs the store and folds it, as its owner does in the course of things. */
const healed = ({ storage, content }: Ruined): Promise<void> =>
  using(storage, async (store) => {
    expect(await contentOf(store)).toEqual(content)
    expect(store.metrics().repaired).toBeGreaterThan(0)
    await store.checkpoint()
  })

const place = (storage: Storage) => ({ storage, name: 's' })

/** Each way of taking the newest version elsewhere. */
const ways: Record<string, (from: Storage, to: Storage) => Promise<unknown>> = {
  push: (from, to) => push(place(from), place(to)),
  pull: (from, to) => pull(place(to), place(from)),
  export: (from, to) => importZip(exportZip(place(from)), place(to)),
}

const cases = (['first', 'last', 'all'] as const).flatMap((which) =>
  [false, true].map((isTailed) => [which, isTailed] as const),
)

describe.each(Object.entries(ways))('%s of a version with damaged segments', (_, copy) => {
  test.each(cases)(
    'takes all values along, from a process that has read nothing yet (%s, tail: %s)',
    async (...how) => {
      const source = await ruined(...how)
      const to = memory()
      await copy(source.storage, to)
      expect(await reading(to)).toEqual(source.content)
      expect((await verify(place(to))).damages).toEqual([])
    },
  )

  test.each(cases)('does so after a checkpoint has healed the store (%s, tail: %s)', async (...how) => {
    const source = await ruined(...how)
    await healed(source)
    // Nothing needs them any more, not even to look whether they are whole.
    await source.storage.blobs.delete([...source.names])
    const to = memory()
    await copy(source.storage, to)
    expect(await reading(to)).toEqual(source.content)
    expect((await verify(place(to))).damages).toEqual([])
  })

  test('says what is lost when nothing is left to repair from, and leaves no store at the target', async () => {
    const source = await ruined('all', false)
    const { paths } = await source.storage.logs('s/0/')
    // The entries of the first commits are nowhere else.
    await source.storage.log(paths[0]!).remove([2, 3])
    const { items } = await source.storage.blobs.list('s/')
    await source.storage.blobs.delete(items.map(({ name }) => name).filter((name) => name.includes('/seg/')))
    const to = memory()
    await expect(copy(source.storage, to)).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringMatching(/cannot be repaired.+It held keys of the default table/) as string,
    })
    await expect(reading(to)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('of a version with damaged segments', () => {
  test('push goes on pushing what is new, whoever has repaired it by then', async () => {
    for (const heals of [false, true]) {
      const source = await ruined('all', true)
      const to = memory()
      await push(place(source.storage), place(to))
      if (heals) await healed(source)
      for (const i of [20, 21, 25, 26]) {
        const expected = await using(source.storage, async (store) => {
          await step(store, i)
          if (i === 25) await store.checkpoint()
          return contentOf(store)
        })
        await push(place(source.storage), place(to))
        expect(await reading(to), `step ${i}`).toEqual(expected)
      }
      const again = await push(place(source.storage), place(to))
      expect([again.copied, again.bytes]).toEqual([0, 0])
      expect((await verify(place(to))).damages).toEqual([])
    }
  })

  test('push leaves the target as the source is, whatever is damaged, merged, folded or put back between two of them', async () => {
    for (let seed = 1; seed <= extent(6, 2); seed++) {
      let state = seed * 7919
      const random = (below: number): number => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
        return (state >>> 8) % below
      }
      const [storage, to] = [memory(), memory()]
      let store = await openRuin(storage, { retain: { versions: 1000 } })
      const versions: number[] = []
      for (let i = 1; i <= 40; i++) {
        await step(store, i)
        versions.push(store.version)
        const what = random(10)
        if (what < 2) await store.checkpoint()
        else if (what === 2) await store.maintain()
        else if (what === 3) versions.push((await store.restore(versions[random(versions.length)]!)).version)
        const expected = await contentOf(store)
        const refs = live(store)
        if (what >= 5 && refs.length > 0) await ruin(storage, refs[random(refs.length)]!)
        // Another process comes to know of it only when it reads it.
        if (random(4) === 0) {
          await store.close()
          store = await openRuin(storage, { retain: { versions: 1000 } })
        }
        if (random(2) === 0) await push(place(storage), place(to))
        else continue
        expect(await reading(to), `seed ${seed}, step ${i}`).toEqual(expected)
      }
      await store.close()
      expect((await verify(place(to))).damages).toEqual([])
    }
  })

  test('a push that was cut off in the midst of a repair goes on', async () => {
    const source = await ruined('all', true)
    const to = memory()
    const stop = new AbortController()
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 2) stop.abort()
    }
    await expect(push(place(source.storage), place(to), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    await push(place(source.storage), place(to))
    expect(await reading(to)).toEqual(source.content)
  })

  test('a tag, a fork and a restore of it hold all values after a checkpoint, and stand on nothing damaged', async () => {
    for (const isWarm of [true, false]) {
      const source = await ruined('all', true)
      if (!isWarm) await healed(source)
      await using(source.storage, async (store) => {
        if (isWarm) expect(await contentOf(store)).toEqual(source.content)
        await store.tag('kept')
        await store.fork('child')
        await step(store, 30)
        await store.restore(isWarm ? source.version : 'kept')
        expect(await contentOf(store)).toEqual(source.content)
      })
      await source.storage.blobs.delete([...source.names])
      expect(await reading(source.storage, 'child')).toEqual(source.content)
      expect(await reading(source.storage)).toEqual(source.content)
      await using(source.storage, async (store) => {
        const past = await store.at('kept')
        expect(await contentOf(past)).toEqual(source.content)
        await past.close()
        expect(store.metrics().repaired).toBe(0)
      })
      const to = memory()
      await push(place(source.storage), place(to), { at: 'kept' })
      expect(await reading(to)).toEqual(source.content)
    }
  })

  test('a restore of it by a process that has read nothing yet is repaired from the version that it names, and copied', async () => {
    const source = await ruined('all', true)
    await using(source.storage, async (store) => {
      await step(store, 30)
      await store.restore(source.version)
    })
    const to = memory()
    await push(place(source.storage), place(to))
    expect(await reading(to)).toEqual(source.content)
    expect(await reading(source.storage)).toEqual(source.content)
  })

  test('a tag of it that a process made without reading it is copied as long as the log goes back that far', async () => {
    const source = await ruined('all', true)
    await using(source.storage, async (store) => {
      await store.tag('kept')
      await steps(store, 30, 33, 2)
    })
    const to = memory()
    await push(place(source.storage), place(to), { at: 'kept' })
    expect(await reading(to)).toEqual(source.content)
    const old = memory()
    await push(place(source.storage), place(old), { at: source.version })
    expect(await reading(old)).toEqual(source.content)
  })
})

test('an export reads what is beyond 8 MiB twice, and gives nothing before it knows that all of it is whole', async () => {
  const storage = metered(memory())
  const random = (): Uint8Array => {
    const bytes = new Uint8Array(1 << 20)
    for (let at = 0; at < bytes.length; at += 1 << 16) crypto.getRandomValues(bytes.subarray(at, at + (1 << 16)))
    return bytes
  }
  const refs = await using(
    storage,
    async (store) => {
      for (let i = 0; i < 12; i++) await store.set(`k${i}`, random())
      await store.checkpoint()
      return live(store)
    },
    { segmentBytes: 4 << 20 },
  )
  const size = refs.reduce((sum, { length }) => sum + length, 0)
  expect(size).toBeGreaterThan(12 << 20)
  const before = storage.usage().bytesRead
  const to = memory()
  await importZip(exportZip(place(storage)), place(to))
  const read = storage.usage().bytesRead - before
  expect(read).toBeGreaterThan(size)
  expect(read).toBeLessThan(2 * size - (4 << 20))
  const [copy, own] = (await Promise.all([reading(to), reading(storage)])) as Record<string, Uint8Array>[]
  expect(Object.keys(copy!)).toHaveLength(12)
  for (const [key, value] of Object.entries(copy!)) expect(Buffer.compare(value, own![key]!), key).toBe(0)
  // These commits were too large for their entries: nothing else has their changes.
  await ruin(storage, refs.at(-1)!)
  await expect(exportZip(place(storage)).next()).rejects.toMatchObject({ code: 'CORRUPT' })
})
