/** What came of a store that was split and merged is collected by those who write its shards, and what they need stays. */
import { openStore, type Clock, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { describe, expect, test } from 'vitest'
import { evenCuts } from '../../../src/engine/shards/plan.js'
import { rescaleLogs } from '../../../src/engine/shards/rescale.js'
import { shardContext } from '../../../src/store/context.js'
import { resolveOptions } from '../../../src/store/open-options.js'
import { contents, keyIn, open, PARTITIONS } from '../../support/sharded.js'
import { clockOf } from '../../support/rule-stores.js'
import { temporaryFolder } from '../../support/storages.js'
import { byEntry } from '../../support/by-entry.js'

const GRACE = 1_000
const place = (storage: Storage) => ({ storage, name: 's' })
const PLACES: readonly (readonly [string, (clock: ReturnType<typeof clockOf>) => Storage])[] = [
  ['memory', (clock) => memory({ clock })],
  [
    'a bucket, whose entries are read one by one',
    (clock) => {
      const storage = memory({ clock })
      return { ...storage, log: (path) => byEntry(storage.log(path)) }
    },
  ],
  ['files', () => nodeFs(temporaryFolder())],
]

/** Splits or merges into so many shards. */
async function into(shards: number, storage: Storage, clock: Clock): Promise<void> {
  const nothing = (): void => undefined
  const events = { warn: nothing, moved: nothing, committed: nothing, emit: nothing }
  const ctx = shardContext(resolveOptions({ ...place(storage), clock, graceMs: GRACE }), storage, events)
  await rescaleLogs(ctx, (partitions) => evenCuts(shards, partitions))
}

/** Blobs and logs by the folder of their shard. */
async function foldersOf(storage: Storage): Promise<string[]> {
  const { items } = await storage.blobs.list('s/')
  const { paths } = await storage.logs('s/')
  return [...new Set([...items.map(({ name }) => name), ...paths].map((name) => name.split('/')[1]!))].sort()
}

async function writeAll(store: Store<string, number>, partitions: readonly number[], value: number): Promise<void> {
  for (const partition of partitions) {
    for (let i = 0; i < 5; i++) store.put(keyIn(partition, i), value)
  }
  await store.commit()
}

const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)

describe.each(PLACES)('on %s', (_, make) => {
  test('logs that were sealed go when nothing needs them any more, and are still led on from', async () => {
    const time = { ms: 0 }
    const clock = clockOf(time)
    const storage = make(clock)
    const options = { clock, graceMs: GRACE, retain: { versions: 1 } } as const
    const root = await open(storage, options)
    await writeAll(root, range(0, PARTITIONS - 1), 1)
    await root.checkpoint()
    await root.close()
    await into(4, storage, clock)
    await into(2, storage, clock)
    for (let round = 2; round < 7; round++) {
      for (const [first, last] of [
        [0, 3],
        [4, 7],
      ] as const) {
        const store = await open(storage, { shard: first, ...options })
        await writeAll(store, range(first, last), round)
        await store.maintain()
        await store.close()
      }
      time.ms += GRACE + 1
    }
    const folders = await foldersOf(storage)
    expect(folders.length).toBe(2)
    expect(folders).not.toContain('0')
    const follower = await open(storage, { mode: 'follower', clock })
    expect((await contents(follower)).map(([, value]) => value)).toEqual(Array.from({ length: 40 }, () => 6))
    await follower.close()
    const again = await openStore<string, number>({ ...place(storage), mode: 'exclusive', shard: 5, clock })
    expect(again.shards).toMatchObject([{ first: 4, last: 7 }])
    await again.close()
  })

  test('what a shard has of the one that was split stays for as long as it reads it', async () => {
    const time = { ms: 0 }
    const clock = clockOf(time)
    const storage = make(clock)
    const options = { clock, graceMs: GRACE, retain: { versions: 1 } } as const
    const root = await open(storage, options)
    await writeAll(root, range(0, PARTITIONS - 1), 1)
    await root.checkpoint()
    await root.close()
    await into(2, storage, clock)
    for (let round = 0; round < 4; round++) {
      const store = await open(storage, { shard: 0, ...options })
      const told = await store.maintain()
      expect(told.deleted.segments).toBe(0)
      await store.close()
      time.ms += GRACE + 1
    }
    const follower = await open(storage, { mode: 'follower', clock })
    expect((await contents(follower)).map(([, value]) => value)).toEqual(Array.from({ length: 40 }, () => 1))
    await follower.close()
  })
})
