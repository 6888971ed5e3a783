import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { TidemarkError } from '../src/errors.js'
import { intercept } from '../src/storage/intercept.js'
import { objects } from './support/collecting-world.js'

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error
const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store<string, number>> =>
  openStore<string, number>({ storage, name: 's', mode: 'shared', ...(options as object) })

describe.each(['shared', 'exclusive'] as const)('E1 %s', (mode) => {
  test('a tag during which the log is trimmed, then a commit: what is acknowledged is there', async () => {
    const shift = { ms: 0 }
    const clock = { ...systemClock, now: () => systemClock.now() + shift.ms }
    const inner = objects(clock, 'writer')
    let atPut: (() => Promise<unknown>) | undefined
    const line = intercept(inner, async (call, run) => {
      if (call.method === 'put' && call.path.includes('pin') && atPut) {
        const act = atPut
        atPut = undefined
        await act()
      }
      return run(call.signal)
    })
    const asleep = await open(line, { mode, graceMs: 1000, retain: { versions: 2 } })
    asleep.put('mine', 1)
    await asleep.commit()
    const awake = await open(inner, { mode, graceMs: 1000, retain: { versions: 2 }, checkpoint: { entries: 4 } })
    for (let i = 0; i < 30; i++) {
      awake.put('k', i)
      await awake.commit()
    }
    await awake.maintain()
    shift.ms += 2000
    atPut = () => awake.maintain()
    const tagged = await asleep.tag('x').then(() => 'tagged', (e: TidemarkError) => e.code)
    asleep.put('mine', 2)
    const committed = await asleep.commit().then(({ version }) => `committed as ${version}`, (e: TidemarkError) => e.code)
    const reader = await open(inner, { mode: 'follower' })
    console.log('E1', mode, tagged, committed, 'head', reader.version, 'found', await reader.get('mine'))
    if (committed.startsWith('committed')) expect(await reader.get('mine')).toBe(2)
  })
})

test('E2: refresh() of a handle that may not write any more catches up, or says that it does not', async () => {
  const inner = memory()
  let isLost = false
  const line = intercept(inner, async (call, run) => {
    if (isLost && call.method === 'claim') return { outcome: 'unknown', settle: false } as never
    return run(call.signal)
  })
  const [a, b] = [await open(inner), await open(line)]
  isLost = true
  b.put('x', 1)
  await expect(b.commit()).rejects.toThrow(code('UNKNOWN_OUTCOME'))
  a.put('k', 1)
  await a.commit()
  const r = await b.refresh().then(() => 'resolved', (e: TidemarkError) => e.code)
  console.log('E2', r, await b.get('k'))
  if (r === 'resolved') expect(await b.get('k')).toBe(1)
})

test.each(['snapshot', 'transaction', 'watch'])('E3: what was read through %s counts as read', async (how) => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage)]
  a.put('n', 1)
  await a.commit()
  let n = 0
  if (how === 'watch') b.watch({}, (changes) => void (n = changes.at(-1)!.after as number))
  await b.refresh()
  if (how === 'snapshot') n = (await (await b.snapshot()).get('n')) as number
  if (how === 'transaction') n = (await b.transaction((tx) => tx.get('n')))!
  await expect.poll(() => n).toBe(1)
  a.put('n', 10)
  await a.commit()
  b.put('n', n + 1)
  await expect(b.commit()).rejects.toThrow(code('CONFLICT'))
})

test('E4: commits that fall take later ones of the buffer along, in their order', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage)]
  await b.get('k')
  a.put('other', 1)
  await a.commit()
  b.put('k', 1)
  b.put('shared', 1)
  const first = b.commit({ label: 'first' })
  b.put('shared', 2)
  const second = b.commit({ label: 'second' })
  const settled = await Promise.allSettled([first, second])
  console.log('E4', settled.map(({ status }) => status))
  await b.commit()
  await a.refresh()
  expect(await a.get('shared')).toBe(2)
})

test('E5: offsets of commits in the queue when one of them falls', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage, { followMs: 0 })]
  await b.get('k')
  a.put('other', 1)
  await a.commit({ offsets: { theirs: 7 } })
  b.put('x', 1)
  const first = b.commit({ offsets: { mine: 1 } })
  const second = b.commit({ offsets: { mine: 2 } })
  const third = b.transaction((tx) => { tx.put('t', 1) }, { offsets: { mine: 3 } })
  console.log('E5', (await Promise.allSettled([first, second, third])).map(({ status }) => status), b.offsets)
  expect(b.offsets).toEqual({ theirs: 7 })
  await b.commit({ offsets: { mine: 1 } })
  expect(b.offsets).toEqual({ theirs: 7, mine: 1 })
})

test('E6: offsets added up on top of a transaction that falls fall with it', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage)]
  await b.transaction((tx) => { tx.put('warm', 1) })
  await a.refresh()
  a.put('other', 1)
  await a.commit()
  const looking = b.refresh()
  const fallen = b.transaction((tx) => { tx.put('t', 1) }, { offsets: { one: 1 }, tries: 1 }).then(() => 'committed', (e: TidemarkError) => e.code)
  for (let i = 0; i < 3; i++) await Promise.resolve()
  b.put('x', 1)
  const after = b.commit({ offsets: { two: 2 } }).then(() => 'committed', (e: TidemarkError) => e.code)
  await looking
  console.log('E6', await fallen, await after, b.offsets)
  const [t, offsets] = [await b.get('t'), b.offsets as { one?: number }]
  expect(offsets.one === 1).toBe(t === 1)
})

test('E7: offsets of others are not lost under a commit with offsets behind a look', async () => {
  const storage = memory()
  const [a, b] = [await open(storage), await open(storage)]
  await a.commit({ offsets: { theirs: 7 } })
  const looking = b.refresh()
  b.put('x', 1)
  const committed = b.commit({ offsets: { mine: 1 } }).then(() => 'committed', (e: TidemarkError) => e.code)
  await looking
  console.log('E7', await committed, b.offsets)
  expect((b.offsets as { theirs?: number }).theirs).toBe(7)
})
