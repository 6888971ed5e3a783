/** A handle that slept while others wrote, trimmed the log beyond it, or took the store over (R25, R26). */
import { describe, expect, test } from 'vitest'
import { systemClock, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { destroyStore } from 'tidemark/tools'
import { TidemarkError } from '../../../src/errors.js'
import { intercept } from '../../../src/storage/intercept.js'
import { clockwork, code, found, open, outcomes } from '../../support/shared.js'

const GRACE = 1000
const SLEEPER = { graceMs: GRACE, retain: { versions: 2 } } as const
const AWAKE = { ...SLEEPER, checkpoint: { entries: 4 } } as const

interface Overslept {
  readonly inner: Storage
  readonly asleep: Store<string, number>
  readonly awake: Store<string, number>
  readonly pass: (ms: number) => void
  /** How many of the next requests of the sleeper for the anchor fail. */
  readonly fail: { anchor: number }
  /** Called once, when the sleeper is about to write a pin. */
  readonly atPin: { act: (() => Promise<unknown>) | undefined }
}

interface Sleep {
  readonly mode: 'shared' | 'exclusive'
  readonly trim: 'create' | 'writer'
  /** Whether the sleeper's own clock counts the time that it sleeps. Default: no. */
  readonly isCounted?: boolean
}

/** A handle that has written `mine`, and another one that has written thirty versions since. */
async function overslept({ mode, trim, isCounted = false }: Sleep): Promise<Overslept> {
  const { storage: inner, pass: passThere } = clockwork(trim)
  let slept = 0
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + slept }
  const pass = (ms: number): void => {
    passThere(ms)
    if (isCounted) slept += ms
  }
  const fail = { anchor: 0 }
  const atPin: Overslept['atPin'] = { act: undefined }
  const line = intercept(inner, async (call, run) => {
    if (call.target === 'anchor' && fail.anchor > 0) {
      fail.anchor--
      throw new TidemarkError('STORAGE_UNAVAILABLE', 'The line is down.')
    }
    if (call.method === 'put' && call.path.includes('pin')) {
      const { act } = atPin
      atPin.act = undefined
      await act?.()
    }
    return run(call.signal)
  })
  const asleep = await open(line, { ...SLEEPER, mode, clock })
  asleep.put('mine', 1)
  await asleep.commit()
  const awake = await open(inner, { ...AWAKE, mode })
  for (let i = 0; i < 30; i++) {
    awake.put('k', i)
    await awake.commit()
  }
  await awake.maintain()
  pass(2 * GRACE)
  return { inner, asleep, awake, pass, fail, atPin }
}

/** The same with the log trimmed beyond the sleeper, the number after its last one and more. */
async function trimmed(sleep: Sleep): Promise<Overslept> {
  const world = await overslept(sleep)
  for (let i = 0; i < 3; i++) {
    await world.awake.maintain()
    world.pass(2 * GRACE)
    world.awake.put('k', 100 + i)
    await world.awake.commit()
  }
  await world.awake.maintain()
  return world
}

describe.each([
  [{ mode: 'shared', trim: 'create' }, 'done'],
  [{ mode: 'shared', trim: 'create', isCounted: true }, 'done'],
  // Only the writer could have looked at the trim number, and by then it is too late.
  [{ mode: 'shared', trim: 'writer' }, 'UNKNOWN_OUTCOME'],
  [{ mode: 'shared', trim: 'writer', isCounted: true }, 'done'],
  [{ mode: 'exclusive', trim: 'create' }, 'FENCED'],
  [{ mode: 'exclusive', trim: 'writer' }, 'UNKNOWN_OUTCOME'],
] as const)('a handle that slept: %o', (sleep, outcome) => {
  const { mode } = sleep
  test.each<[string, (world: Overslept) => Promise<string | void>]>([
    ['without looking first', async () => undefined],
    [
      'after refreshes that failed at the anchor',
      async ({ asleep, fail }) => {
        fail.anchor = Infinity
        const expected = mode === 'shared' ? 'STORAGE_UNAVAILABLE' : 'done'
        for (let i = 0; i < 2; i++) expect(await outcomes(asleep.refresh())).toEqual([expected])
        fail.anchor = 0
      },
    ],
    [
      'after tagging what is gone',
      async ({ asleep }) => {
        for (const name of ['x', 'y']) await expect(asleep.tag(name)).rejects.toThrow(code('VERSION_EXPIRED'))
      },
    ],
    [
      'after asking what maintain() would do',
      async ({ asleep }) => {
        // One that writes together with others catches up when what it was about to read is gone.
        const isShared = mode === 'shared'
        expect(await outcomes(asleep.maintain({ dryRun: true }))).toEqual([isShared ? 'done' : 'VERSION_EXPIRED'])
        return isShared ? 'done' : outcome
      },
    ],
  ])('what it commits %s is there when it is acknowledged', async (_name, before) => {
    const world = await trimmed(sleep)
    const { inner, asleep } = world
    const expected = (await before(world)) ?? outcome
    asleep.put('mine', 2)
    expect(await outcomes(asleep.commit())).toEqual([expected])
    expect(await found(inner, 'mine')).toBe(expected === 'done' ? 2 : 1)
  })

  test('what it commits after a tag during which the log was trimmed is there when it is acknowledged', async () => {
    const { inner, asleep, awake, atPin } = await overslept(sleep)
    atPin.act = () => awake.maintain()
    await expect(asleep.tag('x')).rejects.toThrow(code('VERSION_EXPIRED'))
    expect(atPin.act).toBeUndefined()
    asleep.put('mine', 2)
    expect(await outcomes(asleep.commit())).toEqual([outcome])
    expect(await found(inner, 'mine')).toBe(outcome === 'done' ? 2 : 1)
  })
})

test('a handle whose commit after a long sleep is of unknown outcome writes on after reopen()', async () => {
  const { inner, asleep } = await trimmed({ mode: 'shared', trim: 'writer' })
  asleep.put('mine', 2)
  await expect(asleep.commit()).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  await asleep.reopen()
  expect(await asleep.get('mine')).toBe(1)
  asleep.put('mine', 3)
  await asleep.commit()
  expect(await found(inner, 'mine')).toBe(3)
})

test('a handle that slept looks once, and then commits as before', async () => {
  const { asleep, awake } = await overslept({ mode: 'shared', trim: 'writer', isCounted: true })
  asleep.put('mine', 2)
  await asleep.commit()
  const { get } = asleep.metrics().requests
  asleep.put('mine', 3)
  await asleep.commit()
  expect(asleep.metrics().requests.get).toBe(get)
  await awake.refresh()
  expect(await awake.get('mine')).toBe(3)
})

test('a handle that slept while the store was destroyed commits nothing any more', async () => {
  const { inner, asleep, awake } = await overslept({ mode: 'shared', trim: 'create', isCounted: true })
  await awake.close()
  await destroyStore({ storage: inner, name: 's' })
  asleep.put('mine', 2)
  await expect(asleep.commit()).rejects.toThrow(code('NOT_FOUND'))
  expect((await inner.logs('')).paths).toEqual([])
})

test('a watch of a handle that slept goes on', async () => {
  const { asleep } = await trimmed({ mode: 'shared', trim: 'create' })
  const seen: unknown[] = []
  asleep.watch({}, (changes) => void seen.push(...changes.map(({ key, after }) => [key, after])))
  await asleep.refresh()
  await expect.poll(() => seen).toContainEqual(['k', 102])
})

test('a handle that reads the history anew is fenced when the store is exclusive by then', async () => {
  const { storage, pass } = clockwork('create')
  const asleep = await open(storage, AWAKE)
  asleep.put('mine', 1)
  await asleep.commit()
  const owner = await open(storage, { ...AWAKE, mode: 'exclusive', force: true })
  for (let i = 0; i < 30; i++) {
    owner.put('k', i)
    await owner.commit()
  }
  await owner.maintain()
  pass(2 * GRACE)
  await owner.maintain()
  await expect(asleep.refresh()).rejects.toThrow(code('FENCED'))
  asleep.put('mine', 2)
  await expect(asleep.commit()).rejects.toThrow(code('FENCED'))
})

test('a handle that slept while the store was exclusive is fenced, though it is shared again', async () => {
  const storage = memory()
  const asleep = await open(storage)
  const owner = await open(storage, { mode: 'exclusive', force: true })
  owner.put('k', 1)
  await owner.commit()
  await open(storage, { force: true })
  asleep.put('x', 1)
  await expect(asleep.commit()).rejects.toThrow(code('FENCED'))
})
