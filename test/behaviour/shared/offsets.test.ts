/** Offsets in shared mode: they never claim what was not committed, and nobody's are lost under another one's. */
import { expect, test } from 'vitest'
import { systemClock, type Transaction } from 'tidemark'
import { memory } from 'tidemark/memory'
import { sleep } from '../../../src/clock.js'
import { intercept } from '../../../src/storage/intercept.js'
import { code, gate, open, outcomes, pair } from '../../support/shared.js'

test('of commits with offsets that fall together, none counts, and their changes are kept', async () => {
  const [a, b] = await pair(memory())
  a.put('other', 1)
  await a.commit({ offsets: { theirs: 7 } })
  b.put('x', 1)
  const first = b.commit({ offsets: { mine: 1 } })
  const second = b.commit({ offsets: { mine: 2 } })
  expect(await outcomes(first, second)).toEqual(['CONFLICT', 'CONFLICT'])
  expect(b.offsets).toEqual({ theirs: 7 })
  await b.commit({ offsets: { mine: 1 } })
  expect(b.offsets).toEqual({ theirs: 7, mine: 1 })
  await a.refresh()
  expect(await a.get('x')).toBe(1)
})

test('offsets that were added up on those of a transaction that falls, fall with it', async () => {
  const storage = memory()
  const line = gate()
  const [a, b] = [
    await open(storage),
    await open(
      intercept(storage, async (call, run) => {
        await line.passed
        return run(call.signal)
      }),
    ),
  ]
  a.put('other', 1)
  await a.commit()
  line.shut()
  const looking = b.refresh()
  let isRun = false
  const body = (tx: Transaction<string, number>): void => {
    tx.put('t', 1)
    isRun = true
  }
  const fallen = b.transaction(body, { offsets: { one: 1 }, tries: 1 })
  await expect.poll(() => isRun, { interval: 1 }).toBe(true)
  // It is in the queue by now, behind the look.
  await sleep(systemClock, 1)
  b.put('x', 1)
  const after = b.commit({ offsets: { two: 2 } })
  line.open()
  expect(await outcomes(looking, fallen, after)).toEqual(['done', 'CONFLICT', 'CONFLICT'])
  expect(b.offsets).toEqual({})
  expect(await b.getMany(['t', 'x'])).toEqual([undefined, 1])
})

test('a transaction with offsets does not go on from commits that fell while it waited for its turn', async () => {
  const [a, b] = await pair(memory())
  await a.commit({ offsets: { theirs: 7 } })
  const end = gate()
  end.shut()
  const front = b.transaction(() => end.passed)
  b.put('x', 1)
  const first = b.commit({ offsets: { mine: 1 } })
  const second = b.transaction((tx) => tx.put('y', 1), { offsets: { mine: 2 } })
  expect(await outcomes(first)).toEqual(['CONFLICT'])
  end.open()
  expect(await outcomes(front, second)).toEqual(['done', 'CONFLICT'])
  await a.refresh()
  expect(await a.getMany(['x', 'y'])).toEqual([undefined, undefined])
  expect(a.offsets).toEqual({ theirs: 7 })
})

test('a commit with offsets behind a refresh that finds those of others keeps theirs', async () => {
  const [a, b] = await pair(memory())
  await a.commit({ offsets: { theirs: 7 } })
  const looking = b.refresh()
  b.put('x', 1)
  const committing = b.commit({ offsets: { mine: 1 } })
  expect(await outcomes(looking, committing)).toEqual(['done', 'CONFLICT'])
  expect(b.offsets).toEqual({ theirs: 7 })
  await b.commit({ offsets: { mine: 1 } })
  await a.refresh()
  expect(a.offsets).toEqual({ theirs: 7, mine: 1 })
})

test('a commit that adds offsets after refresh() keeps those of others', async () => {
  const [a, b] = await pair(memory())
  await a.commit({ offsets: { theirs: 7 } })
  await b.refresh()
  await b.commit({ offsets: { mine: 1 } })
  expect(b.offsets).toEqual({ theirs: 7, mine: 1 })
})

test('a transaction that adds offsets after a blind commit that lost its number keeps those of others', async () => {
  const [a, b] = await pair(memory())
  await a.commit({ offsets: { theirs: 7 } })
  b.put('blind', 1)
  await b.commit()
  await b.transaction((tx) => tx.put('x', 1), { offsets: { mine: 1 } })
  expect(b.offsets).toEqual({ theirs: 7, mine: 1 })
})

test('offsets that were read again after others changed them may be gone on from', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage, { followMs: 1 })]
  await a.commit({ offsets: { clicks: 5 } })
  await expect.poll(() => b.version, { interval: 1 }).toBe(a.version)
  expect(b.offsets).toEqual({ clicks: 5 })
  await b.commit({ offsets: { clicks: 6 } })
  await a.refresh()
  expect(a.offsets).toEqual({ clicks: 6 })
})

test('offsets that were not read again after others changed them are CONFLICT', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage, { followMs: 1 })]
  expect(b.offsets).toEqual({})
  await a.commit({ offsets: { clicks: 5 } })
  await expect.poll(() => b.version, { interval: 1 }).toBe(a.version)
  await expect(b.commit({ offsets: { clicks: 6 } })).rejects.toThrow(code('CONFLICT'))
  expect(b.offsets).toEqual({ clicks: 5 })
})
