/** Transactions when an append fails: their own, or that of a commit which they stand on. */
import { describe, expect, test } from 'vitest'
import { openStore, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { faulty, type Fault } from 'tidemark/testing'
import { collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

describe('a transaction on top of commits that fail', () => {
  /** The append of this number fails from now on. */
  const failing = async (): Promise<{ store: Store; failAt: (n: number) => void }> => {
    let at = 0
    let appends = 0
    const storage = faulty(memory(), ({ method }) => (method === 'append' && ++appends === at ? 'quota' : undefined))
    const store = await openStore({ storage, name: 's' })
    return {
      store,
      failAt: (n) => {
        at = n
        appends = 0
      },
    }
  }

  test.each([1, 2])('is run again with its offsets when append %i of those it saw failed', async (n) => {
    const { store, failAt } = await failing()
    await store.commit({ offsets: { clicks: 1 } })
    failAt(n)
    const commits = [2, 3].map((clicks) => store.commit({ offsets: { clicks } }))
    let runs = 0
    const transaction = store.transaction(
      async (tx) => {
        runs++
        await Promise.allSettled(commits)
        tx.put('m', 1)
      },
      { offsets: { clicks: 9 } },
    )
    await transaction
    expect((await Promise.allSettled(commits)).map(({ status }) => status)).toEqual(
      n === 1 ? ['rejected', 'rejected'] : ['fulfilled', 'rejected'],
    )
    expect(runs).toBe(2)
    expect(store.offsets).toEqual({ clicks: 9 })
    await store.close()
  })

  test('that only reads is run again when it saw what then failed, and waits for what it saw', async () => {
    const { store, failAt } = await failing()
    failAt(1)
    store.put('n', 10)
    const committing = expect(store.commit()).rejects.toThrow(code('QUOTA'))
    expect(await store.transaction((tx) => tx.get('n'))).toBeUndefined()
    await committing
    const { version } = store
    const done = store.commit()
    expect(await store.transaction((tx) => tx.get('n'))).toBe(10)
    expect(store.version).toBeGreaterThan(version)
    await done
    failAt(1)
    store.put('n', 11)
    const failed = expect(store.commit()).rejects.toThrow(code('QUOTA'))
    await expect(store.transaction((tx) => tx.get('n'), { tries: 1 })).rejects.toThrow(code('CONFLICT'))
    await failed
    await store.close()
  })
})

describe('a transaction whose append fails', () => {
  const failing = async (): Promise<{ store: Store; fail: (fault: Fault | undefined) => void }> => {
    let fault: Fault | undefined
    const storage = faulty(memory(), ({ method }) => (method === 'append' ? fault : undefined))
    return { store: await openStore({ storage, name: 's' }), fail: (next) => (fault = next) }
  }

  test('leaves nothing behind, and what the store had buffered stays there', async () => {
    const { store, fail } = await failing()
    store.put('mine', 1)
    fail('quota')
    await expect(store.transaction((tx) => tx.put('tx', 1))).rejects.toThrow(code('QUOTA'))
    expect(await collect(store.keys())).toEqual(['mine'])
    fail(undefined)
    await store.commit()
    expect(await collect(store.keys())).toEqual(['mine'])
    await store.close()
  })

  test('takes the ones that stand on it along, and a commit that failed before a transaction ended makes it run again', async () => {
    const { store, fail } = await failing()
    fail('quota')
    const increment = (): Promise<void> =>
      store.transaction(async (tx) => tx.put('n', (((await tx.get('n')) as number | undefined) ?? 0) + 1))
    const results = await Promise.allSettled([increment(), increment(), increment()])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await store.get('n')).toBeUndefined()

    store.put('n', 10)
    const committing = store.commit()
    const seen: unknown[] = []
    const transaction = store.transaction(async (tx) => {
      seen.push(await tx.get('n'))
      await Promise.allSettled([committing])
      fail(undefined)
      tx.put('m', ((seen.at(-1) as number | undefined) ?? 0) + 1)
    })
    await expect(committing).rejects.toThrow(code('QUOTA'))
    await transaction
    expect(seen).toEqual([10, undefined])
    expect(await store.get('m')).toBe(1)
    await store.close()
  })
})
