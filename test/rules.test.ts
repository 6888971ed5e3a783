/** Single rules of docs/protocol.md: each story of what goes wrong without the rule, told as a test. */
import { readFileSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as pure from '../src/bytes/pure.js'
import { expect } from 'vitest'
import { systemClock, type Clock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { sleep } from '../src/clock.js'
import type { LogContext } from '../src/engine/context.js'
import type { ShardState } from '../src/engine/state.js'
import type { Manifest } from '../src/manifest/manifest.js'
import type { Outcome } from '../src/storage/contract.js'
import type { Call } from '../src/storage/intercept.js'
import { ruleTest } from './support/mutated.js'
import type * as Sources from './support/sources.js'
import { collect, temporaryFolder } from './support/storages.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const pause = (): Promise<void> => sleep(systemClock, 3)

type Open = Pick<typeof Sources, 'openStore'>
function open(
  { openStore }: Open,
  storage: Storage,
  options: Partial<OpenOptions> = {},
): Promise<Store<string, number>> {
  return openStore<string, number>({ storage, name: 's', ...(options as object) })
}

async function put(store: Store<string, number>, key: string, value: number): Promise<number> {
  store.put(key, value)
  return (await store.commit()).version
}

async function reopened(sources: Open, store: Store<string, number>, storage: Storage): Promise<Store<string, number>> {
  await store.close()
  return open(sources, storage)
}

/** A clock that the test sets. */
function clockOf(time: { ms: number }): Clock {
  return { ...systemClock, now: () => 1_700_000_000_000 + time.ms, monotonic: () => time.ms }
}

ruleTest('R2: a merge that has forgotten deletes fits only at the bottom', 'mergeFits', async ({ applyEdit }) => {
  const run = (name: string) => [{ name, clip: undefined }] as unknown as Manifest['runs'][number]
  const edit = { kind: 'merge', inputs: [run('b'), run('c')], output: run('d'), bottom: true } as const
  const manifest = (...names: string[]): Manifest => ({ runs: names.map(run) }) as unknown as Manifest
  expect(applyEdit(manifest('b', 'c'), edit)?.runs).toEqual([run('d')])
  expect(applyEdit(manifest('a', 'b', 'c'), edit)).toBeUndefined()
  expect(applyEdit(manifest('b'), edit)).toBeUndefined()
})

ruleTest('R3: a merge does not make what is covered less', 'coversFalls', async ({ buildEntry }) => {
  const run = [{ name: 'a', clip: undefined }] as unknown as Manifest['runs'][number]
  const config = { partitions: 1, job: undefined, created: 0 }
  // Repaired from an older manifest than the one that the log names.
  const manifest = { config, covers: 20, codecs: new Map<string, string>(), runs: [run] }
  const [mode, none] = ['exclusive', { offsets: new Map(), sync: undefined }] as const
  const numbers = {
    time: 1,
    version: 30,
    versionTime: 1,
    manifestAt: 28,
    covers: 27,
    trim: 0,
    keeps: 0,
    collectedAt: 0,
  }
  const state = { head: 30, headHash: new Uint8Array(16), manifest, carried: { mode, ...numbers, ...none } }
  const log = { logId: new Uint8Array(16), writerId: new Uint8Array(16), path: 's/0/id', writes: 0, platform: pure }
  const edits = [{ kind: 'merge', inputs: [run], output: [], bottom: true }] as const
  const built = await buildEntry(log as unknown as LogContext, state as unknown as ShardState, {
    kind: 'fold',
    time: 2,
    edits,
  })
  expect(built.entry.carried?.covers).toBe(27)
})

ruleTest('R4: a restore covers all that was before it', 'resetCovers', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  const version = await put(store, 'a', 1)
  await put(store, 'b', 2)
  await store.restore(version)
  const after = await reopened(sources, store, storage)
  expect(await collect(after.entries())).toEqual([['a', 1]])
  await after.close()
})

ruleTest(
  'R5: a reset of some partitions takes back their offsets only',
  'offsetsOfChosen',
  async ({ spliceOffsets }) => {
    const offsets = (position: number): Parameters<typeof spliceOffsets>[0] =>
      new Map([['events', new Map([0, 1].map((partition) => [partition, position] as const))]])
    const spliced = spliceOffsets(offsets(9), offsets(5), new Set([0]), new Map())
    expect([...spliced.get('events')!]).toEqual([
      [0, 5],
      [1, 9],
    ])
  },
)

ruleTest('R6: headers carry the offsets forward', 'carriesOffsets', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  store.put('a', 1)
  await store.commit({ offsets: { events: 7 } })
  await put(store, 'a', 2)
  const after = await reopened(sources, store, storage)
  expect(after.offsets).toEqual({ events: 7 })
  await after.close()
})

ruleTest('R7: joined commits count in the order of their calls', 'joinedInOrder', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  store.put('a', 1)
  const first = store.commit()
  store.clear()
  store.put('b', 2)
  expect((await store.commit()).version).toBe((await first).version)
  const after = await reopened(sources, store, storage)
  expect(await collect(after.entries())).toEqual([['b', 2]])
  await after.close()
})

ruleTest('R8: times of versions never go back', 'timeRises', async (sources) => {
  const time = { ms: 10_000 }
  const store = await open(sources, sources.memory(), { clock: clockOf(time) })
  await put(store, 'a', 1)
  time.ms = 0
  await put(store, 'a', 2)
  const times = (await collect(store.versions())).map((version) => Number(version.time))
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  await store.close()
})

ruleTest('R9: what has expired goes on hiding what lies beneath', 'expiredHides', async (sources) => {
  const time = { ms: 0 }
  const storage = sources.memory()
  const store = await open(sources, storage, { clock: clockOf(time) })
  await put(store, 'a', 1)
  await store.checkpoint()
  store.put('a', 2, { ttlMs: 1_000 })
  await store.commit()
  time.ms = 5_000
  await put(store, 'b', 1)
  await store.checkpoint()
  const after = await reopened(sources, store, storage)
  expect(await after.get('a')).toBeUndefined()
  await after.close()
})

/** Versions 1 to 6; entries 3 and 5 carry folds of all before them. */
function facts(): Parameters<typeof Sources.retained>[0] {
  return [1, 2, 3, 4, 5, 6].map((n) => {
    const manifestAt = n < 3 ? 1 : n < 5 ? 3 : 5
    return { n, isVersion: true, carried: { time: n, manifestAt, covers: manifestAt - 1 } }
  }) as unknown as Parameters<typeof Sources.retained>[0]
}

ruleTest('R11: one fold more than retention needs is kept', 'spareFold', async ({ retained }) => {
  const { trim } = retained(facts(), { versions: 1, ageMs: 0 }, 9, { keeps: 1, trim: 0 })
  expect(trim).toBe(2)
})

ruleTest('R12: a watcher is told what a restore changed', 'resetIsCompared', async (sources) => {
  const store = await open(sources, sources.memory())
  await put(store, 'a', 1)
  await store.checkpoint()
  const version = await put(store, 'b', 1)
  await put(store, 'a', 2)
  const told: unknown[] = []
  store.watch({}, (changes) => void told.push(...changes.map(({ before, after }) => [before, after])))
  await store.restore(version)
  for (let i = 0; i < 100 && told.length === 0; i++) await pause()
  expect(told).toEqual([[2, 1]])
  await store.close()
})

ruleTest('R13: an entry is sent when the one before it is committed', 'oneInFlight', async (sources) => {
  let [inFlight, most] = [0, 0]
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    if (call.method !== 'append') return run(call.signal)
    most = Math.max(most, ++inFlight)
    await pause()
    await pause()
    return run(call.signal).finally(() => inFlight--)
  })
  const store = await open(sources, storage)
  const first = put(store, 'a', 1)
  await pause()
  const both = Promise.all([first, put(store, 'b', 2)])
  both.catch(() => undefined)
  for (let i = 0; i < 6; i++) await pause()
  expect(most).toBe(1)
  await both
  await store.close()
})

/** A store whose next append is made, and answered otherwise. */
async function answered(sources: typeof Sources, answer: Outcome): Promise<Store<string, number>> {
  let isNext = false
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    const given = await run(call.signal)
    if (call.method !== 'append' || !isNext) return given
    isNext = false
    return answer as typeof given
  })
  const store = await open(sources, storage)
  isNext = true
  return store
}

ruleTest('R14: an append whose answer was lost is found to be our own', 'readBack', async (sources) => {
  const store = await answered(sources, { outcome: 'lost' })
  await put(store, 'a', 1)
  await put(store, 'a', 2)
  expect(await store.get('a')).toBe(2)
  await store.close()
})

ruleTest('R15: after an append that stays unknown nothing more is written', 'unknownEnds', async (sources) => {
  const store = await answered(sources, { outcome: 'unknown', settle: false })
  await expect(put(store, 'a', 1)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await expect(put(store, 'b', 1)).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await store.reopen()
  expect(await store.get('a')).toBe(1)
  await store.close()
})

async function pair(
  sources: typeof Sources,
  storage = sources.memory(),
): Promise<[Store<string, number>, Store<string, number>]> {
  const a = await open(sources, storage, { mode: 'shared' })
  await put(a, 'a', 1)
  return [a, await open(sources, storage, { mode: 'shared' })]
}

ruleTest('R17: a transaction that others came before runs again', 'transactionFalls', async (sources) => {
  const [a, b] = await pair(sources)
  let runs = 0
  await a.transaction(async (tx) => {
    const value = (await tx.get('a'))!
    if (++runs === 1) await put(b, 'a', 2)
    tx.put('a', value + 1)
  })
  expect(await a.get('a')).toBe(3)
  await Promise.all([a.close(), b.close()])
})

ruleTest('R18: a commit of what was read is not repeated on top of others', 'blindOnly', async (sources) => {
  const [a, b] = await pair(sources)
  const value = (await a.get('a'))!
  await put(b, 'a', 0)
  await expect(put(a, 'a', value - 1)).rejects.toThrow(code('CONFLICT'))
  await Promise.all([a.close(), b.close()])
})

ruleTest('R19: a commit with offsets is not repeated on top of others', 'offsetsFall', async (sources) => {
  const [a, b] = await pair(sources)
  b.put('b', 1)
  await b.commit({ offsets: { events: 5 } })
  a.put('c', 1)
  await expect(a.commit({ offsets: { events: 5 } })).rejects.toThrow(code('CONFLICT'))
  await Promise.all([a.close(), b.close()])
})

ruleTest('R20: what fails takes along what is queued behind it', 'fallTogether', async (sources) => {
  let isFull = false
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    if (call.method !== 'append' || !isFull) return run(call.signal)
    isFull = false
    await pause()
    await pause()
    throw new Error('refused')
  })
  const store = await open(sources, storage)
  isFull = true
  const first = put(store, 'a', 1)
  await pause()
  const outcomes = await Promise.allSettled([first, put(store, 'a', 2)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await store.commit()
  expect(await store.get('a')).toBe(2)
  await store.close()
})

ruleTest('R21: a fence of another mode ends the right to write', 'otherMode', async (sources) => {
  const storage = sources.memory()
  const [a, b] = await pair(sources, storage)
  await b.close()
  const owner = await open(sources, storage, { force: true })
  await expect(put(a, 'a', 2)).rejects.toThrow(code('FENCED'))
  await Promise.all([a.close(), owner.close()])
})

ruleTest('R22: a claim that lost its number claims the next one', 'claimsAgain', async (sources) => {
  const memory = sources.memory()
  await (await open(sources, memory)).close()
  let isFirst = true
  const storage = sources.intercept(memory, async (call, run) => {
    if (call.method === 'claim' && isFirst) {
      isFirst = false
      await (await open(sources, memory)).close()
    }
    return run(call.signal)
  })
  await (await open(sources, storage)).close()
})

ruleTest('R23: a writer of a destroyed store does not land in its successor', 'randomId', async (sources) => {
  const storage = sources.memory()
  const old = await open(sources, storage)
  await sources.destroyStore({ storage, name: 's' })
  const store = await open(sources, storage)
  await put(old, 'old', 1).catch(() => undefined)
  await put(store, 'new', 1)
  expect(await collect(store.entries())).toEqual([['new', 1]])
  await Promise.all([store.close(), old.close()])
})

ruleTest('R24: the anchor never goes back', 'anchorRises', async ({ memory, raiseAnchor, readAnchor }) => {
  const anchor = memory().anchor('s/0/anchor')
  const logId = new Uint8Array(16)
  await raiseAnchor(anchor, 'it', { logId, trim: 50, manifestAt: 60, covers: 55, time: 2 })
  await raiseAnchor(anchor, 'it', { logId, trim: 20, manifestAt: 70, covers: 65, time: 1 })
  expect((await readAnchor(anchor, 'it')).value).toMatchObject({ trim: 50, manifestAt: 70, time: 2 })
})

ruleTest('R29: without its anchor a store is found, not made anew', 'looksForLogs', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  await put(store, 'a', 1)
  await store.close()
  await storage.anchor(sources.anchorPath('s')).remove()
  const after = await open(sources, storage)
  expect(await after.get('a')).toBe(1)
  await after.close()
})

/** A store of which entries are due for removal, and the calls since they were condemned. */
async function due(
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

ruleTest('R30: nothing is removed before the anchor says so', 'anchorFirst', async (sources) => {
  const removed: unknown[] = []
  const store = await due(sources, {}, ({ method, target }) => {
    if (method === 'swap') throw new Error('no swap now')
    if (target === 'log' && method === 'remove') removed.push(method)
  })
  await store.maintain().catch(() => undefined)
  expect(removed).toEqual([])
  await store.close()
})

ruleTest('R31: entries that a kept version needs are not trimmed', 'trimsToCovers', async ({ retained }) => {
  const { trim } = retained(facts(), { versions: 1, ageMs: 0 }, 9, { keeps: 1, trim: 0 })
  expect(trim).toBeLessThanOrEqual(4)
})

ruleTest('R35: what was collected while its pin was being made is not pinned', 'pinLooks', async (sources) => {
  const time = { ms: 0 }
  const options = { mode: 'shared', clock: clockOf(time), graceMs: 1_000, retain: { versions: 1 } } as const
  const memory = sources.memory()
  const other = await open(sources, memory, options)
  let isNext = false
  const storage = sources.intercept(memory, async (call, run) => {
    if (isNext && call.method === 'put' && call.path.includes('/pins/')) {
      isNext = false
      await other.maintain()
    }
    return run(call.signal)
  })
  const versions: number[] = []
  for (let i = 0; i < 6; i++) {
    versions.push(await put(other, 'a', i))
    await other.checkpoint()
  }
  const store = await open(sources, storage, options)
  isNext = true
  await expect(store.tag('monday', { at: versions[2]! })).rejects.toThrow(code('VERSION_EXPIRED'))
  expect(isNext).toBe(false)
  await Promise.all([store.close(), other.close()])
})

ruleTest('R38: a store is not destroyed while forks hold it', 'forksHold', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  await put(store, 'a', 1)
  await store.checkpoint()
  await put(store, 'b', 1)
  await store.fork('child')
  await store.close()
  await expect(sources.destroyStore({ storage, name: 's' })).rejects.toThrow(code('CONFLICT'))
})

const logFolder = (root: string): string => {
  const found = readdirSync(root, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('@log'))
  return join(root, found!)
}

ruleTest('R47: a log that lost its last file does not end in the one before', 'becomesPast', async (sources) => {
  const root = temporaryFolder()
  const storage = sources.nodeFs(root)
  for (let i = 0; i < 2; i++) {
    const store = await open(sources, storage)
    await put(store, 'a', i)
    // So that the next file begins behind it, and this one is kept.
    if (i === 0) await store.checkpoint()
    await store.close()
  }
  const folder = logFolder(root)
  unlinkSync(
    join(
      folder,
      readdirSync(folder).findLast((name) => name.startsWith('log.'))!,
    ),
  )
  await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
})

ruleTest('R48: a marker says what was there before it', 'markerSays', async (sources) => {
  const root = temporaryFolder()
  const first = await open(sources, sources.nodeFs(root))
  for (let i = 0; i < 5; i++) await put(first, `key${i}`, i)
  await first.close()
  const folder = logFolder(root)
  const logs = (): string[] => readdirSync(folder).filter((name) => /^(?:log|past)\./.test(name))
  const [name] = logs()
  const bytes = readFileSync(join(folder, name!))
  await (await open(sources, sources.nodeFs(root))).close()
  // As if the second owner had died before it had a file, and the first one's were cut since.
  for (const file of logs()) unlinkSync(join(folder, file))
  writeFileSync(join(folder, name!), bytes.fill(0, bytes.indexOf('key2')))
  await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
})

ruleTest('R49: a record of another file is none of this one', 'seededRecords', async (sources) => {
  const bytes = new Uint8Array(64)
  sources.encodeRecord(bytes, 1, { before: 0, n: 7, synced: 6, writer: 1 }, Uint8Array.of(1, 2, 3))
  const head = sources.recordHead(bytes)!
  expect(sources.isIntact(bytes, head, 1)).toBe(true)
  expect(sources.isIntact(bytes, head, 2)).toBe(false)
})

ruleTest('R50: a damaged record that later ones claim is damage, not the end', 'claimedAhead', async (sources) => {
  const root = temporaryFolder()
  const store = await open(sources, sources.nodeFs(root))
  for (let i = 0; i < 9; i++) await put(store, `key${i}`, i)
  await store.close()
  const folder = logFolder(root)
  const file = join(
    folder,
    readdirSync(folder).find((name) => name.startsWith('log.'))!,
  )
  const bytes = readFileSync(file)
  bytes[bytes.indexOf('key5')]! ^= 1
  writeFileSync(file, bytes)
  await expect(open(sources, sources.nodeFs(root))).rejects.toThrow(code('CORRUPT'))
})

ruleTest('R52: the log is synced before anything is deleted', 'syncsBeforeDelete', async (sources) => {
  const calls: string[] = []
  const store = await due(sources, { durability: 'relaxed' }, ({ method }) => void calls.push(method))
  calls.length = 0
  expect((await store.maintain()).deleted.entries).toBeGreaterThan(0)
  expect(calls.slice(0, calls.indexOf('remove'))).toContain('sync')
  await store.close()
})

ruleTest('R55: a copied segment gets a new name', 'newNames', async (sources) => {
  const [from, to] = [sources.memory(), sources.memory()]
  const store = await open(sources, from)
  await put(store, 'a', 1)
  await store.checkpoint()
  await put(store, 'b', 1)
  await sources.push({ storage: from, name: 's' }, { storage: to, name: 's' })
  const names = async ({ blobs }: Storage): Promise<string[]> =>
    (await blobs.list('s/')).items.flatMap(({ name }) => (name.includes('/seg/') ? [name.split('/').at(-1)!] : []))
  const copied = await names(to)
  expect(copied.length).toBeGreaterThan(0)
  const known = await names(from)
  expect(copied.filter((name) => known.includes(name))).toEqual([])
  await store.close()
})

ruleTest('R56: a push is refused where the target has versions of its own', 'needsSyncPoint', async (sources) => {
  const places = [sources.memory(), sources.memory()].map((storage) => ({ storage, name: 's' }))
  const [from, to] = places as [(typeof places)[0], (typeof places)[0]]
  const store = await open(sources, from.storage)
  await put(store, 'a', 1)
  await sources.push(from, to)
  const target = await open(sources, to.storage)
  await put(target, 'a', 2)
  await target.close()
  await put(store, 'a', 3)
  await expect(sources.push(from, to)).rejects.toThrow(code('CONFLICT'))
  await store.close()
})

ruleTest('R57: a key that is longer than the bounds say is found', 'cutsUp', async (sources) => {
  const storage = sources.memory()
  const store = await open(sources, storage)
  const key = 'x'.repeat(80)
  await put(store, key, 1)
  await store.checkpoint()
  const after = await reopened(sources, store, storage)
  expect(await after.get(key)).toBe(1)
  await after.close()
})

ruleTest('R58: commits fail when the tail cannot be folded', 'tailEnds', async (sources) => {
  let isRefused = false
  const storage = sources.intercept(sources.memory(), async (call, run) => {
    if (isRefused && call.target === 'blobs' && call.method === 'put') throw new Error('no uploads')
    return run(call.signal)
  })
  const store = await open(sources, storage, { checkpoint: { entries: 4 } })
  isRefused = true
  const write = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) await put(store, 'a', i)
  }
  await expect(write()).rejects.toThrow(code('STORAGE_UNAVAILABLE'))
  store.discard()
  await store.close().catch(() => undefined)
})
