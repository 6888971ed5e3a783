/** The rows behind a live range, from a source that counts how it is asked. */
import { onTestFinished, expect, test } from 'vitest'
import { openStore } from 'tidemark'
import { memory } from 'tidemark/memory'
import { Part } from '../../../src/part.js'
import { handleOf } from '../../../src/store/handles.js'
import { Live } from '../../../src/store/watching/live.js'
import { LiveRows, type LiveChange, type LiveRow } from '../../../src/store/watching/live-rows.js'
import { ManualClock } from '../../support/manual-clock.js'
import { settle } from '../../support/until.js'

interface Put {
  readonly value: number
  readonly expires?: number
}

/** A live range over rows of one byte, and the calls of its source. */
async function shown(limit: number, { reverse = false, fails = false } = {}) {
  const clock = new ManualClock()
  const store = await openStore({ storage: memory(), name: 's', clock, logger: false })
  onTestFinished(() => store.close())
  const handle = handleOf(store)
  const rows = new Map<number, LiveRow<number>>()
  let changes: LiveChange<number>[] = []
  const calls = { reads: 0, changes: 0, entries: 0 }
  const source = {
    read(_: unknown, most: number, now: number) {
      calls.reads++
      if (fails) return Promise.reject(new Error('mine'))
      const all = [...rows.values()].filter(({ expires }) => expires === 0 || expires > now)
      return Promise.resolve(all.sort((a, b) => (a.key[0]! - b.key[0]!) * (reverse ? -1 : 1)).slice(0, most))
    },
    mayDiffer: () => true,
    changes() {
      calls.changes++
      return Promise.resolve(changes)
    },
  }
  const part = new Part(() => Promise.resolve(source))
  const make = (live: Live<number>) => part.lazy(() => new LiveRows(handle, source, { limit, reverse }, live))
  const put = async (given: Readonly<Record<number, Put | undefined>>): Promise<void> => {
    changes = Object.entries(given).map(([name, row]) => {
      const place = { key: Uint8Array.of(Number(name)), partition: 0 }
      rows.delete(Number(name))
      if (row === undefined) return { ...place, bytes: undefined }
      const { value, expires = 0 } = row
      const entry = (): number => {
        calls.entries++
        return value
      }
      const made = { ...place, bytes: Uint8Array.of(value), expires, entry }
      rows.set(Number(name), made)
      return made
    })
    await store.commit()
    await settle()
  }
  await put(Object.fromEntries([10, 20, 30, 40, 50].map((key) => [key, { value: key }])))
  const live = new Live<number>(handle.observers, make)
  await settle()
  return { live, put, calls, clock, store }
}

test('with a limit the rows are read anew only when too few of them are left', async () => {
  const { live, put, calls } = await shown(3)
  expect(live.current).toEqual([10, 20, 30])
  await put({ 5: { value: 5 } })
  await put({ 45: { value: 45 }, 15: { value: 15 }, 5: undefined })
  expect([live.current, calls.reads]).toEqual([[10, 15, 20], 1])
  await put({ 15: undefined, 40: { value: 41 } })
  expect([live.current, calls.reads]).toEqual([[10, 20, 30], 2])
  expect(calls.entries).toBe(3 + 1 + 1 + 1)
  // Behind the last row nobody knows what there is, and it does not matter.
  await put({ 35: { value: 35 }, 50: undefined })
  expect([live.current, calls.reads]).toEqual([[10, 20, 30], 2])
  await put({ 30: undefined })
  expect([live.current, calls.reads]).toEqual([[10, 20, 35], 3])
  // That there are fewer than the limit is known from then on.
  await put({ 10: undefined, 20: undefined, 35: undefined, 40: undefined })
  expect([live.current, calls.reads]).toEqual([[45], 4])
  await put({ 45: undefined })
  await put({ 99: { value: 99 } })
  expect([live.current, calls.reads]).toEqual([[99], 4])
})

test('reverse, the last rows are the first', async () => {
  const { live, put, calls } = await shown(2, { reverse: true })
  expect(live.current).toEqual([50, 40])
  await put({ 45: { value: 45 }, 60: { value: 60 }, 1: { value: 1 } })
  expect([live.current, calls.reads]).toEqual([[60, 50], 1])
  await put({ 60: undefined })
  expect([live.current, calls.reads]).toEqual([[50, 45], 2])
})

test('many changes at once are one call of each listener, in any order', async () => {
  const { live, put } = await shown(Infinity)
  let calls = 0
  live.subscribe(() => void calls++)
  await put({ 30: undefined, 20: { value: 21 }, 25: { value: 25 }, 5: { value: 5 }, 60: { value: 60 } })
  expect([live.current, calls]).toEqual([[5, 10, 21, 25, 40, 50, 60], 1])
  await put({ 20: { value: 21 } })
  await put({})
  expect(calls).toBe(1)
})

test('what expires is dropped without a question, and read anew only where the limit asks for it', async () => {
  const { live, put, calls, clock } = await shown(5)
  await put({ 20: { value: 20, expires: clock.now() + 100 }, 30: { value: 30, expires: clock.now() + 200 } })
  const { entries } = calls
  expect(entries).toBe(5)
  clock.pass(100)
  await settle()
  expect([live.current, calls.changes]).toEqual([[10, 30, 40, 50], 1])
  clock.pass(100)
  await settle()
  expect([live.current, calls.changes, calls.entries]).toEqual([[10, 40, 50], 1, entries])
})

test('a source that fails is asked again, each time later', async () => {
  const { live, calls, clock } = await shown(5, { fails: true })
  await expect(live.ready).rejects.toThrow('mine')
  for (const [ms, reads] of [
    [499, 1],
    [1, 2],
    [999, 2],
    [1, 3],
  ] as const) {
    clock.pass(ms)
    await settle()
    expect(calls.reads).toBe(reads)
  }
})
