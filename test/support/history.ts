/**
 * A program whose history is known beforehand, for cutting it: commit i puts and deletes keys that follow from i and commits
 * offset i, so that whatever is found later can be held against the state that it must be.
 */
import { expect } from 'vitest'
import {
  isTidemarkError,
  openStore,
  systemClock,
  type Clock,
  type OpenOptions,
  type Storage,
  type Store,
} from 'tidemark'

/** Folds, merges, several segments and blocks within a few commits. */
const SMALL = { partitions: 2, checkpoint: { entries: 4, bytes: 2_000 }, segmentBytes: 400, blockBytes: 100 }

/**
 * Waits a twentieth of what it is asked to, so that repetitions and deadlines come soon; and durations pass twenty times as
 * slowly, so that a busy machine does not make a fold pause, which would change the order of calls from run to run.
 */
export const hastyClock: Clock = {
  ...systemClock,
  monotonic: () => systemClock.monotonic() / 20,
  timer: (ms, run, options) => systemClock.timer(ms / 20, run, options),
}

/** For adapters, which only wait: all of it is over twenty times as soon. */
export const hurriedClock: Clock = { ...hastyClock, monotonic: () => systemClock.monotonic() * 20 }

export interface Acknowledged {
  readonly commit: number
  readonly version: number
}

function applyCommit(store: Store, i: number): void {
  store.put(`step ${i % 5}`, i)
  store.put(i % 7, { i, text: 'x'.repeat(20 + (i % 3) * 30) })
  store.table('other').put(['k', i], i)
  // Every seventh commit is a large one: its changes go by reference.
  if (i % 7 === 5) store.put('large', `${i} `.repeat(1_000))
  if (i % 3 === 0) store.delete((i + 3) % 7)
  if (i % 4 === 0) store.table('other').deleteRange({ lt: ['k', i - 5] })
}

/** The contents of the store after commit `i`. */
export function stateAfter(i: number): Map<string, unknown> {
  const state = new Map<string, unknown>()
  for (let j = 1; j <= i; j++) {
    state.set(`step ${j % 5}`, j)
    state.set(`n${j % 7}`, { i: j, text: 'x'.repeat(20 + (j % 3) * 30) })
    state.set(`other ${j}`, j)
    if (j % 7 === 5) state.set('large', `${j} `.repeat(1_000))
    if (j % 3 === 0) state.delete(`n${(j + 3) % 7}`)
    if (j % 4 === 0) for (let k = 0; k < j - 5; k++) state.delete(`other ${k}`)
  }
  return state
}

export async function contents(store: Store): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for await (const [key, value] of store.entries()) found.set(typeof key === 'number' ? `n${key}` : String(key), value)
  for await (const [key, value] of store.table('other').entries())
    found.set(`other ${(key as [string, number])[1]}`, value)
  return found
}

export function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  return openStore({ storage, name: 'history', clock: hastyClock, ...SMALL, ...options })
}

/** The number of the commit up to which the store has come. */
export function reached(store: Store): number {
  return (store.offsets['i'] as number | undefined) ?? 0
}

/**
 * Brings the store to commit `last`, as a program does that gets on with its work whatever happens: it reopens after an
 * unknown outcome and looks, and repeats what surely did not happen.
 */
export async function advance(store: Store, last: number, acknowledged: Acknowledged[]): Promise<void> {
  let failures = 0
  for (let i = reached(store) + 1; i <= last; i = reached(store) + 1) {
    try {
      store.discard()
      applyCommit(store, i)
      const { version } = await store.commit({ offsets: { i }, label: `commit ${i}` })
      acknowledged.push({ commit: i, version })
    } catch (error) {
      if (!isTidemarkError(error) || failures++ > 5) throw error
      if (error.code === 'UNKNOWN_OUTCOME' || error.code === 'FENCED') await persist(() => store.reopen())
    }
  }
}

/** Repeats what fails with a typed error a few times: one fault must not keep a program from getting on. */
export async function persist<T>(run: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await run()
    } catch (error) {
      if (!isTidemarkError(error) || failures > 5) throw error
    }
  }
}

/** Invariants 1 to 3 and 8: what was acknowledged is there, what is there is one version whole, and work goes on. */
export async function verifyHistory(
  storage: Storage,
  acknowledged: readonly Acknowledged[],
  last: number,
): Promise<void> {
  const store = await open(storage)
  const i = reached(store)
  expect(i).toBeGreaterThanOrEqual(acknowledged.at(-1)?.commit ?? 0)
  expect(i).toBeLessThanOrEqual(last)
  expect(await contents(store)).toEqual(stateAfter(i))
  const versions = new Map<number, string | undefined>()
  for await (const { version, label } of store.versions()) versions.set(version, label)
  expect([...versions.values()]).toEqual(Array.from({ length: i }, (_, k) => `commit ${k + 1}`))
  for (const { commit, version } of acknowledged) expect(versions.get(version)).toBe(`commit ${commit}`)
  const more: Acknowledged[] = []
  await advance(store, i + 6, more)
  expect(more.length).toBe(6)
  await store.checkpoint()
  await store.close()
  const again = await open(storage, { mode: 'follower' })
  expect(reached(again)).toBe(i + 6)
  expect(await contents(again)).toEqual(stateAfter(i + 6))
  await again.close()
}
