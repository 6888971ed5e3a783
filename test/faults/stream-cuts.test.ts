import { describe, expect, test } from 'vitest'
import { openStore, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Output } from 'tidemark/stream'
import { cuts, WAYS, worldOver, type Way } from 'tidemark/testing'
import { fileStorage } from '../../adapters/node-fs/storage.js'
import { probe } from '../../src/storage/probe.js'
import { thinned } from '../support/extent.js'
import { hastyClock, persist } from '../support/history.js'
import { ModelFs } from '../support/model-fs.js'

interface Reading {
  readonly sensor: string
  readonly value: number
}

const READINGS: Reading[] = Array.from({ length: 24 }, (_, i) => ({ sensor: `s${(i * 7) % 5}`, value: (i * 13) % 10 }))

const open = (storage: Storage): Promise<Store<string, number[]>> =>
  openStore({ storage, name: 'cut', partitions: 3, clock: hastyClock, checkpoint: { entries: 3, bytes: 500 } })

/** Each sensor's values so far, two tables of them, one key that comes and goes, and an output for every high value. */
function run(store: Store<string, number[]>, deliver: (output: Output<number>) => void): Promise<unknown> {
  const source = fromIterable('readings', READINGS, { key: 'sensor' })
  return consume<Reading, number, string, number[]>(
    store,
    source,
    async ({ key, value: { value } }, state, emit) => {
      const before = (await state.get(key as string)) ?? []
      state.put(key as string, [...before, value])
      if (value > 5) emit(before.length * 100 + value)
      const last = state.table<string, number>('last')
      if (value < 3) last.delete(key as string)
      else last.put(key as string, value)
    },
    { everyEvents: 4, everyMs: 3_600_000, sink: { deliver: (outputs) => outputs.forEach(deliver) } },
  )
}

/** The effect of the first `count` readings, worked out without a store. */
function effectOf(count: number): { state: Map<string, number[]>; last: Map<string, number>; outputs: number[] } {
  const state = new Map<string, number[]>()
  const last = new Map<string, number>()
  const outputs: number[] = []
  for (const { sensor, value } of READINGS.slice(0, count)) {
    const before = state.get(sensor) ?? []
    state.set(sensor, [...before, value])
    if (value > 5) outputs.push(before.length * 100 + value)
    if (value < 3) last.delete(sensor)
    else last.set(sensor, value)
  }
  return { state, last, outputs }
}

async function entriesOf<V>(table: { entries(): AsyncIterable<[string, V]> }): Promise<Map<string, V>> {
  const all = new Map<string, V>()
  for await (const [key, value] of table.entries()) all.set(key, value)
  return all
}

/** The state is the effect of what lies below the committed `next`, no more and no less; returns that position. */
async function check(store: Store<string, number[]>): Promise<number> {
  const next = ((store.offsets['readings'] as { 0?: number } | undefined)?.[0] ?? 0) as number
  const { state, last } = effectOf(next)
  expect(await entriesOf(store)).toEqual(state)
  expect(await entriesOf(store.table<string, number>('last'))).toEqual(last)
  return next
}

async function verify(storage: Storage, delivered: readonly Output<number>[]): Promise<void> {
  const before = await open(storage)
  const reached = await check(before)
  expect(reached % 4 === 0).toBe(true)
  const { outputs } = effectOf(READINGS.length)
  // Nothing was delivered that was not committed.
  expect(Math.max(0, ...delivered.map(({ id }) => Number(id)))).toBeLessThanOrEqual(effectOf(reached).outputs.length)
  const all = [...delivered]
  await run(before, (output) => all.push(output))
  expect(await check(before)).toBe(READINGS.length)
  await before.close()
  // Each output once or more, under one id, in order.
  const byId = new Map<string, number>()
  for (const { id, value } of all) {
    expect(byId.get(id) ?? value).toBe(value)
    byId.set(id, value)
  }
  expect([...byId]).toEqual(outputs.map((value, i) => [String(i + 1), value]))
  const after = await open(storage)
  await run(after, () => expect.unreachable())
  await after.close()
}

async function life(storage: Storage, delivered: Output<number>[]): Promise<void> {
  const store = await persist(() => open(storage))
  await run(store, (output) => delivered.push(output))
  await store.close()
}

describe('consume, cut at every storage call in four ways', () => {
  test('on memory() leaves exactly the effect of the events below the committed position, and goes on from there', async () => {
    const result = await cuts<Output<number>>({
      makeWorld: worldOver(() => memory()),
      only: thinned(WAYS, 3),
      scenario: life,
      verify,
    })
    console.log(`cut points of consume on memory(): ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(20)
    expect(result.missed).toBe(0)
  })

  test('on nodeFs() over a disk that loses what was not synced does so too', async () => {
    let seed = 1
    const ways: readonly Way[] = ['never-sent', 'reply-lost']
    const result = await cuts<Output<number>>({
      ways,
      only: thinned(ways, 5),
      makeWorld: async (decide) => {
        const disk = new ModelFs()
        const fs = disk.process({
          onStep: ({ path, index }) =>
            decide({ index, target: 'storage', method: 'put', path }) as 'never-sent' | undefined,
        })
        const storage = fileStorage(fs, '/disk', hastyClock)
        // The probe has cut tests of its own.
        await probe(memory(), 'cut/0', hastyClock, storage)
        return {
          storage,
          reopen: () => fileStorage(disk.crash({ seed: seed++ }).process(), '/disk', hastyClock),
        }
      },
      scenario: life,
      verify,
    })
    console.log(`cut points of consume on nodeFs(): ${result.points}, runs: ${result.runs}, missed: ${result.missed}`)
    expect(result.points).toBeGreaterThan(50)
  })
})
