/** Golden sets of what the worked example lacks: every form of a value, every variant of a segment, what is left unfinished. */
import { openStore, type Codec, type Storage } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, type SourceEvent } from 'tidemark/stream'
import { faulty, type Point } from 'tidemark/testing'
import { destroyStore } from 'tidemark/tools'
import { exportZip, push } from 'tidemark/transfer'
import { sleep, systemClock } from '../../src/clock.js'
import { bareEntry } from '../../src/engine/open/handover.js'
import { encodeEntry } from '../../src/log/encode.js'
import { logIdOfPath } from '../../src/manifest/listed-names.js'
import { atOnce } from '../../src/testing/at-once.js'
import { dump, movedClock, steadyClock, type Example } from './example.js'

const primitives = [
  null,
  true,
  false,
  '',
  'text "\\\n',
  'é€𝄞',
  0,
  7,
  -1.5,
  1e21,
  0.1,
  12.34,
  -1234567.89,
  1e-7,
  5e-324,
  NaN,
  Infinity,
  -Infinity,
  -0,
  0n,
  -(1n << 70n),
]
const dates = [new Date(0), new Date(-1.7e12), new Date(NaN)]
const bytes = [
  new Uint8Array(0),
  Uint8Array.of(0, 123, 255),
  { within: Uint8Array.of(0, 255), none: new Uint8Array(0) },
]
const nested = [
  [],
  [1, [null, [-0, NaN]]],
  {},
  { a: 1, b: { c: [2n] }, '': new Date(1) },
  JSON.parse('{"__proto__":{"$map":1}}'),
]
const collections = [
  new Map<unknown, unknown>([
    [1n, new Map([['k', undefined]])],
    [undefined, new Set()],
    [{ o: 1 }, []],
  ]),
  new Set<unknown>([undefined, 'x', new Uint8Array(1), new Set([-0])]),
]
/** They only look like tags, and are quoted. */
const quoted = [{ $date: 1 }, { $object: { $object: 1 } }, { $other: 'x', b: 1 }, [{ $bytes: 'eA==' }]]

/** Values of every form, each as it comes back. */
export const everyValue: readonly unknown[] = [...primitives, ...dates, ...bytes, ...nested, ...collections, ...quoted]

/** A codec of the program's own: the text in capitals, and a mark behind it. */
export const ownCodec: Codec<string> = {
  id: 'capitals',
  encode: (value) => new TextEncoder().encode(`${value.toUpperCase()}!`),
  decode: (bytes) => new TextDecoder().decode(bytes).slice(0, -1),
}

/** Each value in a segment and once more in the tail; tables of another codec, and those of streams. */
export async function writeValues(): Promise<Example> {
  const storage = atOnce(memory())
  const store = await openStore({ storage, name: 'values', clock: steadyClock() })
  for (const at of ['segment', 'tail']) {
    for (const [i, value] of everyValue.entries()) store.put([at, i], value)
    store.table('own', { codec: ownCodec }).put(at, at)
    store.table('own', { codec: ownCodec }).put(`${at} expiring`, at, { ttlMs: 1e9 })
    await store.commit()
    if (at === 'segment') await store.checkpoint()
  }
  await consume(store, { name: 'source', read: events }, ({ value }, _state, emit) => emit(value), {
    sink: { deliver: () => Promise.reject(new Error('Nobody is there.')) },
  }).catch(() => undefined)
  await store.close()
  return { storage, objects: await dump(storage, ['values']) }
}

async function* events(): AsyncGenerator<SourceEvent> {
  yield await Promise.resolve({ offset: 0, value: 'one', fingerprint: () => 'f1' })
  yield { offset: 1, next: 7, value: 'two', fingerprint: () => 'f2' }
}

/** Bytes that cannot be compressed. */
function noise(length: number): Uint8Array {
  let x = 1
  return Uint8Array.from({ length }, () => (x = Math.imul(x, 48271) & 0x7fffffff) >>> 8)
}

/**
 * Segments of every variant: many blocks and many segments in a run; blocks deflated, stored because that is shorter, and stored
 * because nothing is deflated; tombstones, expiries and range deletes; range deletes and no records; no filter; bounds that
 * are cut; segments of which only a partition counts.
 */
export async function writeSegments(): Promise<Example> {
  const storage = atOnce(memory())
  const settings = {
    storage,
    name: 'segments',
    job: 'rare',
    clock: steadyClock(),
    checkpoint: { entries: 64, bytes: 9_000 },
    segmentBytes: 1_500,
    blockBytes: 300,
  } as const
  const store = await openStore({ ...settings, partitions: 3, deflateLevel: 9 })
  for (let i = 0; i < 60; i++) store.put(`key ${i}`, `value ${i} `.repeat(3))
  store.put('A'.repeat(100), 'first')
  for (const partition of [0, 1, 2]) store.partition(partition).put('z'.repeat(100), 'last')
  await store.commit({ label: 'whole' })
  await store.checkpoint()
  store.put('noise', noise(400))
  for (let i = 0; i < 60; i += 7) store.delete(`key ${i}`)
  for (let i = 0; i < 5; i++) store.put(`expires ${i}`, i, { ttlMs: 1e9 + i })
  store.deleteRange({ gte: 'key 20', lt: 'key 30' })
  await store.commit()
  await store.checkpoint()
  for (const name of ['t', 'u']) store.table(name).deleteRange({ gte: 1 })
  await store.commit()
  await store.checkpoint()
  await store.restore(2, { partitions: [1] })
  await store.close()
  const plain = await openStore({ ...settings, deflateLevel: 0, bloomBits: 0 })
  plain.put('plain', 'aaaaaaaaaaaaaaaa'.repeat(10))
  await plain.commit()
  await plain.checkpoint()
  plain.put('tail', 1)
  plain.delete('plain')
  plain.deleteRange({ prefix: 'expires' })
  await plain.commit()
  await plain.close()
  await sleep(systemClock, 5)
  return { storage, objects: await dump(storage, ['segments']) }
}

/** A store in which the newest versions of some hours are kept thinned: with and without label and meta, a commit and a reset. */
export async function writeThinned(): Promise<Example> {
  const storage = atOnce(memory())
  const time = { now: 1_700_000_000_000 }
  const clock = movedClock(time)
  const settings = {
    storage,
    clock,
    graceMs: 1_000,
    deflateLevel: 0,
    retain: { versions: 1 },
    blockBytes: 200,
  } as const
  const store = await openStore<string, unknown>({ ...settings, name: 'thinned' })
  const commit = async (key: string, value: unknown, note = {}): Promise<number> => {
    store.put(key, value)
    return (await store.commit(note)).version
  }
  const hour = (): void => void (time.now += 3_600_000)
  await commit('a', 1, { label: 'first', meta: { n: [1] }, offsets: { clicks: 7 } })
  hour()
  const second = await commit('b', 'more than a block. '.repeat(20))
  hour()
  await commit('c', 1)
  await store.checkpoint()
  // With the fold in its own entry.
  await commit('c', 2)
  hour()
  await store.restore(second, { label: 'back' })
  hour()
  for (let i = 0; i < 4; i++) {
    await commit('d', i)
    await store.checkpoint()
    await store.maintain({ minDeletes: 1 })
    time.now += 2_000
  }
  await store.close()
  return { storage, objects: await dump(storage, ['thinned']) }
}

/**
 * All that crashes leave, and what is there for a while: a probe, a fork that was announced and never begun, whose log a collection has
 * closed, a copy that is yet to be made a store, a store that is being destroyed, a fence in the place of an entry in doubt, the
 * hold of a reading, a tag that ends.
 */
export async function writeUnfinished(): Promise<Example> {
  const storage = atOnce(memory())
  const time = { now: 1_700_000_000_000 }
  const clock = movedClock(time)
  const settings = { storage, clock, graceMs: 1_000, deflateLevel: 0 } as const
  const parent = await openStore({ ...settings, name: 'parent' })
  parent.put('a', 1)
  await parent.commit({ label: 'one' })
  await parent.checkpoint()
  await parent.tag('ends', { ttlMs: 1e9 })

  // The fork's hold is there; its log and the way back fail.
  const cut = openStore({
    ...settings,
    name: 'parent',
    force: true,
    storage: failing(storage, [/^never\/0\/[0-9a-f]{32}$/, /\/pins\//], ['claim', 'delete']),
  })
  const forking = await cut
  await forking.fork('never').catch(() => undefined)
  await forking.close()
  time.now += 2_000
  const again = await openStore({ ...settings, name: 'parent', retain: { versions: 1 } })
  for (let i = 0; i < 3; i++) {
    again.put('b', i)
    await again.commit()
    await again.checkpoint()
    await again.maintain({ minDeletes: 1 })
  }
  await again.close()
  await parent.close()

  const place = { storage, name: 'parent' }
  const noStore = failing(storage, [/^coming\/0\/[0-9a-f]{32}$/], ['claim'])
  await push(place, { storage: noStore, name: 'coming' }, { clock }).catch(() => undefined)

  for (const name of ['going', 'doubt']) {
    const store = await openStore({ ...settings, name })
    store.put('a', 1)
    await store.commit()
    await store.checkpoint()
    await store.close()
  }
  await destroyStore({ storage: failing(storage, [/^going/], ['destroy']), name: 'going' }).catch(() => undefined)
  await appendBareFence(storage)

  await openStore({
    ...settings,
    name: 'probed',
    storage: failing(storage, [/probe-/], ['put', 'delete', 'destroy', 'remove']),
  }).catch(() => undefined)

  const reading = exportZip(place, { clock })
  await reading.next()
  const objects = await dump(storage, ['coming', 'doubt', 'going', 'never', 'parent', 'probed'])
  await reading.return?.()
  return { storage, objects }
}

/** A fence that was written without knowing the entry before it. */
async function appendBareFence(storage: Storage): Promise<void> {
  const { paths } = await storage.logs('doubt/')
  const log = storage.log(paths[0]!)
  const { numbers } = await log.list(1)
  const n = numbers.at(-1)! + 1
  const own = { logId: logIdOfPath('doubt', paths[0]!)!, writerId: new Uint8Array(16).fill(0xfe), writes: 0 }
  await log.append(n, encodeEntry(bareEntry(own, n, 'fence')), 1)
}

/** The storage, on which these calls fail where the path is one of these. */
function failing(storage: Storage, paths: readonly RegExp[], methods: readonly Point['method'][]): Storage {
  return faulty(storage, ({ method, path }) =>
    methods.includes(method) && paths.some((pattern) => pattern.test(path)) ? 'error-before' : undefined,
  )
}
