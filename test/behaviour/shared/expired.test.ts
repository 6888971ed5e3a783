/** Handles that read what others have collected since they last looked. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { OpenOptions, Storage, Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { TidemarkError } from '../../../src/errors.js'
import { intercept } from '../../../src/storage/intercept.js'
import { byEntry } from '../../support/by-entry.js'
import { clockwork, code, open } from '../../support/shared.js'

const GRACE = 1000
const KEYS = 400
const SMALL: Partial<OpenOptions> = {
  graceMs: GRACE,
  retain: { versions: 1 },
  segmentBytes: 2_000,
  blockBytes: 200,
  cacheBytes: 0,
}
const key = (i: number): string => `k${String(i).padStart(4, '0')}`

interface World {
  readonly storage: Storage
  readonly writer: Store<string, number>
  /** The writer replaces and collects all that was there, five times. */
  readonly overtake: () => Promise<void>
}

async function world(): Promise<World> {
  const { storage, pass } = clockwork('create')
  const writer = await open(storage, SMALL)
  const write = async (n: number): Promise<void> => {
    for (let i = 0; i < KEYS; i++) writer.put(key(i), n)
    await writer.commit()
    await writer.checkpoint()
  }
  await write(0)
  const overtake = async (): Promise<void> => {
    for (let round = 1; round < 6; round++) {
      await write(round)
      pass(2 * GRACE)
      await writer.maintain({ minDeletes: 1 })
    }
  }
  return { storage, writer, overtake }
}

/** A writer, and a handle that has not looked since the writer replaced and collected all that it knows. */
async function overtaken(
  options: Partial<OpenOptions>,
  before: (stale: Store<string, number>) => Promise<unknown> = () => Promise.resolve(),
): Promise<{ writer: Store<string, number>; stale: Store<string, number> }> {
  const { storage, writer, overtake } = await world()
  const stale = await open(storage, { ...SMALL, ...options })
  await before(stale)
  await overtake()
  return { writer, stale }
}

describe('in shared mode a handle behind which all was collected', () => {
  let writer!: Store<string, number>
  let stale!: Store<string, number>
  beforeEach(async () => {
    ;({ writer, stale } = await overtaken({}))
  })

  test('gets what is there now', async () => {
    expect(await stale.get(key(150))).toBe(5)
    expect(await stale.getMany([key(1), key(300)])).toEqual([5, 5])
    expect(stale.version).toBe(writer.version)
  })

  test('iterates over what is there now, in both directions and partly', async () => {
    const all: number[] = []
    for await (const value of stale.values()) all.push(value)
    expect(all).toEqual(Array.from({ length: KEYS }, () => 5))
  })

  test('iterates without what was put after the first step', async () => {
    const entries = stale.entries()
    const first = entries.next()
    stale.put(key(0), 99)
    expect(await first).toMatchObject({ value: [key(0), 5] })
  })

  test('counts in a transaction on top of what is there now, which it runs again', async () => {
    let runs = 0
    await stale.transaction(async (tx) => {
      runs++
      tx.put(key(7), (await tx.get(key(7)))! + 1)
    })
    expect(runs).toBe(2)
    await writer.refresh()
    expect(await writer.get(key(7))).toBe(6)
  })

  test('commits what it has read anew, and not what it read before', async () => {
    stale.put(key(9), (await stale.get(key(9)))! + 1)
    await stale.commit()
    await writer.refresh()
    expect(await writer.get(key(9))).toBe(6)
  })

  test('shows in a snapshot what is gone as gone, and in the next one what is there', async () => {
    const gone = await stale.snapshot()
    await expect(gone.get(key(3))).rejects.toThrow(code('VERSION_EXPIRED'))
    const present = await stale.snapshot()
    expect(await present.get(key(3))).toBe(5)
  })
})

describe('a handle that has read one key before, and finds another one collected', () => {
  let writer!: Store<string, number>
  let stale!: Store<string, number>
  beforeEach(async () => {
    ;({ writer, stale } = await overtaken({ cacheBytes: 1 << 20 }, (early) => early.get(key(3))))
    expect(await stale.get(key(3))).toBe(0)
  })

  test('does not write over what others have made of the first one', async () => {
    expect(await stale.get(key(300))).toBe(5)
    stale.put(key(3), 1)
    await expect(stale.commit()).rejects.toThrow(code('CONFLICT'))
    await stale.get(key(3))
    stale.put(key(3), 6)
    await stale.commit()
    await writer.refresh()
    expect(await writer.get(key(3))).toBe(6)
  })

  test('gets many keys of one version', async () => {
    expect(await stale.getMany([key(3), key(300)])).toEqual([5, 5])
  })
})

test('an iteration that is overtaken on its way says so, and the next one shows what is there', async () => {
  const { storage, overtake } = await world()
  const reader = await open(storage, SMALL)
  const entries = reader.entries()
  expect(await entries.next()).toMatchObject({ value: [key(0), 0] })
  await overtake()
  const rest = async (): Promise<number[]> => {
    const values: number[] = []
    for await (const [, value] of entries) values.push(value)
    return values
  }
  await expect(rest()).rejects.toThrow(code('VERSION_EXPIRED'))
  for await (const value of reader.values()) expect(value).toBe(5)
})

test('a follower that was not told to follow is told to refresh()', async () => {
  const { stale } = await overtaken({ mode: 'follower' })
  await expect(stale.get(key(150))).rejects.toThrow(/Call refresh\(\)/)
  await expect(stale.get(key(150))).rejects.toThrow(code('VERSION_EXPIRED'))
  await stale.refresh()
  expect(await stale.get(key(150))).toBe(5)
})

test('a refresh that fails on its way keeps what it has read, and the next one goes on from there', async () => {
  const inner = memory()
  const writer = await open(inner)
  let [reads, isFlaky] = [0, false]
  const single = { ...inner, log: (path: string) => byEntry(inner.log(path)) }
  const flaky = intercept(single, (call, run) => {
    if (isFlaky && call.method === 'read' && call.target === 'log' && ++reads % 20 === 0) {
      throw new TidemarkError('STORAGE_UNAVAILABLE', 'The line is down.')
    }
    return run(call.signal)
  })
  const behind = await open(flaky)
  for (let i = 0; i < 60; i++) {
    writer.put('k', i)
    await writer.commit()
  }
  isFlaky = true
  let failures = 0
  while (behind.version < writer.version) {
    const before = behind.version
    const failure: unknown = await behind.refresh().catch((error: unknown) => error)
    if (failure === undefined) break
    expect(failure).toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    expect(++failures).toBeLessThan(20)
    expect(behind.version).toBeGreaterThanOrEqual(before)
  }
  expect(failures).toBeGreaterThan(0)
  isFlaky = false
  await behind.refresh()
  expect(await behind.get('k')).toBe(59)
})
