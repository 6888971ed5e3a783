/** The worked example of docs/format.md and the golden files: a small store under a clock that always says the same. */
import { openStore, type Clock, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { sleep, systemClock } from '../../src/clock.js'

/** Time stands at `now` and ids count up, so that the same calls write the same bytes. */
export function steadyClock(now = 1_700_000_000_000): Clock {
  let ids = 0
  return {
    ...systemClock,
    now: () => now,
    monotonic: () => 0,
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
  const storage = memory()
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
  return { storage, objects: await dump(storage) }
}

/** Every object of the store `example`. */
async function dump(storage: Storage): Promise<ReadonlyMap<string, Uint8Array>> {
  const objects = new Map<string, Uint8Array>()
  const { paths } = await storage.logs('example/')
  for (const path of paths) {
    const log = storage.log(path)
    for (const n of (await log.list(1)).numbers)
      objects.set(`${path}/log/${String(n).padStart(16, '0')}`, (await log.read(n)).bytes!)
  }
  const anchor = await storage.anchor('example/0/anchor').read()
  if (anchor.bytes) objects.set('example/0/anchor', anchor.bytes)
  for (const { name } of (await storage.blobs.list('example/')).items)
    objects.set(name, (await storage.blobs.get(name)).bytes!)
  return new Map([...objects].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Hex in lines of sixteen bytes, as in docs/format.md. */
export function hexDump(bytes: Uint8Array): string {
  const lines: string[] = []
  for (let i = 0; i < bytes.length; i += 16)
    lines.push(Array.from(bytes.subarray(i, i + 16), (b) => b.toString(16).padStart(2, '0')).join(' '))
  return lines.join('\n')
}
