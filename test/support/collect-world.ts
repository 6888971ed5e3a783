/** A store with a past of which everything is known, for cutting its collector: retained versions, a tag, a fork. */
import { expect } from 'vitest'
import {
  isTidemarkError,
  openStore,
  systemClock,
  type Answer,
  type Clock,
  type OpenOptions,
  type Storage,
  type Store,
} from 'tidemark'
import { memory } from 'tidemark/memory'
import { cuts, worldOver, type CutsOptions, type Way } from 'tidemark/testing'
import { verify } from 'tidemark/tools'
import { namesIn } from '../../src/engine/gc/entry-index.js'
import { readEntry } from '../../src/engine/history/past.js'
import { manifestOfPin, pinsOf } from '../../src/engine/history/pins.js'
import { intercept } from '../../src/storage/intercept.js'
import { handleOf } from '../../src/store/handles.js'
import { persist } from './history.js'
import { collect } from './collect.js'

export const GRACE = 1000
const START = 1_700_000_000_000
const COMMITS = 11
const KEPT = 3

/** Time stands still but for what a test lets pass; waits are over twenty times as soon. */
export const time = { now: START }
export const clock: Clock = {
  ...systemClock,
  now: () => time.now,
  monotonic: () => time.now,
  timer: (ms, run, options) => systemClock.timer(ms / 20, run, options),
}

export function open(storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> {
  const small = {
    checkpoint: { entries: 3, bytes: 600 },
    segmentBytes: 400,
    blockBytes: 100,
    retain: { versions: KEPT },
  }
  return openStore({ storage, name: 's', clock, graceMs: GRACE, ...small, ...options })
}

/** Changes number i: some small, some by reference, deletes and a range. */
export function change(store: Pick<Store, 'put' | 'delete' | 'deleteRange'>, i: number): void {
  store.put('same', i)
  store.put(`k${i % 6}`, `${i} `.repeat(10))
  if (i % 5 === 3) store.put('large', `${i} `.repeat(300))
  if (i % 4 === 2) store.delete(`k${(i + 3) % 6}`)
  if (i % 7 === 6) store.deleteRange({ gte: 'k4' })
}

export type Contents = string
export const contents = async (view: Pick<Store, 'entries'>): Promise<Contents> =>
  JSON.stringify(await collect(view.entries()))

/** The contents after each version. */
export interface Past {
  readonly versions: ReadonlyMap<number, Contents>
  readonly tagged: number
  readonly forked: number
}

/** The past, with all that it has left in the storage: nothing is collected yet. */
export async function makePast(storage: Storage): Promise<Past> {
  time.now = START
  const store = await open(storage, { retain: { versions: 1000 } })
  const versions = new Map<number, Contents>()
  const numbers: number[] = []
  for (let i = 0; i < COMMITS; i++) {
    change(store, i)
    const { version } = await store.commit({ label: String(i) })
    versions.set(version, await contents(store))
    numbers.push(version)
    time.now += 10
    if (i === 7) await store.checkpoint()
  }
  const past = { versions, tagged: numbers[2]!, forked: numbers[5]! }
  await store.tag('kept', { at: past.tagged })
  await store.fork('fork', { at: past.forked })
  await store.close()
  return past
}

/** The same objects in another memory. */
export async function copyOf(from: Storage): Promise<Storage> {
  const to = memory()
  await copyTo(from, to)
  return to
}

export async function copyTo(from: Storage, to: Storage): Promise<void> {
  for (const { name } of (await from.blobs.list('')).items) {
    await to.blobs.put(name, (await from.blobs.get(name)).bytes!)
  }
  for (const path of (await from.logs('')).paths) {
    const [source, target] = [from.log(path), to.log(path)]
    const { numbers } = await source.list(1)
    for (const n of numbers) {
      const { bytes } = await source.read(n)
      // Files are written to by their owner only.
      await (n === numbers[0] ? target.claim(n, bytes!, 1) : target.append(n, bytes!, 1))
    }
    await target.close()
    const anchor = `${path.split('/').slice(0, 2).join('/')}/anchor`
    // Nothing of it is trimmed yet.
    await to.anchor(anchor).swap(undefined, (await from.anchor(anchor).read()).bytes!, 0)
  }
}

/** The same storage, whose clock, if it has one, says what ours does: a test does not wait for a grace period. */
export function atOurTime(storage: Storage): Storage {
  return intercept(storage, async (call, run) => {
    const answer = await run(call.signal)
    const { time: own } = (answer ?? {}) as Answer
    return own === undefined ? answer : { ...answer, time: time.now }
  })
}

/** As a program does that gets on with its work: what fails typed is tried again, after reopening where that is asked for. */
export async function steadily<T>(store: Store, run: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await run()
    } catch (error) {
      if (!isTidemarkError(error) || failures > 5) throw error
      if (error.code === 'UNKNOWN_OUTCOME' || error.code === 'FENCED') {
        await store.reopen().catch((cause: unknown) => {
          if (!isTidemarkError(cause)) throw cause
        })
      }
    }
  }
}

async function expectThen(store: Store, when: number | string, expected: Contents | undefined): Promise<void> {
  const past = await store.at(when)
  expect(await contents(past)).toBe(expected)
  await past.close()
}

/** Every kept version, the tag and the fork are as they were; `more` are versions that came later. */
export async function expectPast(
  storage: Storage,
  store: Store,
  past: Past,
  more: [number, Contents][] = [],
): Promise<void> {
  const versions = new Map([...past.versions, ...more])
  const listed = (await collect(store.versions())).map(({ version }) => version)
  expect(listed.length).toBeGreaterThanOrEqual(KEPT)
  // Versions that are listed and not known were appended and never acknowledged.
  const known = listed.filter((version) => versions.has(version))
  expect(listed.slice(0, known.length)).toEqual(known)
  expect(known).toEqual([...versions.keys()].slice(-known.length))
  for (const version of known) await expectThen(store, version, versions.get(version))
  await expectThen(store, 'kept', versions.get(past.tagged))
  await expectThen(store, past.tagged, versions.get(past.tagged))
  const fork = await open(storage, { name: 'fork', create: false, mode: 'follower' })
  expect(await contents(fork)).toBe(versions.get(past.forked))
  await fork.close()
}

export async function expectSound(storage: Storage, name = 's'): Promise<void> {
  expect((await verify({ storage, name })).damages).toEqual([])
}

/** Whether it is the mark of a writer that has closed the store; a few of these stay. */
const isMark = (name: string): boolean => name.includes('/closed/')

/** Segments that no entry, tag or fork reaches, and entries that are trimmed: there must be none in the end. */
async function leftOver(storage: Storage, store: Store): Promise<string[]> {
  const { shard } = handleOf(store)
  const { trim } = shard.state.carried
  const reached = new Set<string>()
  for (let n = trim + 1; n <= shard.state.head; n++) {
    for (const name of namesIn(await readEntry(shard.context, shard.log, n))) reached.add(name)
  }
  const pins = await pinsOf(shard)
  for (const pin of pins) for (const { name } of manifestOfPin(pin, shard.log.path).runs.flat()) reached.add(name)
  for (const { blob } of pins) reached.add(blob)
  const names = (await storage.blobs.list('s/')).items.map(({ name }) => name)
  const blobs = names.filter((name) => !reached.has(name) && !isMark(name))
  const { numbers } = await storage.log(shard.log.path).list(1)
  return [...blobs, ...numbers.filter((n) => n <= trim).map((n) => `entry ${n}`)]
}

export interface Objects {
  readonly entries: number
  readonly segments: number
  readonly pins: number
}

export async function objectsOf(storage: Storage, name = 's'): Promise<Objects> {
  const items = (await storage.blobs.list(`${name}/`)).items.filter((item) => !isMark(item.name))
  const pins = items.filter((item) => item.name.includes('/pins/')).length
  const { paths } = await storage.logs(`${name}/`)
  const numbers = await Promise.all(
    paths.map(async (path) => {
      const log = storage.log(path)
      const { length } = (await log.list(1)).numbers
      await log.close()
      return length
    }),
  )
  return { entries: numbers.reduce((sum, n) => sum + n, 0), segments: items.length - pins, pins }
}

/** Collects until nothing is left to do, and says what is there then. */
export async function settle(storage: Storage, store: Store): Promise<Objects> {
  for (let round = 0; round < 3; round++) {
    await store.maintain()
    time.now += GRACE
  }
  const { condemned, deleted, waiting } = await store.maintain()
  expect([condemned, deleted, waiting]).toEqual([
    { entries: 0, segments: 0 },
    { entries: 0, segments: 0, pins: 0, bytes: 0 },
    0,
  ])
  expect(await leftOver(storage, store)).toEqual([])
  return objectsOf(storage)
}

export interface Beside {
  /** Goes on while the first maintain() runs. */
  readonly during?: (store: Store, note: (version: number, contents: Contents) => void) => Promise<unknown>
  /** Another handle that is there all the time, on the storage without faults; returns what is looked at in the end. */
  readonly before?: (storage: Storage) => Promise<() => Promise<void>>
  /** Looks at what `during` has left. */
  readonly after?: (store: Store, storage: Storage) => Promise<unknown>
  readonly ways: readonly Way[]
  readonly only?: CutsOptions<never>['only']
  /** Where it happens. Default: in memory. */
  readonly make?: () => Storage
}

export interface Template {
  readonly storage: Storage
  readonly past: Past
  readonly end: number
}

export async function makeTemplate(): Promise<Template> {
  const storage = memory()
  const past = await makePast(storage)
  return { storage, past, end: time.now }
}

/** Collects twice with the grace period in between, cut everywhere. */
export async function cutCollector(template: Template, beside: Beside): Promise<string> {
  const { during, before, after, ways, only, make = memory } = beside
  const { past } = template
  let clean: Objects | undefined
  let look: (() => Promise<void>) | undefined
  let cleaned = 0
  const result = await cuts<[number, Contents]>({
    ways,
    only,
    limitMs: 60_000,
    async makeWorld(decide) {
      time.now = template.end
      const storage = atOurTime(make())
      await copyTo(template.storage, storage)
      look = await before?.(storage)
      return worldOver(() => storage)(decide)
    },
    async scenario(storage, notes) {
      const store = await persist(() => open(storage))
      const running = during?.(store, (...note) => notes.push(note))
      // It is waited for below, and may fail before that.
      running?.catch(() => undefined)
      await steadily(store, () => store.maintain())
      await running
      time.now += GRACE
      const { deleted } = await steadily(store, () => store.maintain())
      cleaned = Math.max(cleaned, deleted.entries + deleted.segments)
      await store.close()
    },
    async verify(storage, notes) {
      await look?.()
      const store = await open(storage)
      await expectPast(storage, store, past, [...notes])
      await after?.(store, storage)
      const left = await settle(storage, store)
      clean ??= left
      await expectPast(storage, store, past, [...notes])
      await expectSound(storage)
      await store.close()
    },
  })
  expect(cleaned).toBeGreaterThan(4)
  expect(result.missed).toBe(0)
  const { entries, segments, pins } = clean!
  return `${result.points} points, ${result.runs} runs; ${entries} entries, ${segments} segments, ${pins} pins are left`
}
