/** Stores with a history of folds and merges, and what can happen to the segments of them. */
import { openStore, type Key, type OpenOptions, type Storage, type Store } from 'tidemark'
import type { SegmentRef } from '../../src/manifest/manifest.js'
import { segmentsOf } from '../../src/engine/state.js'
import { handleOf } from '../../src/store/handles.js'
import { collect } from './collect.js'

const OPTIONS = {
  name: 's',
  partitions: 2,
  checkpoint: { entries: 64, bytes: 4000 },
  segmentBytes: 700,
  blockBytes: 150,
}

export function openRuin(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  return openStore({ storage, ...OPTIONS, ...options })
}

export type Content = Record<string, unknown>

export async function contentOf(store: Pick<Store, 'entries' | 'get' | 'table'>): Promise<Content> {
  const content: Content = {}
  for (const [key, value] of await collect(store.entries())) content[String(key)] = value
  for (const [key, value] of await collect(store.table('other').entries())) content[`other ${String(key)}`] = value
  return content
}

/** By keys, which reads filters and single blocks. */
export async function contentByKeys(store: Store, keys: readonly string[]): Promise<Content> {
  const found = await Promise.all(keys.map((key) => readKey(store, key)))
  return Object.fromEntries(keys.flatMap((key, i) => (found[i] === undefined ? [] : [[key, found[i]]])))
}

export function readKey(store: Pick<Store, 'get' | 'table'>, key: string): Promise<unknown> {
  return key.startsWith('other ') ? store.table<Key, unknown>('other').get(key.slice(6)) : store.get(key)
}

/** A dozen changes, some of them deletes, and a commit. */
export async function step(store: Store, i: number): Promise<void> {
  for (let j = 0; j < 8; j++) store.put(`k${(i * 5 + j * 3) % 40}`, `value ${i} ${j} `.repeat(3))
  store.delete(`k${i % 40}`)
  if (i % 4 === 1) store.deleteRange({ gte: `k2`, lt: `k25` })
  store.table('other').put(`o${i % 7}`, i)
  await store.commit({ label: `step ${i}` })
}

/** Steps `first` to `last` with a fold after each `every`th. */
export async function steps(store: Store, first: number, last: number, every: number): Promise<void> {
  for (let i = first; i <= last; i++) {
    await step(store, i)
    if (i % every === 0) await store.checkpoint()
  }
}

/** The segments that the present state of the store reads. */
export function live(store: Store): SegmentRef[] {
  return [...new Map(segmentsOf(handleOf(store).state).map((ref) => [ref.name, ref])).values()]
}

/** Each way in which a segment can be damaged; `undefined`: it is gone. */
export function blows(ref: SegmentRef, bytes: Uint8Array): [what: string, bytes: Uint8Array | undefined][] {
  const flipped = (at: number): Uint8Array => {
    const copy = bytes.slice()
    copy[at]! ^= 0x21
    return copy
  }
  const filterAt = ref.length - 4 - ref.filterLength
  const indexAt = filterAt - ref.indexLength
  return [
    ['the header', flipped(2)],
    ['the first block', flipped(18)],
    ['the last block', flipped(indexAt - 3)],
    ['the index', flipped(indexAt + 1)],
    ['the filter', flipped(filterAt)],
    ['the checksum', flipped(ref.length - 1)],
    ['cut in a block', bytes.slice(0, indexAt - 2)],
    ['cut at the end', bytes.slice(0, -1)],
    ['cut to nothing', bytes.slice(0, 0)],
    ['gone', undefined],
  ]
}

export async function strike(storage: Storage, name: string, bytes: Uint8Array | undefined): Promise<void> {
  await storage.blobs.delete([name])
  if (bytes) await storage.blobs.put(name, bytes)
}

export async function bytesOf(storage: Storage, name: string): Promise<Uint8Array> {
  return (await storage.blobs.get(name)).bytes!
}

/** Maintains the store after a grace period of a millisecond is over. */
export async function maintainLater(store: Store): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3))
  await store.maintain()
}

/** Flips a bit in each block of a segment. */
export async function ruin(storage: Storage, ref: SegmentRef): Promise<void> {
  const bytes = (await bytesOf(storage, ref.name)).slice()
  for (let at = 16; at < bytes.length; at += 40) bytes[at]! ^= 0x10
  await strike(storage, ref.name, bytes)
}
