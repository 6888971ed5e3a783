import { expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store, type Transaction } from 'tidemark'
import { sleep } from '../../../src/clock.js'
import { eachAdapter } from '../../support/counting.js'
import { adapters, collect } from '../../support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error

eachAdapter(adapters, 'a transaction on %s', (make) => {
  const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
    openStore({ storage, name: 's', ...options })

  test('fifty increments at once count to fifty, one after another', async () => {
    const store = await open(make())
    const increment = (): Promise<number> =>
      store.transaction(async (tx) => {
        const count = ((await tx.get('n')) as number | undefined) ?? 0
        await systemClock.pause()
        tx.put('n', count + 1)
        return count + 1
      })
    const results = await Promise.all(Array.from({ length: 50 }, increment))
    expect(results).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    expect(await store.get('n')).toBe(50)
    await store.close()
  })

  test('reads what it wrote, and commits it when its function resolves', async () => {
    const storage = make()
    const store = await open(storage, { partitions: 2 })
    store.put('old', 1)
    await store.commit()
    const result = await store.transaction(
      async (tx) => {
        tx.put('a', 1)
        tx.table('t').put('b', 2)
        tx.partition(1).put('c', 3)
        tx.delete('old')
        expect(await tx.getMany(['a', 'old'])).toEqual([1, undefined])
        expect(tx.table('t').getSync('b')).toBe(2)
        expect(await tx.partition(1).get('c')).toBe(3)
        expect(await collect(tx.keys())).toEqual(['a', 'c'])
        expect(await store.get('a')).toBeUndefined()
        tx.deleteRange({ prefix: 'c' })
        tx.batch([{ type: 'put', key: 'd', value: 4 }])
        return 'done'
      },
      { offsets: { clicks: 5 } },
    )
    expect(result).toBe('done')
    expect(store.offsets).toEqual({ clicks: 5 })
    await store.close()
    const again = await open(storage)
    expect(await collect(again.entries())).toEqual([
      ['a', 1],
      ['d', 4],
    ])
    expect(await again.table('t').get('b')).toBe(2)
    await again.close()
  })

  test('leaves alone what the store has buffered: neither reads nor commits it', async () => {
    const storage = make()
    const store = await open(storage)
    store.put('a', 'buffered')
    await store.transaction(async (tx) => {
      expect(await tx.get('a')).toBeUndefined()
      expect(await collect(tx.keys())).toEqual([])
      tx.put('b', 1)
    })
    expect(await store.get('a')).toBe('buffered')
    const follower = await open(storage, { mode: 'follower' })
    expect(await collect(follower.keys())).toEqual(['b'])
    await follower.close()
    await store.commit()
    expect(await collect(store.keys())).toEqual(['a', 'b'])
    await store.close()
  })

  test('that throws leaves nothing, and the next one goes on', async () => {
    const store = await open(make())
    const mistake = new Error('mine')
    const failing = store.transaction((tx) => {
      tx.put('a', 1)
      throw mistake
    })
    const next = store.transaction((tx) => tx.put('b', 1))
    await expect(failing).rejects.toBe(mistake)
    await next
    expect(await collect(store.keys())).toEqual(['b'])
    await store.close()
  })

  test('begun while a restore is on its way stands on what that restores', async () => {
    let hold: Promise<unknown> = Promise.resolve()
    const storage = make()
    const slow = new Proxy(storage, {
      get: (target, name) =>
        name === 'log'
          ? (...args: Parameters<Storage['log']>) => {
              const log = target.log(...args)
              const append: typeof log.append = async (...rest) => {
                await hold
                return log.append(...rest)
              }
              return new Proxy(log, {
                get: (own, key) => {
                  const value: unknown = key === 'append' ? append : Reflect.get(own, key, own)
                  return typeof value === 'function' ? (value.bind(own) as unknown) : value
                },
              })
            }
          : Reflect.get(target, name, target),
    })
    const store = await open(slow)
    store.put('n', 1)
    const { version } = await store.commit()
    store.put('n', 5)
    await store.commit()
    let release = (): void => undefined
    hold = new Promise<void>((resolve) => (release = resolve))
    const restoring = store.restore(version)
    await sleep(systemClock, 30)
    const adding = store.transaction(async (tx) => tx.put('n', ((await tx.get('n')) as number) + 1))
    await sleep(systemClock, 10)
    release()
    await Promise.all([restoring, adding])
    expect(await store.get('n')).toBe(2)
    await store.close()
  })

  test('without changes and offsets makes no version', async () => {
    const store = await open(make())
    store.put('a', 1)
    await store.commit()
    const { version } = store
    expect(await store.transaction(async (tx) => (await tx.get('a')) as number)).toBe(1)
    expect(store.version).toBe(version)
    await store.transaction(() => undefined, { offsets: { clicks: 1 } })
    expect(store.version).toBeGreaterThan(version)
    await store.close()
  })

  test('reads commits that are queued or in flight', async () => {
    const store = await open(make())
    store.put('a', 1)
    const committing = store.commit()
    const seen = store.transaction((tx) => tx.get('a'))
    expect(await seen).toBe(1)
    await committing
    await store.close()
  })

  test('is run again when something else is committed meanwhile, and no update is lost', async () => {
    const store = await open(make())
    let runs = 0
    await store.transaction(async (tx) => {
      const count = ((await tx.get('n')) as number | undefined) ?? 0
      if (++runs === 1) {
        store.put('n', 100)
        await store.commit()
        // A transaction sees one state from its beginning to its end.
        expect(await tx.get('n')).toBeUndefined()
      }
      tx.put('n', count + 1)
    })
    expect(runs).toBe(2)
    expect(await store.get('n')).toBe(101)
    await store.close()
  })

  test('out of tries ends with CONFLICT and leaves nothing', async () => {
    const store = await open(make())
    let runs = 0
    const body = async (tx: Transaction): Promise<void> => {
      tx.put('a', 1)
      store.put('b', ++runs)
      await store.commit()
    }
    await expect(store.transaction(body, { tries: 3 })).rejects.toThrow(code('CONFLICT'))
    expect(runs).toBe(3)
    expect(await collect(store.entries())).toEqual([['b', 3]])
    await store.close()
  })

  test('is over when its function has ended', async () => {
    const store = await open(make())
    let kept: Transaction | undefined
    await store.transaction((tx) => void (kept = tx))
    expect(() => kept!.put('a', 1)).toThrow(code('CLOSED'))
    expect(() => kept!.table('t')).toThrow(code('CLOSED'))
    await expect(kept!.get('a')).rejects.toThrow(code('CLOSED'))
    await store.commit()
    expect(await collect(store.keys())).toEqual([])
    await store.close()
  })

  test('inside another is refused where that can be seen', async () => {
    const store = await open(make())
    await expect(store.transaction(() => store.transaction(() => 1))).rejects.toThrow(code('INVALID_ARGUMENT'))
    expect(await store.transaction(() => 2)).toBe(2)
    await store.close()
  })

  test('aborts while it waits and before it commits, and the queue goes on', async () => {
    const store = await open(make())
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const first = store.transaction(async (tx) => {
      await gate
      tx.put('first', 1)
    })
    const waiting = new AbortController()
    const second = store.transaction((tx) => tx.put('second', 1), { signal: waiting.signal })
    const running = new AbortController()
    const third = store.transaction(
      (tx) => {
        tx.put('third', 1)
        running.abort()
        expect(() => tx.put('third', 2)).toThrow(code('ABORTED'))
      },
      { signal: running.signal },
    )
    const fourth = store.transaction((tx) => tx.put('fourth', 1))
    const aborted = expect(second).rejects.toThrow(code('ABORTED'))
    waiting.abort()
    await aborted
    release()
    await expect(third).rejects.toThrow(code('ABORTED'))
    await Promise.all([first, fourth])
    expect(await collect(store.keys())).toEqual(['first', 'fourth'])
    const done = { signal: AbortSignal.abort() }
    await expect(store.transaction(() => 1, done)).rejects.toThrow(code('ABORTED'))
    await store.close()
  })

  test('awaited inside another fails typed instead of waiting for ever, and the outer one can end', async () => {
    const store = await open(make(), { timeoutMs: 2_000 })
    await store.transaction(async (tx) => {
      tx.put('outer', 1)
      await systemClock.pause()
      await expect(store.transaction((inner) => inner.put('inner', 1))).rejects.toThrow(code('CONFLICT'))
    })
    expect(await collect(store.keys())).toEqual(['outer'])
    await store.close()
  })

  test('waits for an honest slow one, however long that takes', async () => {
    const store = await open(make(), { timeoutMs: 2_000 })
    for (let i = 0; i < 9; i++) store.put(i, i)
    await store.commit()
    const slow = store.transaction(async (tx) => {
      for await (const key of tx.keys()) if (key !== -1) await sleep(systemClock, 200)
      for (let i = 0; i < 3; i++) {
        await sleep(systemClock, 200)
        await tx.get(i)
        await sleep(systemClock, 200)
        tx.put('slow', i)
      }
    })
    const waiting = [1, 2].map((i) => store.transaction((tx) => tx.put('waited', i)))
    await Promise.all([slow, ...waiting])
    expect(await store.getMany(['slow', 'waited'])).toEqual([2, 2])
    await store.close()
  })

  test('started inside another is refused before its first await, and runs after it later', async () => {
    const store = await open(make())
    let later: Promise<unknown> | undefined
    await store.transaction(async (tx) => {
      const early = store.transaction(() => 1)
      await expect(early).rejects.toThrow(code('INVALID_ARGUMENT'))
      later = store.transaction(async (other) => other.put('seen', (await other.get('a')) ?? 'nothing'))
      tx.put('a', 1)
    })
    await later
    expect(await store.get('seen')).toBe(1)
    await store.close()
  })

  test('whose function never ends is left when the signal or close() says so, and takes no more writes', async () => {
    const store = await open(make())
    const controller = new AbortController()
    let late: Transaction | undefined
    const forever = (tx: Transaction): Promise<never> => {
      late = tx
      return new Promise<never>(() => undefined)
    }
    const stuck = store.transaction(forever, { signal: controller.signal })
    const next = store.transaction((tx) => tx.put('next', 1))
    await systemClock.pause()
    controller.abort()
    await expect(stuck).rejects.toThrow(code('ABORTED'))
    expect(() => late!.put('late', 1)).toThrow(code('CLOSED'))
    await next
    expect(await collect(store.keys())).toEqual(['next'])
    const open1 = expect(store.transaction(forever)).rejects.toThrow(code('CLOSED'))
    const open2 = expect(store.transaction((tx) => tx.put('x', 1))).rejects.toThrow(code('CLOSED'))
    await systemClock.pause()
    await store.close()
    await Promise.all([open1, open2])
  })

  test('with offsets is not run again when other offsets were committed meanwhile: CONFLICT', async () => {
    const store = await open(make())
    let runs = 0
    const late = store.transaction(
      async (tx) => {
        runs++
        tx.put('n', 1)
        await store.commit({ offsets: { clicks: 5 } })
      },
      { offsets: { clicks: 9 } },
    )
    await expect(late).rejects.toThrow(code('CONFLICT'))
    expect(runs).toBe(1)
    expect(store.offsets).toEqual({ clicks: 5 })
    // Without offsets it only has to be run again; so has one beside which only keys were committed.
    let other: Promise<unknown> | undefined
    await store.transaction(
      async (tx) => {
        tx.put('n', 2)
        store.put('m', 2)
        await (other ??= store.commit())
      },
      { offsets: { clicks: 10 } },
    )
    expect(store.offsets).toEqual({ clicks: 10 })
    await store.close()
  })

  test('refuses odd arguments, followers and closed stores', async () => {
    const storage = make()
    const store = await open(storage)
    const wrong = code('INVALID_ARGUMENT')
    await expect(store.transaction(undefined as never)).rejects.toThrow(wrong)
    await expect(store.transaction(() => 1, { attempts: 3 } as never)).rejects.toThrow(wrong)
    await expect(store.transaction(() => 1, null as never)).rejects.toThrow(wrong)
    for (const tries of [0, 1.5, Number.NaN, '3']) {
      await expect(store.transaction(() => 1, { tries: tries as never })).rejects.toThrow(wrong)
    }
    await expect(store.transaction(() => 1, { signal: {} as never })).rejects.toThrow(wrong)
    await expect(store.transaction(() => 1, { offsets: { a: true as never } })).rejects.toThrow(wrong)
    await expect(store.transaction((tx) => tx.put(Number.NaN, 1))).rejects.toThrow(wrong)
    await expect(store.transaction((tx) => tx.put('a', () => 1))).rejects.toThrow(wrong)
    expect(store.version).toBe(0)
    const follower = await open(storage, { mode: 'follower' })
    await expect(follower.transaction(() => 1)).rejects.toThrow(code('READ_ONLY'))
    await follower.close()
    const waiting = store.transaction(async (tx) => {
      await systemClock.pause()
      tx.put('a', 1)
    })
    await Promise.all([expect(waiting).rejects.toThrow(code('CLOSED')), store.close()])
    await expect(store.transaction(() => 1)).rejects.toThrow(code('CLOSED'))
  })
})
