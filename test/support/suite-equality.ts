/**
 * The same life under the same clock leaves the same bytes wherever it is lived. Nothing is compressed in it: each platform may
 * have a deflate of its own, and entries name segments by the hash of what came of that.
 */
import { expect } from 'vitest'
import { openStore, type Answer, type OpenOptions, type Storage, type Store } from 'tidemark'
import { indexOf } from '../../src/segment/pieces.js'
import { intercept } from '../../src/storage/intercept.js'
import { Random } from '../../src/testing/random.js'
import { contentHash } from './crafted.js'
import { steadyClock } from './example.js'
import { bytesOf, live } from './ruin.js'
import type { SuiteOptions } from './suite-options.js'

const NOW = 1_700_000_000_000
const NAME = 'same'

/**
 * The hash of all that `leftBy` tells of the life below, the same in Node, in browsers and in workerd. When the format or the order
 * of what is written changes on purpose, this changes: the failing test prints the new one.
 */
const DIGEST = '540dc53f97a6f3252c7495505533400e'

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Storages have clocks of their own, which would be in the entries. */
function atNoTime(storage: Storage): Storage {
  return intercept(storage, async (call, run) => {
    const answer = await run(call.signal)
    const { time } = (answer ?? {}) as Answer
    return time === undefined ? answer : { ...answer, time: NOW }
  })
}

/** Everything follows from the seed: keys and values of all types, tables, ranges, expiries, folds, merges, reopenings. */
async function livedThrough(storage: Storage, seed: number): Promise<Store> {
  const random = new Random(seed)
  const clock = steadyClock(NOW)
  const options: OpenOptions = {
    storage,
    name: NAME,
    partitions: 3,
    clock,
    // Nothing is folded but where it is asked for: what goes on beside commits takes another time everywhere.
    checkpoint: { entries: 1_000, bytes: 4_000 },
    segmentBytes: 900,
    blockBytes: 200,
    deflateLevel: 0,
  }
  const open = (): Promise<Store> => openStore(options)
  let store = await open()
  for (let i = 1; i <= 24; i++) {
    for (let j = 0; j < 6; j++) {
      const n = random.below(30)
      store.put(`key ${n}`, { i, text: 'täxt '.repeat(random.below(8)), at: new Date(n) })
      store.put([n % 4, BigInt(n)], new Uint8Array([i, j]))
    }
    store.table('other').put(i % 5, -i / 3)
    if (i % 4 === 0) store.delete(`key ${random.below(30)}`)
    if (i % 9 === 0) store.deleteRange({ gte: 'key 1', lt: 'key 15' })
    if (i % 6 === 1) store.put('passing', i, { ttlMs: 60_000 })
    if (i % 10 === 5) store.put('large', 'x'.repeat(5_000))
    await store.commit({ offsets: { seed: { 0: i } }, label: `commit ${i}` })
    // Fewer folds than are merged beside commits, which happens sooner or later everywhere.
    if (i % 6 === 0) await store.checkpoint()
    if (i % 8 === 0) {
      await store.close()
      store = await open()
    }
  }
  await store.maintain()
  return store
}

/** A line for each entry, and one for each block of each segment that the newest version reads. */
async function leftBy(storage: Storage, store: Store): Promise<string[]> {
  const lines: string[] = []
  const { paths } = await storage.logs(`${NAME}/`)
  for (const path of paths.filter((name) => !name.includes('/probe-'))) {
    const log = storage.log(path)
    for (const n of (await log.list(1)).numbers)
      lines.push(`${path} ${n}: ${hex(contentHash((await log.read(n)).bytes!))}`)
    await log.close()
  }
  const segments = live(store).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const segment of segments) {
    const bytes = await bytesOf(storage, segment.name)
    const at = segment.length - 4 - segment.filterLength - segment.indexLength
    const { blocks } = await indexOf(segment, bytes.subarray(at, at + segment.indexLength), at)
    for (const { offset, length } of blocks) {
      lines.push(`${segment.name} ${offset}: ${hex(contentHash(bytes.subarray(offset, offset + length)))}`)
    }
  }
  return lines
}

export function equalitySuite({ test, make }: SuiteOptions): void {
  test('the same life leaves the same bytes everywhere', async () => {
    const storage = atNoTime(make())
    const store = await livedThrough(storage, 2026)
    const lines = await leftBy(storage, store)
    await store.close()
    expect(lines.filter((line) => line.includes('/seg/')).length).toBeGreaterThan(5)
    const digest = hex(contentHash(new TextEncoder().encode(lines.join('\n'))))
    expect(digest, lines.join('\n')).toBe(DIGEST)
  })
}
