/** In shared mode a commit changes nothing that was read before others wrote it, and needs nothing else to be read again. */
import { describe, expect, test } from 'vitest'
import { systemClock, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { sleep } from '../../../src/clock.js'
import { intercept } from '../../../src/storage/intercept.js'
import { code, found, open, outcomes, pair } from '../../support/shared.js'
import { collect } from '../../support/storages.js'

async function caughtUp(b: Store<string, number>, a: Store<string, number>): Promise<void> {
  await expect.poll(() => b.version, { interval: 1 }).toBe(a.version)
}

test.each<[string, (b: Store<string, number>) => Promise<void>]>([
  ['its keys', async (b) => expect(await b.get('mine')).toBe(1)],
  ['everything', async (b) => expect(await collect(b.entries())).toEqual([['mine', 1]])],
])('a blind commit goes on top of others though %s were read after it was called', async (_name, read) => {
  const storage = memory()
  const [a, b] = await pair(storage)
  a.put('other', 1)
  await a.commit()
  b.put('mine', 1)
  const committing = b.commit()
  await read(b)
  await committing
  expect(await b.getMany(['mine', 'other'])).toEqual([1, 1])
  expect(await found(storage, 'mine')).toBe(1)
})

/** A handle that has read `k`, and has come by itself to what another one made of it since. */
async function readBefore(storage: Storage): Promise<Store<string, number>> {
  const [a, b] = [await open(storage), await open(storage, { followMs: 1 })]
  a.put('k', 1)
  await a.commit()
  await caughtUp(b, a)
  expect(await b.get('k')).toBe(1)
  a.put('k', 2)
  await a.commit()
  await caughtUp(b, a)
  return b
}

test('what was read again after others changed it may be written', async () => {
  const storage = memory()
  const b = await readBefore(storage)
  expect(await b.get('k')).toBe(2)
  b.put('k', 3)
  await b.commit()
  expect(await found(storage, 'k')).toBe(3)
})

test('reading up to a key is not reading that key again', async () => {
  const storage = memory()
  const b = await readBefore(storage)
  expect(await collect(b.entries({ lt: 'k' }))).toEqual([])
  b.put('k', 3)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
  expect(await found(storage, 'k')).toBe(2)
})

test.each<[string, (b: Store<string, number>) => Promise<void>]>([
  ['refresh()', (b) => b.refresh()],
  ['reopen()', (b) => b.reopen()],
])('what was read before %s stands in no way afterwards', async (_name, lookAgain) => {
  const storage = memory()
  const [a, b] = await pair(storage)
  a.put('k', 1)
  await a.commit()
  await b.refresh()
  expect(await b.get('k')).toBe(1)
  a.put('k', 2)
  await a.commit()
  await lookAgain(b)
  b.put('k', 3)
  await b.commit()
  // Not even when others come first once more.
  a.put('k', 4)
  await a.refresh()
  await a.commit()
  b.put('k', 5)
  await b.commit()
  expect(await found(storage, 'k')).toBe(5)
})

test('what is read while refresh() is under way is not forgotten', async () => {
  const storage = memory()
  const slow = intercept(storage, async (call, run) => {
    const answer = await run(call.signal)
    if (call.target === 'anchor') await sleep(systemClock, 5)
    return answer
  })
  const [a, b] = [await open(storage), await open(slow)]
  a.put('n', 1)
  await a.commit()
  await b.refresh()
  a.put('n', 2)
  await a.commit()
  const refreshing = b.refresh()
  const old = (await b.get('n'))!
  expect(old).toBe(1)
  await refreshing
  b.put('n', old + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
})

test('what a listener of "version" reads during refresh() is not forgotten', async () => {
  const [a, b] = await pair(memory())
  a.put('n', 1)
  await a.commit()
  let seen: number | undefined
  b.on('version', () => (seen = b.getSync('n')))
  await b.refresh()
  expect(seen).toBe(1)
  a.put('n', 2)
  await a.commit()
  b.put('n', seen! + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
})

test('CONFLICT of one task does not hide the lost update of another', async () => {
  const storage = memory()
  const [a, b] = await pair(storage)
  a.put('x', 1)
  a.put('y', 1)
  await a.commit()
  await b.refresh()
  // Two tasks of one program, each reads and writes a key of its own.
  const x = (await b.get('x'))!
  const y = (await b.get('y'))!
  a.put('x', 10)
  a.put('y', 10)
  await a.commit()
  b.put('x', x + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
  b.discard()
  b.put('y', y + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
  expect(await found(storage, 'y')).toBe(10)
})

test('a blind commit behind one that falls falls with it, so that its changes stay on top', async () => {
  const storage = memory()
  const [a, b] = await pair(storage)
  await b.get('k')
  a.put('k', 7)
  await a.commit()
  b.put('k', 1)
  b.put('shared', 1)
  const first = b.commit({ label: 'first' })
  b.put('shared', 2)
  const second = b.commit({ label: 'second' })
  expect(await outcomes(first, second)).toEqual(['CONFLICT', 'CONFLICT'])
  await b.commit()
  expect(await found(storage, 'shared')).toBe(2)
})

test('a transaction is run again when its handle catches up with others while it runs', async () => {
  const storage = memory()
  const [a, b] = await pair(storage)
  a.put('n', 1)
  await a.commit()
  await b.refresh()
  const read: unknown[] = []
  await b.transaction(async (tx) => {
    const n = (await tx.get('n'))!
    read.push(n)
    if (read.length === 1) {
      a.put('n', 10)
      await a.commit()
      await b.refresh()
    }
    tx.put('n', n + 1)
  })
  expect(read).toEqual([1, 10])
  expect(await found(storage, 'n')).toBe(11)
})

describe('a commit of what was read is CONFLICT after', () => {
  test.each<[string, (a: Store<string, number>) => Promise<unknown>]>([
    [
      'a large commit of others',
      (a) => {
        for (let i = 0; i < 500; i++) a.put(`l${i}`, i)
        a.put('k', 3)
        return a.commit()
      },
    ],
    ['a restore by others', (a) => a.restore('base')],
    [
      'a range delete of others',
      (a) => {
        a.deleteRange({ prefix: 'k' })
        return a.commit()
      },
    ],
  ])('%s', async (_name, change) => {
    const [a, b] = await pair(memory(), { checkpoint: { bytes: 2000 }, followMs: 1 })
    a.put('k', 1)
    await a.commit()
    await a.checkpoint()
    await a.tag('base')
    a.put('k', 2)
    await a.commit()
    await caughtUp(b, a)
    expect(await b.get('k')).toBe(2)
    await change(a)
    // It caught up by itself: the program was told of nothing.
    await caughtUp(b, a)
    b.put('k', 10)
    await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
  })
})
