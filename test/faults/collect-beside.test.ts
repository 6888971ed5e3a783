import { beforeAll, describe, expect, test } from 'vitest'
import { isTidemarkError, type Storage, type Store } from 'tidemark'
import { cuts, faulty, worldOver } from 'tidemark/testing'
import { destroyStore, listStores } from 'tidemark/tools'
import type { Run } from '../../src/storage/turns.js'
import { intercept, type Call } from '../../src/storage/intercept.js'
import {
  change,
  contents,
  copyOf,
  cutCollector,
  expectPast,
  expectSound,
  GRACE,
  makeTemplate,
  objectsOf,
  open,
  time,
  type Template,
} from '../support/collect-world.js'
import { thinned } from '../support/extent.js'
import { persist } from '../support/history.js'

let template: Template
beforeAll(async () => {
  template = await makeTemplate()
})

const typed = (error: unknown): undefined => {
  if (!isTidemarkError(error)) throw error
}

describe('a collector that is cut at every storage call', () => {
  test('with commits and folds beside it, whose uploads are under way', async () => {
    const told = await cutCollector(template, {
      ways: ['error-after'],
      only: thinned(['error-after'], 15),
      async during(store, note) {
        for (let i = 20; i < 26; i++) {
          try {
            change(store, i)
            const now = await contents(store)
            note((await store.commit()).version, now)
          } catch (error) {
            typed(error)
            return
          }
        }
      },
    })
    console.log(`with commits and folds: ${told}`)
  })

  test('with a tag and a fork being made of a version that is about to expire', async () => {
    const [version, expected] = [...template.past.versions].at(-4)!
    const made = new Set<string>()
    const told = await cutCollector(template, {
      ways: ['reply-lost'],
      only: thinned(['reply-lost'], 15),
      async before() {
        made.clear()
        return async () => undefined
      },
      async during(store) {
        const making = [store.tag('late', { at: version }), store.fork('late-fork', { at: version })]
        await Promise.all(making.map((making, i) => making.then(() => made.add(['late', 'late-fork'][i]!), typed)))
      },
      async after(store, storage) {
        // Acknowledged changes are there; the others are there whole or not at all.
        const names = (await store.tags()).map(({ name }) => name)
        if (made.has('late')) expect(names).toContain('late')
        for (let round = 0; round < 3; round++) {
          if (names.includes('late')) {
            const view = await store.at('late')
            expect(await contents(view)).toBe(expected)
            await view.close()
          }
          try {
            const fork = await open(storage, { name: 'late-fork', create: false, mode: 'follower' })
            expect(await contents(fork)).toBe(expected)
            await fork.close()
          } catch (error) {
            expect([made.has('late-fork'), (error as { code?: string }).code]).toEqual([false, 'NOT_FOUND'])
          }
          await store.maintain()
          time.now += GRACE
        }
        if (names.includes('late')) await store.untag('late')
      },
    })
    console.log(`with a tag and a fork being made: ${told}`)
  })
})

/** Lets a call that fits be held up until somebody lets it go on. */
function holdUp(
  storage: Storage,
  fits: (call: Call) => boolean,
): { storage: Storage; held: Promise<void>; go: () => void } {
  let [tell, go] = [(): void => undefined, (): void => undefined]
  const held = new Promise<void>((resolve) => (tell = resolve))
  const gone = new Promise<void>((resolve) => (go = resolve))
  let isFirst = true
  const around = async <T>(call: Call, run: Run<T>): Promise<T> => {
    if (isFirst && fits(call)) {
      isFirst = false
      tell()
      await gone
    }
    return run(call.signal)
  }
  return { storage: intercept(storage, around), held, go }
}

describe('a fork that is being made', () => {
  test('is there or is not when its creator ends at any storage call, and its name is free again', async () => {
    const [version, expected] = [...template.past.versions].at(-2)!
    let [there, voids] = [0, 0]
    const result = await cuts({
      ways: ['never-sent', 'reply-lost'],
      only: thinned(['never-sent', 'reply-lost'], 4),
      makeWorld: async (decide) => {
        time.now = template.end
        const storage = await copyOf(template.storage)
        const store = await open(storage)
        await store.close()
        return worldOver(() => storage)(decide)
      },
      async scenario(storage) {
        const store = await persist(() => open(storage))
        await store.fork('late', { at: version })
        await store.close()
      },
      async verify(storage) {
        const store = await open(storage)
        for (let round = 0; round < 2; round++) {
          time.now += GRACE
          await store.maintain()
        }
        const isThere = (await listStores(storage)).some(({ name }) => name === 'late')
        expect((await objectsOf(storage)).pins).toBe(isThere ? 3 : 2)
        if (isThere) there++
        else {
          if ((await storage.logs('late/')).paths.length > 0) voids++
          await store.fork('late', { at: version })
        }
        const fork = await open(storage, { name: 'late', create: false })
        expect(await contents(fork)).toBe(expected)
        await fork.close()
        expect((await listStores(storage)).map(({ name }) => name)).toEqual(['fork', 'late', 's'])
        await expectPast(storage, store, template.past)
        await expectSound(storage, 'late')
        await store.close()
      },
    })
    console.log(`making a fork: ${result.points} points, ${result.runs} runs; ${there} there, ${voids} closed as void`)
    expect(there).toBeGreaterThan(2)
    expect(voids).toBeGreaterThan(2)
  })

  /** Begins a fork, holds it up at the call, and lets another owner collect in the meantime. */
  async function stall(fits: (call: Call) => boolean): Promise<{ error: unknown; storage: Storage; store: Store }> {
    time.now = template.end
    const storage = await copyOf(template.storage)
    const slow = holdUp(storage, fits)
    const former = await open(slow.storage, { timeoutMs: 3_600_000 })
    const forking = former.fork('late').then(
      () => undefined,
      (error: unknown) => error,
    )
    await slow.held
    const store = await open(storage)
    for (let i = 30; i < 40; i++) {
      change(store, i)
      await store.commit()
    }
    for (let round = 0; round < 4; round++) {
      await store.maintain()
      time.now += GRACE
    }
    slow.go()
    const error = await forking
    await former.close()
    return { error, storage, store }
  }

  test('fails typed and leaves no half store when its creator stalls before the first entry', async () => {
    const { error, storage, store } = await stall(({ method, path }) => method === 'claim' && path.startsWith('late/'))
    expect(isTidemarkError(error)).toBe(true)
    expect((await listStores(storage)).map(({ name }) => name)).toEqual(['fork', 's'])
    await expect(open(storage, { name: 'late', create: false })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect((await objectsOf(storage)).pins).toBe(2)
    await store.fork('late')
    const fork = await open(storage, { name: 'late', create: false })
    expect(await contents(fork)).toBe(await contents(store))
    await fork.close()
    await store.close()
  })

  test('is whole when its creator stalls before the anchor', async () => {
    const { error, storage, store } = await stall(({ method, path }) => method === 'swap' && path === 'late/0/anchor')
    expect(error).toBeUndefined()
    const fork = await open(storage, { name: 'late', create: false })
    expect(await contents(fork)).toBe([...template.past.versions].at(-1)![1])
    await fork.close()
    await store.close()
  })

  test('fails typed when its version was collected before it could be pinned', async () => {
    const { error, storage, store } = await stall(({ method, path }) => method === 'put' && path.includes('/pins/'))
    expect(error).toMatchObject({ code: 'VERSION_EXPIRED' })
    expect((await objectsOf(storage)).pins).toBe(2)
    expect((await listStores(storage)).map(({ name }) => name)).toEqual(['fork', 's'])
    await expectSound(storage)
    await store.close()
  })
})

describe('a fork', () => {
  test('that is damaged keeps what it holds, and its parent goes on collecting', async () => {
    time.now = template.end
    const storage = await copyOf(template.storage)
    const anchor = storage.anchor('fork/0/anchor')
    const { bytes, token } = await anchor.read()
    const damaged = bytes!.map((byte, i) => (i === 20 ? byte ^ 1 : byte))
    await anchor.swap(token, damaged, 0)
    const store = await open(storage)
    const warnings: string[] = []
    store.on('warning', ({ message }) => warnings.push(message))
    await store.maintain()
    time.now += GRACE
    expect((await store.maintain()).deleted.entries).toBeGreaterThan(0)
    expect((await objectsOf(storage)).pins).toBe(2)
    expect(warnings.join()).toContain('fork/0/')
    // Once it is gone for good, so is the hold.
    await destroyStore({ storage, name: 'fork' }, { force: true })
    await settleRounds(store)
    expect((await objectsOf(storage)).pins).toBe(1)
    await store.close()
    await expectSound(storage)
  })

  test('that is half destroyed holds nothing any more', async () => {
    time.now = template.end
    const storage = await copyOf(template.storage)
    const failing = faulty(storage, ({ method }) => (method === 'destroy' ? 'error-before' : undefined))
    await expect(destroyStore({ storage: failing, name: 'fork' })).rejects.toMatchObject({ retryable: true })
    const store = await open(storage)
    await settleRounds(store)
    expect((await objectsOf(storage)).pins).toBe(1)
    await destroyStore({ storage, name: 'fork' })
    await store.close()
    await expectSound(storage)
  })
})

async function settleRounds(store: Store): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await store.maintain()
    time.now += GRACE
  }
}
