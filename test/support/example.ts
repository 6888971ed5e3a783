/** The worked example of docs/format.md and the golden files: a small store under a clock that always says the same. */
import { openStore, type Clock, type Key, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { push } from 'tidemark/transfer'
import { atOnce } from '../../src/testing/at-once.js'
import { sleep, systemClock } from '../../src/clock.js'

/** Time stands at `now` and ids count up, so that the same calls write the same bytes. */
export function steadyClock(now = 1_700_000_000_000): Clock {
  return movedClock({ now }, 0)
}

/** The same, where a writer can move the time on. */
export function movedClock(time: { now: number }, monotonic?: number): Clock {
  let ids = 0
  return {
    ...systemClock,
    now: () => time.now,
    monotonic: () => monotonic ?? time.now,
    random: (length) => new Uint8Array(length).fill(++ids),
  }
}

export interface Example {
  readonly storage: Storage
  /** Name and bytes of each object, in the order of names. */
  readonly objects: ReadonlyMap<string, Uint8Array>
}

/** Two partitions, one fold, a delta by reference, values of several types, a range delete, an expiry, offsets, label, meta. */
export async function writeExample(): Promise<Example> {
  const storage = atOnce(memory())
  const store = await openStore({
    storage,
    name: 'example',
    partitions: 2,
    job: 'docs',
    clock: steadyClock(),
    checkpoint: { bytes: 200 },
  })
  store.put('a', 1)
  await store.commit()
  store.put('b', { at: new Date(0) })
  store.delete('a')
  await store.commit({ offsets: { clicks: 7, views: { 0: 'x', 3: 9n } }, label: 'second', meta: { by: 'docs' } })
  await store.checkpoint()
  store.table('t').put(['k', 1], new Uint8Array([1, 2]))
  store.table('t').deleteRange({ lt: ['k'] })
  store.put('soon gone', true, { ttlMs: 60_000 })
  await store.commit()
  // Large enough to go by reference.
  for (let i = 0; i < 30; i++) store.put(i, `value ${i}`)
  await store.commit()
  await store.close()
  await sleep(systemClock, 5)
  return { storage, objects: await dump(storage, ['example']) }
}

/** Keys of every kind, alone and in arrays, in order; one half of them in a segment. */
const primitives: readonly Key[] = [null, false, true, -Infinity, -1.5, 0, 7, Infinity]
const bigints: readonly Key[] = [-(1n << 1000n), -1n, 0n, 1n << 64n, 1n << 1000n]
const others: readonly Key[] = [
  new Date(-1),
  new Date(1_700_000_000_000),
  '',
  'a',
  'é',
  new Uint8Array(0),
  Uint8Array.of(0, 255),
]
const arrays: readonly Key[] = [
  [],
  [null],
  [false, -1],
  [true, new Date(0)],
  ['a\0b', Uint8Array.of(0)],
  ['b', [1, [2n]]],
]
export const everyKey: readonly Key[] = [...primitives, ...bigints, ...others, ...arrays]

export async function writeKeys(): Promise<Example> {
  const storage = atOnce(memory())
  const store = await openStore({ storage, name: 'keys', partitions: 2, clock: steadyClock() })
  for (const [i, key] of everyKey.entries()) if (i % 2 === 0) store.put(key, i)
  await store.commit()
  await store.checkpoint()
  for (const [i, key] of everyKey.entries()) if (i % 2 === 1) store.put(key, i)
  await store.commit()
  await store.close()
  return { storage, objects: await dump(storage, ['keys']) }
}

/** A storage in memory that counts as one at the other end of a network. */
function faraway(): Storage {
  const { capabilities, ...rest } = memory()
  return { ...rest, capabilities: { ...capabilities, isRemote: true } }
}

/** Commits that go over a network: a commit that is compressed, one that is too small for that, and a tag of both. */
export async function writeRemote(given = faraway()): Promise<Example> {
  const storage = atOnce(given)
  const store = await openStore({ storage, name: 'remote', mode: 'exclusive', clock: steadyClock() })
  for (let i = 0; i < 100; i++) store.put(i, `value ${i}`)
  await store.commit()
  store.put('small', true)
  await store.commit()
  await store.tag('both')
  await store.close()
  return { storage, objects: await dump(storage, ['remote']) }
}

/**
 * A store with all that versions leave behind: writers in shared mode, a tag, a fork, a restore of everything and one of a partition, a
 * collection that has condemned and one that has deleted, and a copy that was pushed twice.
 */
export async function writePast(): Promise<Example> {
  const storage = atOnce(memory())
  const time = { now: 1_700_000_000_000 }
  const clock = movedClock(time)
  const settings = { storage, clock, retain: { versions: 3 }, graceMs: 1_000, deflateLevel: 0 } as const
  const store = await openStore<string, unknown>({ ...settings, name: 'past', partitions: 2, mode: 'shared' })
  const other = await openStore<string, unknown>({ ...settings, name: 'past', mode: 'shared' })
  const at: number[] = []
  for (let i = 1; i <= 20; i++) {
    const writer = i % 2 === 0 ? other : store
    await writer.refresh()
    for (const partition of [0, 1]) writer.partition(partition).put(`k${i}`, i)
    at.push((await writer.commit({ offsets: { clicks: { 0: i, 1: i } } })).version)
    if (i === 12) await writer.tag('second')
    if (i % 3 === 0) await writer.checkpoint()
    time.now += 100
  }
  await store.refresh()
  await store.fork('past-fork', { at: 'second' })
  await store.restore(at[17]!, { label: 'back' })
  await store.restore('second', { partitions: [1] })
  await store.maintain({ minDeletes: 1 })
  time.now += 2_000
  await store.maintain({ minDeletes: 1 })
  store.put('last', true)
  await store.commit()
  await store.close()
  await other.close()
  const fork = await openStore<string, unknown>({ ...settings, name: 'past-fork' })
  const places = [
    { storage, name: 'past-fork' },
    { storage, name: 'past-copy' },
  ] as const
  await push(...places, { clock })
  fork.put('forked', 1n)
  await fork.commit()
  await push(...places, { clock, tag: 'copied' })
  await fork.close()
  await sleep(systemClock, 5)
  return { storage, objects: await dump(storage, ['past', 'past-copy', 'past-fork']) }
}

/** Every object of the stores. */
export async function dump(storage: Storage, stores: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const objects = new Map<string, Uint8Array>()
  for (const store of stores) await dumpInto(objects, storage, store)
  return new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1)))
}

async function dumpInto(objects: Map<string, Uint8Array>, storage: Storage, store: string): Promise<void> {
  const { paths } = await storage.logs(`${store}/`)
  for (const path of paths) {
    const log = storage.log(path)
    for (const n of (await log.list(1)).numbers)
      objects.set(`${path}/log/${String(n).padStart(16, '0')}`, (await log.read(n)).bytes!)
  }
  const probes = paths.flatMap((path) => /^.*\/probe-[0-9a-f]+\//.exec(path) ?? [])
  const shards = paths.flatMap((path) => /^[^/]+\/(?:group|[0-9a-f]{32})\//.exec(path) ?? [])
  for (const folder of [`${store}/0/`, ...probes, ...shards]) {
    const { bytes } = await storage.anchor(`${folder}anchor`).read()
    if (bytes) objects.set(`${folder}anchor`, bytes)
  }
  for (const { name } of (await storage.blobs.list(`${store}/`)).items)
    objects.set(name, (await storage.blobs.get(name)).bytes!)
}

/** Hex in lines of sixteen bytes, as in docs/format.md. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let i = 0; i < bytes.length; i += 16)
    lines.push(Array.from(bytes.subarray(i, i + 16), (b) => b.toString(16).padStart(2, '0')).join(' '))
  return lines.join('\n')
}
