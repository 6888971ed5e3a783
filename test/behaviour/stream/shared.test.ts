/** consume() beside other writers of the store, in shared mode. */
import { expect, test } from 'vitest'
import { openStore, systemClock, type Offsets, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Handler, type Output, type Source } from 'tidemark/stream'

const open = (storage: Storage): Promise<Store<string, number>> =>
  openStore<string, number>({ storage, name: 'shared', mode: 'shared' })

const range = (length: number): number[] => Array.from({ length }, (_, i) => i)

/** Counts all events, those of each value, and emits one output for each. */
const count: Handler<number, number, string, number> = async ({ value }, state, emit) => {
  state.put('all', ((await state.get('all')) ?? 0) + 1)
  state.put(`v${value}`, ((await state.get(`v${value}`)) ?? 0) + 1)
  emit(value)
}

async function add(store: Store<string, number>, key: string): Promise<void> {
  await store.transaction(async (tx) => tx.put(key, ((await tx.get(key)) ?? 0) + 1))
}

test.each([2, 3, 10, 100])(
  'others that commit every %i events end no run, and everything has its effect once',
  async (every) => {
    const storage = memory()
    const [mine, other] = [await open(storage), await open(storage)]
    const outputs: Output<number>[] = []
    let calls = 0
    let others = 0
    const handler: typeof count = async (event, state, emit) => {
      if (calls++ % every === 0 && calls < 300) {
        // The very key that the handler reads and writes, too.
        await add(other, 'all')
        others++
      }
      await count(event, state, emit)
    }
    const sink = { deliver: (delivered: readonly Output<number>[]) => void outputs.push(...delivered) }
    const result = await consume(mine, fromIterable('s', range(100)), handler, { everyEvents: 10, sink })
    expect(result.events).toBe(100)
    await other.refresh()
    expect(await other.get('all')).toBe(100 + others)
    for (const i of range(100)) expect(await other.get(`v${i}`)).toBe(1)
    expect(outputs.map(({ value }) => value)).toEqual(range(100))
    expect(outputs.map(({ id }) => id)).toEqual(range(100).map((i) => String(i + 1)))
    expect(other.offsets).toEqual({ s: { 0: 100 } })
    expect(calls).toBeGreaterThan(100)
  },
)

test('two runs of one source share its events: each has its effect once', async () => {
  const storage = memory()
  const stores = [await open(storage), await open(storage)]
  const outputs: Output<number>[] = []
  const sink = { deliver: (delivered: readonly Output<number>[]) => void outputs.push(...delivered) }
  const source: Source<number> = {
    name: 's',
    partitions: 1,
    async *read(_, from) {
      for (let offset = Number(from ?? 0); offset < 60; offset++) {
        await systemClock.pause()
        yield { offset, value: offset }
      }
    },
  }
  await Promise.all(stores.map((store) => consume(store, source, count, { everyEvents: 7, sink })))
  const reader = await open(storage)
  expect(await reader.get('all')).toBe(60)
  expect(reader.offsets).toEqual({ s: { 0: 60 } })
  // A starting run takes over what is not delivered yet: under the same id.
  expect(new Map(outputs.map(({ id, value }) => [id, value])).size).toBe(60)
  expect(new Set(outputs.map(({ value }) => value)).size).toBe(60)
})

test('two runs of different sources, with a sink each, deliver all', async () => {
  const storage = memory()
  const stores = [await open(storage), await open(storage)]
  const outputs: Output<number>[] = []
  const sink = { deliver: (delivered: readonly Output<number>[]) => void outputs.push(...delivered) }
  await Promise.all(
    stores.map((store, i) => consume(store, fromIterable(`s${i}`, range(30)), count, { everyEvents: 4, sink })),
  )
  const reader = await open(storage)
  expect(await reader.get('all')).toBe(60)
  expect(new Map(outputs.map(({ id, value }) => [id, value])).size).toBe(60)
})

test.each<[string, Offsets]>([
  ['back', { s: { 0: 1 } }],
  ['to a string', { s: { 0: 'elsewhere' } }],
])('a source that another writer moved %s ends the run with CONFLICT', async (_, offsets) => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
    state.put('last', value)
    if (value !== 12) return
    await other.refresh()
    await other.commit({ offsets, force: true })
  }
  const run = consume(mine, fromIterable('s', range(20)), handler, { everyEvents: 5 })
  await expect(run).rejects.toMatchObject({ code: 'CONFLICT' })
  await mine.refresh()
  expect(mine.offsets).toEqual(offsets)
  expect(await mine.get('last')).toBe(9)
})

test('what was put before the run is kept, whatever others do', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  mine.put('before', 1)
  let calls = 0
  const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
    state.put('last', value)
    if (calls++ === 1) await add(other, 'all')
  }
  await consume(mine, fromIterable('s', range(3)), handler)
  await other.refresh()
  expect(await other.getMany(['before', 'last', 'all'])).toEqual([1, 2, 1])
})

test('what the program puts on the same handle meanwhile stays its own', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  mine.put('before', 1)
  let calls = 0
  const handler: typeof count = async (event, state, emit) => {
    if (calls++ === 1) {
      mine.put('beside', 2)
      await add(other, 'all')
    }
    await count(event, state, emit)
  }
  await consume(mine, fromIterable('s', range(5)), handler, { sink: { deliver: () => undefined } })
  expect(calls).toBeGreaterThan(5)
  expect(await mine.getMany(['before', 'beside', 'all'])).toEqual([1, 2, 6])
  await mine.commit()
  await other.refresh()
  expect(await other.getMany(['before', 'beside', 'all'])).toEqual([1, 2, 6])
})

test('what the program has read on the same handle counts as read, whatever the run catches up with', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  let calls = 0
  const handler: Handler<number, unknown, string, number> = async ({ value }, state) => {
    if (calls++ === 1) {
      mine.put('beside', ((await mine.get('beside')) ?? 0) + 1)
      await add(other, 'beside')
    }
    state.put('last', value)
  }
  await consume(mine, fromIterable('s', range(3)), handler)
  expect(calls).toBeGreaterThan(3)
  await expect(mine.commit()).rejects.toMatchObject({ code: 'CONFLICT' })
})

test('a commit on the same handle takes no half of a batch along', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  let calls = 0
  const handler: typeof count = async (event, state, emit) => {
    await count(event, state, emit)
    if (++calls !== 3) return
    mine.put('beside', 2)
    await mine.commit()
    await add(other, 'all')
  }
  await consume(mine, fromIterable('s', range(5)), handler, { sink: { deliver: () => undefined } })
  await other.refresh()
  expect(await other.getMany(['beside', 'all'])).toEqual([2, 6])
  for (const i of range(5)) expect(await other.get(`v${i}`)).toBe(1)
})

test('events that another run has taken have no effect twice, though the program knows its offsets', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  const sink = { deliver: (): void => undefined }
  const handler: typeof count = async (event, state, emit) => {
    if (event.value === 3) {
      await consume(other, fromIterable('s', range(5)), count, { sink })
      await mine.refresh()
      expect(mine.offsets).toEqual({ s: { 0: 5 } })
    }
    await count(event, state, emit)
  }
  await consume(mine, fromIterable('s', range(8)), handler, { sink })
  await other.refresh()
  expect(await other.get('all')).toBe(8)
  for (const i of range(8)) expect(await other.get(`v${i}`)).toBe(1)
})

test('a transaction of the same handle beside a batch is not overwritten by it', async () => {
  const store = await open(memory())
  let isAdded = false
  await consume(store, fromIterable('s', range(3)), async (_, state) => {
    const before = (await state.get('all')) ?? 0
    if (!isAdded) {
      isAdded = true
      await store.transaction(async (tx) => tx.put('all', ((await tx.get('all')) ?? 0) + 10))
    }
    state.put('all', before + 1)
  })
  expect(await store.get('all')).toBe(13)
})

test('a batch sees one state of the store, whatever others commit while it is handled', async () => {
  const storage = memory()
  const [mine, other] = [await open(storage), await open(storage)]
  const both = async (n: number): Promise<void> => {
    await other.transaction((tx) => {
      tx.put('x', n)
      tx.put('y', n)
    })
  }
  await both(0)
  let calls = 0
  const result = await consume(mine, fromIterable('s', range(20)), async (_, state) => {
    const x = await state.get('x')
    if (calls++ < 10) {
      await both(calls)
      await mine.refresh()
    }
    if ((await state.get('y')) !== x) throw new Error('torn')
  })
  expect(result.events).toBe(20)
})
