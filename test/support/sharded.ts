/** Stores that are split and merged in tests: places for them, their shards as one writer, and what they hold. */
import { openStore, type CommitOptions, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { partitionOf } from '../../src/store/reads.js'
import { byEntry } from './by-entry.js'
import { collect, temporaryFolder } from './storages.js'

export const PLACES: readonly (readonly [string, () => Storage])[] = [
  ['memory', () => memory()],
  ['a bucket, whose entries are read one by one', () => bucket(memory())],
  ['files', () => nodeFs(temporaryFolder())],
]

export const PARTITIONS = 8

function bucket(storage: Storage): Storage {
  return { ...storage, log: (...of) => byEntry(storage.log(...of)) }
}

export type Numbers = Store<string, number>

export function open(storage: Storage, options: Partial<OpenOptions<number>> = {}): Promise<Numbers> {
  return openStore<string, number>({ storage, name: 's', mode: 'exclusive', partitions: PARTITIONS, ...options })
}

export function contents(store: Pick<Numbers, 'entries'>): Promise<[string, number][]> {
  return collect(store.entries())
}

/** A key of the partition. */
export function keyIn(partition: number, which = 0): string {
  for (let i = 0, left = which; ; i++) {
    const key = `k${i}`
    if (partitionOf(key, PARTITIONS) === partition && left-- === 0) return key
  }
}

/** Writes into the shard of a partition, which is opened for it. */
export async function write(
  storage: Storage,
  partition: number,
  change: (store: Numbers) => unknown,
  options: CommitOptions = {},
  more: Partial<OpenOptions<number>> = {},
): Promise<number> {
  const store = await open(storage, { shard: partition, ...more })
  try {
    await change(store)
    return (await store.commit(options)).version
  } finally {
    await store.close()
  }
}
