/** Handles in shared mode beside others that are busy, have died, are tabs of the same browser, or know another codec. */
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { nodeFs } from 'tidemark/node-fs'
import { verify } from 'tidemark/tools'
import { sleep } from '../../../src/clock.js'
import { EntryIndex } from '../../../src/engine/gc/entry-index.js'
import { intercept, unknownOutcome } from '../../../src/storage/intercept.js'
import { atOurTime, contents, GRACE, makePast, open as openSmall, time } from '../../support/collect-world.js'
import { code, found, open, outcomes, pair, tabs } from '../../support/shared.js'
import { collect, temporaryFolder } from '../../support/storages.js'

test('a claimer of a log in files that died after its marker does not stop the others', async () => {
  const folder = temporaryFolder()
  const [a, b] = [await open(nodeFs(folder)), await open(nodeFs(folder))]
  for (const [store, i] of [[a, 1] as const, [b, 2] as const]) {
    store.put('k', i)
    await store.commit()
  }
  const markers = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /owner\.\d+$/.test(name))
  const newest = markers.toSorted().at(-1)!
  const next = newest.replace(/\d+$/, (g) => String(Number(g) + 1).padStart(g.length, '0'))
  copyFileSync(join(folder, newest), join(folder, next))
  for (const [store, i] of [[a, 3] as const, [b, 4] as const, [a, 5] as const]) {
    store.put('k', i)
    await store.commit()
  }
  expect(await found(nodeFs(folder), 'k')).toBe(5)
})

/** A handle beside one that commits without a pause, as long as `act` takes. */
async function besideBusy(latencyMs: number, act: (handle: Store<string, number>) => Promise<unknown>): Promise<void> {
  const slow = intercept(memory(), async (call, run) => {
    await sleep(systemClock, latencyMs)
    return run(call.signal)
  })
  const [a, b] = await pair(slow)
  let isGoing = true
  const busy = (async () => {
    for (let i = 0; isGoing; i++) {
      a.put('a', i)
      await a.commit()
    }
  })()
  try {
    await expect.poll(() => a.version).toBeGreaterThan(5)
    await act(b)
  } finally {
    isGoing = false
    await busy
  }
  expect(b.version).toBeGreaterThan(5)
}

test('refresh(), checkpoint() and maintain() come to an end beside a writer that never pauses', async () => {
  await besideBusy(0, async (handle) => {
    await handle.refresh()
    await handle.checkpoint()
    await handle.maintain()
  })
}, 20_000)

test('a blind commit comes through beside a writer that never pauses', async () => {
  await besideBusy(2, async (handle) => {
    handle.put('x', 1)
    await handle.commit()
  })
})

test('refresh() of a handle that may not write any more catches up', async () => {
  const storage = memory()
  let isLost = false
  const line = intercept(storage, async (call, run) => {
    if (isLost && call.method === 'claim') return unknownOutcome(false, new Error('The line is down.'))
    return run(call.signal)
  })
  const [a, b] = [await open(storage), await open(line)]
  isLost = true
  b.put('x', 1)
  await expect(b.commit()).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  a.put('k', 1)
  await a.commit()
  await b.refresh()
  expect(await b.getMany(['k', 'x'])).toEqual([1, undefined])
})

test('calls of refresh() at once catch up once', async () => {
  const a = await open(memory())
  const before = a.metrics().requests.get
  await Promise.all(Array.from({ length: 100 }, () => a.refresh()))
  expect(a.metrics().requests.get - before).toBeLessThan(20)
})

test('what a handle knows of entries is bounded, whoever folds and collects', async () => {
  const noted = vi.spyOn(EntryIndex.prototype, 'note')
  onTestFinished(() => noted.mockRestore())
  const [a, b] = await pair(memory(), { retain: { versions: 2 }, graceMs: 1, checkpoint: { entries: 4 } })
  for (let i = 0; i < 500; i++) {
    a.put('k', i)
    await a.commit()
    if (i % 50 === 49) await a.maintain()
    if (i % 10 === 9) await b.refresh()
  }
  const known = new Set(noted.mock.contexts as EntryIndex[])
  expect(known.size).toBe(2)
  for (const { entries } of known) expect(entries.size).toBeLessThan(150)
})

test('of two large commits the second one is written as it is when the first one, already uploaded, falls', async () => {
  const storage = memory()
  let atClaim: (() => Promise<unknown>) | undefined
  const line = intercept(storage, async (call, run) => {
    const act = call.method === 'claim' ? atClaim : undefined
    if (act) atClaim = undefined
    await act?.()
    return run(call.signal)
  })
  const options = { checkpoint: { bytes: 1000 } }
  const [a, b] = [await open(storage, options), await open(line, options)]
  let behind: Promise<unknown> | undefined
  atClaim = async () => {
    for (let i = 0; i < 300; i++) b.put(`blind${i}`, i)
    behind = b.commit()
    a.put('other', 1)
    await a.commit()
  }
  const first = b.transaction(
    (tx) => {
      for (let i = 0; i < 300; i++) tx.put(`fallen${i}`, i)
    },
    { tries: 1 },
  )
  expect(await outcomes(first)).toEqual(['CONFLICT'])
  await behind
  const expected = ['other', ...Array.from({ length: 300 }, (_, i) => `blind${i}`)].toSorted()
  expect(await collect(b.keys())).toEqual(expected)
  const reader = await open(storage, { mode: 'follower' })
  expect(await collect(reader.keys())).toEqual(expected)
  expect((await verify({ storage, name: 's' })).damages).toEqual([])
})

describe('between tabs', () => {
  test('what a watch has shown may be edited and committed', async () => {
    const [a, b] = await pair(tabs(memory()))
    const shown = new Map<Store<string, number>, number>()
    for (const store of [a, b]) {
      shown.set(store, (await store.get('n')) ?? 0)
      store.watch({}, (changes) => changes.forEach(({ after }) => shown.set(store, after!)))
    }
    for (let i = 0; i < 20; i++) {
      // Somebody reads what is on this screen, and edits it.
      const store = i % 2 === 0 ? a : b
      await expect.poll(() => shown.get(store), { interval: 1 }).toBe(i)
      store.put('n', ((await store.get('n')) ?? 0) + 1)
      await store.commit()
    }
    await b.refresh()
    expect(await b.get('n')).toBe(20)
  })

  test('a lock that another tab never gives back does not end writing', async () => {
    const storage = tabs(memory())
    const peers = { ...storage.peers!, alone: () => Promise.resolve(undefined) }
    const a = await open({ ...storage, peers }, { checkpoint: { entries: 16 } })
    for (let i = 0; i < 100; i++) {
      a.put(`k${i}`, i)
      await a.commit()
      expect(a.metrics().tail).toBeLessThanOrEqual(24)
    }
    expect((await collect(a.keys())).length).toBe(100)
  })

  test('a channel that throws when told fails no commit that happened', async () => {
    const cause = new Error('InvalidStateError')
    const storage = tabs(memory())
    const channel = (): ReturnType<NonNullable<Storage['peers']>['channel']> => ({
      tell() {
        throw cause
      },
      close() {},
    })
    const a = await open({ ...storage, peers: { ...storage.peers!, channel } })
    const warnings: unknown[] = []
    a.on('warning', (warning) => warnings.push(warning.cause))
    a.put('k', 1)
    const { version } = await a.commit()
    expect(a.version).toBe(version)
    expect(await a.get('k')).toBe(1)
    expect(warnings).toEqual([cause])
  })

  test('what was on its way when close() was called is told of', async () => {
    const [a, b] = await pair(tabs(memory()))
    a.put('k', 1)
    const committing = a.commit()
    await a.close()
    const { version } = await committing
    await expect.poll(() => b.version).toBe(version)
    expect(await b.get('k')).toBe(1)
  })
})

describe('a table that another writer first wrote with another codec', () => {
  const codec = (id: string) => ({
    id,
    encode: (value: unknown) => new TextEncoder().encode(id + JSON.stringify(value)),
    decode: (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes).slice(id.length)),
  })
  const [one, two] = [codec('one'), codec('second')]

  test.each(['commit', 'transaction'])('is not written with two by a %s', async (how) => {
    const storage = memory()
    const [a, b] = await pair(storage)
    const ours = a.table<string, number>('t', { codec: one })
    const theirs = b.table<string, number>('t', { codec: two })
    ours.put('x', 1)
    await a.commit()
    if (how === 'commit') {
      theirs.put('y', 2)
      await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
      // By now it knows of the other codec, and what it has encoded can't be written any more.
      await expect(b.commit()).rejects.toThrow(code('INVALID_ARGUMENT'))
    } else {
      const transaction = b.transaction((tx) => tx.table<string, number>('t').put('y', 2))
      await expect(transaction).rejects.toThrow(code('INVALID_ARGUMENT'))
    }
    const fresh = await open(storage)
    expect(() => fresh.table('t', { codec: two })).toThrow(code('INVALID_ARGUMENT'))
    await a.refresh()
    for (const table of [ours, fresh.table<string, number>('t', { codec: one })]) {
      expect(await collect(table.entries())).toEqual([['x', 1]])
    }
  })
})

test('a collection goes on from what another writer has left of the entries that it was about to read', async () => {
  const storage = atOurTime(memory())
  const { versions } = await makePast(storage)
  const options = { mode: 'shared', logger: false } as const
  const other = await openSmall(storage, options)
  let isHeld = false
  let reached: () => void
  let release: () => void
  const reading = new Promise<void>((resolve) => (reached = resolve))
  const released = new Promise<void>((resolve) => (release = resolve))
  const slow = intercept(storage, async (call, run) => {
    if (isHeld && call.target === 'log' && (call.method === 'read' || call.method === 'readTail') && call.n === 1) {
      reached()
      await released
    }
    return run(call.signal)
  })
  const store = await openSmall(slow, options)
  isHeld = true
  const maintained = store.maintain()
  await reading
  await other.maintain()
  time.now += GRACE
  expect((await other.maintain()).deleted.entries).toBeGreaterThan(0)
  release!()
  await maintained
  expect(await contents(store)).toBe([...versions.values()].at(-1))
  await Promise.all([store.close(), other.close()])
})
