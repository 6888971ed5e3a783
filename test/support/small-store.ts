/**
 * A small store that has every kind of object: a history known beforehand, so that whatever is found after damage can be
 * held against it. All objects together are below 16 KiB.
 */
import { isTidemarkError, openStore, systemClock, type Clock, type Key, type OpenOptions } from 'tidemark'
import type { Storage, Store } from 'tidemark'
import { collect } from './storages.js'
import { steadyClock } from './example.js'

const NAME = 'small'
const TABLES = ['', 'other', '__proto__'] as const

const SMALL = {
  name: NAME,
  partitions: 2,
  // Nothing is folded unless it is asked for; a commit above so many bytes goes by reference.
  checkpoint: { entries: 64, bytes: 700 },
  segmentBytes: 260,
  blockBytes: 90,
}

/** Time stands still, and short waits are over at once: thousands of damaged stores are opened. */
export const briefClock: Clock = {
  ...systemClock,
  now: () => 1_700_000_000_000,
  timer: (ms, run, options) => systemClock.timer(ms < 5_000 ? 0 : ms, run, options),
}

function openSmall(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  return openStore({ storage, clock: briefClock, ...SMALL, ...options })
}

/** All that a reader can see of a version: all tables through keys and entries, and the offsets. */
export interface Seen {
  readonly version: number
  readonly tables: string
  readonly offsets: string
}

export interface Small {
  /** All that was to be seen after each commit, by its version. */
  readonly history: ReadonlyMap<number, Seen>
  readonly versions: readonly string[]
}

/** Fills a new store: three folds, and a tail of which one entry has its changes by reference. */
export async function fillSmall(storage: Storage): Promise<Small> {
  const store = await openSmall(storage, { clock: steadyClock() })
  const history = new Map<number, Seen>()
  const commit = async (options: Parameters<Store['commit']>[0] = {}): Promise<void> => {
    await store.commit(options)
    history.set(store.version, await see(store))
  }
  history.set(0, await see(store))
  for (let i = 0; i < 8; i++) store.put(`key ${i}`, { i, text: 'abc'.repeat(i) })
  store.table('other').put(['k', 1], 1n)
  store.table('__proto__').put('__proto__', { ['__proto__']: 1 })
  await commit({ label: 'first', meta: { by: 'test', __proto__x: 1 }, offsets: { clicks: 7, __proto__x: { 0: 'a' } } })
  await store.checkpoint()
  store.put('expiring', 'soon', { ttlMs: 1e12 })
  store.deleteRange({ gte: 'key 2', lt: 'key 5' })
  store.delete('key 0')
  for (let i = 0; i < 6; i++) store.table('other').put(['k', i], new Uint8Array([i, i]))
  await commit({ offsets: { clicks: 9 }, label: '__proto__' })
  await store.checkpoint()
  for (let i = 6; i < 12; i++) store.put(`key ${i}`, `again ${i}`)
  await commit()
  await store.checkpoint()
  store.put('key 3', 'back')
  store.table('other').deleteRange({ gte: ['k', 2], lt: ['k', 4] })
  await commit({ label: 'tail', meta: [1], offsets: { ['__proto__']: 3 } })
  for (let i = 0; i < 12; i++) store.put(`many ${i}`, 'x'.repeat(60))
  store.deleteRange({ prefix: 'key 1' })
  await commit()
  store.put('last', new Date(0))
  store.put('expiring too', 1, { ttlMs: 1e12 })
  await commit({ offsets: { clicks: 12n } })
  const versions = await versionsOf(store)
  await store.close()
  return { history, versions }
}

async function versionsOf(store: Store): Promise<string[]> {
  return (await collect(store.versions())).map(show)
}

/** Reads all that there is, by keys and in order; throws when the two do not agree. */
async function see(store: Store): Promise<Seen> {
  const tables: Record<string, unknown>[] = []
  for (const name of TABLES) {
    const table = name === '' ? store : store.table<Key, unknown>(name)
    const entries = await collect(table.entries())
    const backwards = await collect(table.entries({ reverse: true }))
    if (show(backwards.reverse()) !== show(entries)) throw new Error('Backwards it is not the same.')
    for (const [key, value] of entries) {
      if (show(await table.get(key)) !== show(value)) throw new Error(`Key ${show(key)} is not the same twice.`)
    }
    for (const key of ['key 0', 'key 2', 'absent']) {
      const listed = entries.some(([k]) => k === key)
      if ((await table.has(key)) !== listed) throw new Error(`Key ${key} is there and is not.`)
    }
    tables.push({ name, entries })
  }
  return { version: store.version, tables: show(tables), offsets: show(store.offsets) }
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === 'bigint') return `${v}n`
    return v instanceof Uint8Array ? [...v] : v
  })
}

/** `earlier`: the version before the newest; `much earlier`: one before that. */
export type Outcome = 'right' | 'earlier' | 'much earlier' | 'CORRUPT' | 'UNSUPPORTED_FORMAT'

/**
 * Opens a store that was damaged and reads everything in it. Returns how that ended; throws when it was wrong: other data,
 * another error, an error of another kind.
 */
export async function readDamaged(storage: Storage, small: Small, mode: 'exclusive' | 'follower'): Promise<Outcome> {
  let store: Store
  try {
    store = await openSmall(storage, { mode, create: false })
  } catch (error) {
    return codeOf(error)
  }
  try {
    const seen = await see(store)
    const wanted = small.history.get(seen.version)
    if (wanted === undefined || show(wanted) !== show(seen)) throw new Error(`Wrong data: ${show(seen)}`)
    const versions = await versionsOf(store)
    if (show(versions) !== show(small.versions.slice(0, versions.length)))
      throw new Error(`Wrong versions: ${versions.join()}`)
    const [previous, newest] = [...small.history.keys()].slice(-2) as [number, number]
    if (seen.version === newest) {
      if (versions.length !== small.versions.length) throw new Error(`Versions are missing: ${versions.join()}`)
      return 'right'
    }
    await expectRolledBack(storage, newest)
    return seen.version === previous ? 'earlier' : 'much earlier'
  } catch (error) {
    return codeOf(error)
  } finally {
    await store.close()
  }
}

async function expectRolledBack(storage: Storage, newest: number): Promise<void> {
  try {
    const store = await openSmall(storage, { mode: 'follower', expectAtLeast: newest })
    await store.close()
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'ROLLED_BACK') return
    throw error
  }
  throw new Error('An earlier version was opened although a later one was expected.')
}

function codeOf(error: unknown): Outcome {
  if (isTidemarkError(error) && (error.code === 'CORRUPT' || error.code === 'UNSUPPORTED_FORMAT')) return error.code
  throw error
}
