/** Stores, clocks and entries for the tests of single rules (test/protocol). */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, type Clock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { expect } from 'vitest'
import { sleep } from '../../src/clock.js'
import type { Log } from '../../src/storage/contract.js'
import type { Call } from '../../src/storage/intercept.js'
import type { ModelProcess } from './model-fs.js'
import type * as Sources from './sources.js'

export const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
export const pause = (): Promise<void> => sleep(systemClock, 3)

export function open(
  { openStore }: Pick<typeof Sources, 'openStore'>,
  storage: Storage,
  options: Partial<OpenOptions> = {},
): Promise<Store<string, number>> {
  return openStore<string, number>({ storage, name: 's', ...(options as object) })
}

export async function put(store: Store<string, number>, key: string, value: number): Promise<number> {
  store.put(key, value)
  return (await store.commit()).version
}

export async function reopened(
  sources: typeof Sources,
  store: Store<string, number>,
  storage: Storage,
): Promise<Store<string, number>> {
  await store.close()
  return open(sources, storage)
}

/** A clock that the test sets. */
export function clockOf(time: { ms: number }): Clock {
  return { ...systemClock, now: () => 1_700_000_000_000 + time.ms, monotonic: () => time.ms }
}

/** Waits until there is a pin, for a while. */
export async function pinned({ blobs }: Storage): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if ((await blobs.list('s/')).items.some(({ name }) => name.includes('/pins/'))) return
    await pause()
  }
}

/** Versions 1 to 6; entries 3 and 5 carry folds of all before them. */
export function indexedEntries(): Parameters<typeof Sources.retained>[0] {
  return [1, 2, 3, 4, 5, 6].map((n) => {
    const manifestAt = n < 3 ? 1 : n < 5 ? 3 : 5
    return { n, isVersion: true, carried: { time: n, manifestAt, covers: manifestAt - 1 } }
  }) as unknown as Parameters<typeof Sources.retained>[0]
}

export async function pair(
  sources: typeof Sources,
  storage = sources.memory(),
): Promise<[Store<string, number>, Store<string, number>]> {
  const a = await open(sources, storage, { mode: 'shared' })
  await put(a, 'a', 1)
  return [a, await open(sources, storage, { mode: 'shared' })]
}

/** A store of which entries are due for removal, and the calls since they were condemned. */
export async function due(
  sources: typeof Sources,
  options: Partial<OpenOptions>,
  around: (call: Call) => void,
): Promise<Store<string, number>> {
  const time = { ms: 0 }
  let isDue = false
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    if (isDue) around(call)
    return run(call.signal)
  })
  const clock = clockOf(time)
  const store = await open(sources, storage, { clock, graceMs: 1_000, retain: { versions: 1 }, ...options })
  for (let i = 0; i < 6; i++) {
    await put(store, 'a', i)
    await store.checkpoint()
  }
  isDue = true
  await store.maintain().catch(() => undefined)
  time.ms += 5_000
  return store
}

export const logFolder = (root: string): string => {
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('@log'))
  return join(root, found!)
}

/** A store in which version `past` reads `old` from a segment that nothing needs any more once it was `outlive`d. */
export async function ageing(
  sources: typeof Sources,
  options: Partial<OpenOptions> = {},
  storage = sources.memory(),
): Promise<{
  readonly time: { ms: number }
  readonly options: Partial<OpenOptions>
  readonly store: Store<string, number>
  readonly past: number
  /** Nothing is condemned by that yet. */
  readonly outlive: () => Promise<void>
}> {
  const time = { ms: 0 }
  const all = { clock: clockOf(time), graceMs: 1_000, retain: { versions: 1 }, ...options } as Partial<OpenOptions>
  const store = await open(sources, storage, all)
  await put(store, 'old', 1)
  await store.checkpoint()
  const past = await put(store, 'a', 1)
  const outlive = async (): Promise<void> => {
    await put(store, 'old', 2)
    // Merges all runs; then as many folds as are kept beside the newest one.
    await store.maintain()
    for (let i = 0; i < 3; i++) {
      await put(store, 'a', i)
      await store.checkpoint()
    }
  }
  return { time, options: all, store, past, outlive }
}

/** A log of files on a model of a file system. */
export function logOn(fileStorage: typeof Sources.fileStorage, fs: ModelProcess, durability?: 'relaxed'): Log {
  const tuning = { patienceMs: 0, preallocateBytes: 1024, largeBytes: 1 << 20, reserveBytes: 64, rotateBytes: 1 << 20 }
  return fileStorage(fs, '/disk', systemClock, tuning).log('s/0/id', { durability: durability ?? 'strict' })
}
