/** How much a handle in shared mode, or a follower, shows of the commits of others since it last looked. */
import { describe, expect, test } from 'vitest'
import type { Storage, Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { TidemarkError } from '../../../src/errors.js'
import { intercept } from '../../../src/storage/intercept.js'
import { code, gate, open, pair, tabs } from '../../support/shared.js'
import { collect, temporaryFolder } from '../../support/storages.js'

const storages: readonly [string, () => Storage][] = [
  ['memory()', () => memory()],
  ['nodeFs()', () => nodeFs(temporaryFolder())],
]

/** Requests of a handle while `act` runs. */
async function requests(store: Store<string, number>, act: () => Promise<unknown>): Promise<number> {
  const count = (): number => Object.values(store.metrics().requests).reduce((sum, n) => sum + n, 0)
  const before = count()
  await act()
  return count() - before
}

describe.each(storages)('a transaction in shared mode on %s', (_, make) => {
  const acquire = (store: Store<string, number>, id: number): Promise<boolean> =>
    store.transaction(async (tx) => {
      if (await tx.has('lock')) return false
      tx.put('lock', id)
      return true
    })

  test('that writes nothing sees what others have committed before it was called', async () => {
    const [a, b] = await pair(make())
    expect([await acquire(a, 1), await acquire(b, 2)]).toEqual([true, false])
    await a.transaction((tx) => tx.delete('lock'))
    expect(await acquire(b, 2)).toBe(true)
    expect(await acquire(a, 1)).toBe(false)
    expect(await a.get('lock')).toBe(2)
  })

  test('whose function throws does, too', async () => {
    const [a, b] = await pair(make())
    const enter = (store: Store<string, number>): Promise<void> =>
      store.transaction(async (tx) => {
        if (await tx.has('lock')) throw new Error('busy')
        tx.put('lock', 1)
      })
    await enter(a)
    await expect(enter(b)).rejects.toThrow('busy')
    await a.transaction((tx) => tx.delete('lock'))
    await enter(b)
    await expect(enter(a)).rejects.toThrow('busy')
  })

  test('that writes nothing makes one request when there is nothing new, and runs once', async () => {
    const [a, b] = await pair(make())
    await acquire(a, 1)
    await b.refresh()
    let runs = 0
    const look = (): Promise<unknown> => b.transaction((tx) => (runs++, tx.get('lock')))
    expect(await requests(b, look)).toBe(1)
    expect(await requests(b, look)).toBe(1)
    expect(runs).toBe(2)
    expect(await requests(b, () => b.get('lock'))).toBe(0)
  })
})

test('a transaction that only reads ends though others write all the time', async () => {
  const storage = memory()
  const [a, b] = await pair(storage)
  let isWriting = true
  const writing = (async () => {
    for (let n = 0; isWriting; n++) {
      a.put('n', n)
      await a.commit()
    }
  })()
  for (let last = -1, i = 0; i < 50; i++) {
    const n = (await b.transaction((tx) => tx.get('n'), { tries: 2 })) ?? 0
    expect(n).toBeGreaterThanOrEqual(last)
    last = n
  }
  isWriting = false
  await writing
})

test('an exclusive handle asks nobody', async () => {
  const store = await open(memory(), { mode: 'exclusive' })
  store.put('a', 1)
  await store.commit()
  const read = async (): Promise<void> => {
    await store.transaction((tx) => tx.get('a'))
    await store.transaction(() => Promise.reject(new Error('no'))).catch(() => undefined)
    await store.get('a', { fresh: true })
  }
  expect(await requests(store, read)).toBe(0)
})

describe.each(['shared', 'follower'] as const)('a read with { fresh: true } in mode %s', (mode) => {
  test('shows what others have committed, by every call that reads', async () => {
    const storage = memory()
    const writer = await open(storage, { partitions: 2 })
    const reader = await open(storage, { mode })
    let n = 0
    const write = async (): Promise<number> => {
      n++
      for (const key of ['a', `k${n}`])
        for (const to of [writer, writer.table('t'), writer.partition(1)]) to.put(key, n)
      await writer.commit()
      return n
    }
    const fresh = { fresh: true }
    for (const from of [reader, reader.table('t'), reader.partition(1)]) {
      const before = await from.get('a')
      await write()
      expect(await from.get('a')).toBe(before)
      expect(await from.get('a', { fresh: false })).toBe(before)
      expect(await from.get('a', fresh)).toBe(n)
      await write()
      expect(await from.getMany(['a', 'no'], fresh)).toEqual([n, undefined])
      await write()
      expect(await from.has(`k${n}`)).toBe(false)
      expect(await from.has(`k${n}`, fresh)).toBe(true)
      await write()
      expect(await collect(from.keys(fresh))).toContain(`k${n}`)
      await write()
      expect(await collect(from.entries({ ...fresh, prefix: `k${n}` }))).toContainEqual([`k${n}`, n])
    }
    await expect(reader.get('a', { fresh: 1 } as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
    await expect(reader.get('a', { fersh: true } as never)).rejects.toThrow(code('INVALID_ARGUMENT'))
  })

  test('sees what was acknowledged before it was called, also while an older look is under way', async () => {
    const storage = memory()
    const writer = await open(storage)
    const late = gate()
    let answered: (() => void) | undefined
    const slow = intercept(storage, async ({ target, method }, run) => {
      const answer = await run(undefined)
      if (target === 'log' && method.startsWith('read') && answered) {
        answered()
        await late.passed
      }
      return answer
    })
    const reader = await open(slow, { mode })
    late.shut()
    const older = new Promise<void>((resolve) => (answered = resolve))
    const looking = reader.refresh()
    await older
    answered = undefined
    writer.put('a', 1)
    await writer.commit()
    const reading = reader.get('a', { fresh: true })
    late.open()
    await looking
    expect(await reading).toBe(1)
  })
})

test('a fresh read of one key makes no lost update of others', async () => {
  const [a, b] = await pair(tabs(memory()))
  a.put('x', 1)
  a.put('y', 1)
  await a.commit()
  await b.refresh()
  const x = (await b.get('x'))!
  a.put('x', 5)
  await a.commit()
  expect(await b.get('y', { fresh: true })).toBe(1)
  b.put('x', x + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
})

test('a transaction that only reads runs again when the store was opened again meanwhile', async () => {
  const [a, b] = await pair(memory())
  b.put('x', 1)
  await b.commit()
  let runs = 0
  const seen = await a.transaction(async (tx) => {
    const x = await tx.get('x')
    if (runs++ === 0) await a.reopen()
    return x
  })
  expect([seen, runs]).toEqual([1, 2])
})

test('a look is not taken along by a commit that fails in front of it, nor the looks after it', async () => {
  const storage = memory()
  let isFull = false
  const way = gate()
  const tight = intercept(storage, async ({ method }, run) => {
    if (method === 'append' || method === 'claim') {
      await way.passed
      if (isFull) throw new TidemarkError('QUOTA', 'Full.')
    }
    return run(undefined)
  })
  const a = await open(storage)
  const b = await open(tight)
  a.put('x', 1)
  await a.commit()
  isFull = true
  way.shut()
  b.put('y', 1)
  const refused = expect(b.commit()).rejects.toThrow(code('QUOTA'))
  await new Promise((resolve) => setTimeout(resolve))
  const looking = b.refresh()
  way.open()
  await refused
  await looking
  expect(await b.get('x')).toBe(1)
  isFull = false
  a.put('x', 2)
  await a.commit()
  expect(await b.get('x', { fresh: true })).toBe(2)
  await b.commit()
  expect(await b.get('y')).toBe(1)
})

test('a look ends that saw a set() on its way, and behind that a transaction that fell', async () => {
  const base = memory()
  const b = await open(base)
  await b.set('there', 0)
  let rivals = 0
  // Others come first each time, so that the set() stays on its way and the transaction falls again and again.
  const a = await open(
    intercept(base, async (call, run) => {
      if (call.method === 'claim' && rivals > 0) await b.set('rival', rivals--)
      return run(undefined)
    }),
  )
  rivals = 10
  let runs = 0
  const look = (): Promise<unknown> =>
    a.update('gone', (now) => {
      if (++runs > 1000) throw new Error('it is run for ever')
      return now
    })
  await Promise.all([a.set('mine', 1), a.update('there', (n) => n! + 1), look(), a.update('there', (n) => n! + 1)])
  expect(await a.getMany(['mine', 'there', 'rival'])).toEqual([1, 2, 1])
  expect(runs).toBeLessThan(30)
})
