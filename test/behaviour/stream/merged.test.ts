/**
 * Reading into shards that were split and merged: which events count, where the source is read on, and whose outputs are delivered (S4).
 * The entries that a split or a merge would write are written by hand here.
 */
import { openStore, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, type Output, type Source, type SourceEvent } from 'tidemark/stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { keyHash } from '../../../src/bytes/hash.js'
import { encodeKey } from '../../../src/bytes/keys.js'
import { parseOffsets, type Offsets } from '../../../src/log/offsets.js'
import { NO_SPANS, type Spans } from '../../../src/log/spans.js'
import { handleOf } from '../../../src/store/handles.js'

const PARTITIONS = 4
const open = (storage = memory(), options = {}): Promise<Store> =>
  openStore({ storage, name: 's', partitions: PARTITIONS, ...options })

interface Header {
  /** The partitions of the shard. */
  readonly own?: readonly [first: number, last: number]
  /** By the source: its positions in runs of partitions. */
  readonly spans?: {
    readonly [source: string]: readonly (readonly [first: number, last: number, at: Offsets[string]])[]
  }
  readonly offsets?: Offsets
}

const positionsOf = (at: Offsets[string]) => parseOffsets({ at }).get('at')!

/** Writes an entry with the header that a shard has after a split or a merge. */
async function become(store: Store, { own, spans = {}, offsets }: Header): Promise<void> {
  const all: Spans = new Map(
    Object.entries(spans).map(([source, each]) => [
      source,
      { isAligned: false, spans: each.map(([first, last, at]) => ({ first, last, positions: positionsOf(at) })) },
    ]),
  )
  await handleOf(store).shard.writer.append(async (state) => ({
    kind: 'commit',
    offsets: new Map(
      [...(offsets ? parseOffsets(offsets) : state.carried.offsets)].filter(([source]) => !all.has(source)),
    ),
    spans: all,
    ...(own && { own: { first: own[0], last: own[1], parents: [] } }),
  }))
}

const partitionOf = (key: number): number => keyHash(encodeKey(key)) % PARTITIONS

/** A source of one partition; the keys of its events are their offsets. */
const numbers = (length: number, name = 'n'): Source<number> => ({
  name,
  partitions: 1,
  *read(_, from) {
    for (let offset = Number(from ?? 0); offset < length; offset++) yield { offset, key: offset, value: offset }
  },
})

/** A source whose positions have no order. `before` is called before each event. */
const cursors = (
  length: number,
  asked: unknown[] = [],
  before: (at: unknown, i: number) => unknown = () => undefined,
): Source<number> => ({
  name: 'c',
  partitions: 1,
  async *read(_, at) {
    asked.push(at)
    const start = at === undefined ? 0 : Number(String(at).slice(1))
    for (let i = start; i < length; i++) {
      await before(at, i)
      yield { offset: `c${i}`, next: `c${i + 1}`, key: i, value: i } satisfies SourceEvent<number>
    }
  },
})

/** Takes note of each event in the partition to which it belongs. */
async function read(store: Store, source: Source<number>, options = {}): Promise<number[]> {
  const seen: number[] = []
  await consume(
    store,
    source,
    ({ value }, state) => {
      seen.push(value)
      state.put(value, seen.length)
    },
    options,
  )
  return seen
}

async function keysOf(store: Store, partitions: readonly number[]): Promise<number[]> {
  const all: number[] = []
  for (const i of partitions) for await (const key of store.partition(i).keys()) all.push(key as number)
  return all.sort((a, b) => a - b)
}

const from = (start: number, length: number): number[] => Array.from({ length: length - start }, (_, i) => start + i)

describe('a source with another number of partitions than the store', () => {
  test('is read from the lowest position, and each partition from its own', async () => {
    const store = await open()
    await become(store, {
      spans: {
        n: [
          [0, 1, 5],
          [2, 3, 12],
        ],
      },
    })
    expect(store.offsets).toEqual({ n: 5 })
    const expected = from(5, 30).filter((key) => key >= (partitionOf(key) < 2 ? 5 : 12))
    expect(await read(store, numbers(30))).toEqual(expected)
    expect(store.offsets).toEqual({ n: 30 })
    expect(handleOf(store).state.carried.spans).toEqual(NO_SPANS)
    expect(await read(store, numbers(40))).toEqual(from(30, 40))
  })

  test('has its events handled once, wherever the runs end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(20), { minLength: PARTITIONS, maxLength: PARTITIONS }),
        fc.integer({ min: 1, max: 6 }),
        async (starts, everyEvents) => {
          const storage = memory()
          let store = await open(storage)
          await become(store, { spans: { n: starts.map((at, i) => [i, i, at] as const) } })
          let hasEnded = false
          for (let runs = 0; runs < 60 && !hasEnded; runs++) {
            // Each run but the last ends by an error, some events after a commit.
            let events = 0
            const run = consume(
              store,
              numbers(30),
              async ({ value }, state) => {
                if (events++ === everyEvents + 2) throw new Error('the end')
                state.put(value, (((await state.get(value)) as number | undefined) ?? 0) + 1)
              },
              { everyEvents, everyMs: 3_600_000 },
            )
            hasEnded = await run.then(
              () => true,
              () => false,
            )
            await store.close()
            store = await open(storage)
          }
          for (const key of from(0, 30))
            expect(await store.get(key), `event ${key}`).toBe(key >= starts[partitionOf(key)]! ? 1 : undefined)
          expect(store.offsets).toEqual({ n: 30 })
          await store.close()
        },
      ),
      { numRuns: 25 },
    )
  })

  test('of several partitions has one position for each of them and each span', async () => {
    const store = await open()
    await become(store, {
      spans: {
        two: [
          [0, 1, { 0: 4, 1: 8 }],
          [2, 3, { 0: 9 }],
        ],
      },
    })
    expect(store.offsets).toEqual({ two: { 0: 4 } })
    const source: Source<number> = {
      name: 'two',
      partitions: 2,
      *read(partition, at) {
        for (let offset = Number(at ?? 0); offset < 12; offset++)
          yield { offset, key: partition * 100 + offset, value: partition * 100 + offset }
      },
    }
    const seen = await read(store, source)
    const expected = from(0, 12)
      .flatMap((offset) => [offset, 100 + offset])
      .filter((key) => {
        const [isLeft, isFirst] = [partitionOf(key) < 2, key < 100]
        return key % 100 >= (isLeft ? (isFirst ? 4 : 8) : isFirst ? 9 : 0)
      })
    expect(seen.toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b))
    expect(store.offsets).toEqual({ two: { 0: 12, 1: 12 } })
    expect(handleOf(store).state.carried.spans.size).toBe(0)
  })

  test('whose positions are strings is read once for each of them, until they are equal', async () => {
    const store = await open()
    await become(store, {
      spans: {
        c: [
          [0, 0, 'c7'],
          [1, 2, 'c20'],
          [3, 3, { 0: 'c3' }],
        ],
      },
    })
    const asked: unknown[] = []
    const seen = await read(store, cursors(30, asked), { everyEvents: 4 })
    expect(asked).toEqual(['c7', 'c20', 'c3'])
    const startOf = (key: number): number => [7, 20, 20, 3][partitionOf(key)]!
    expect(seen.toSorted((a, b) => a - b)).toEqual(from(3, 30).filter((key) => key >= startOf(key)))
    expect(store.offsets).toEqual({ c: 'c30' })
    expect(handleOf(store).state.carried.spans.size).toBe(0)
    expect(await read(store, cursors(33))).toEqual([30, 31, 32])
  })

  test('whose strings meet goes on in one reading, and handles nothing twice', async () => {
    const store = await open()
    await become(store, {
      spans: {
        c: [
          [0, 1, 'c0'],
          [2, 3, 'c10'],
        ],
      },
    })
    const seen: number[] = []
    let meet!: () => void
    const met = new Promise<void>((resolve) => (meet = resolve))
    const asked: unknown[] = []
    // The second reading waits until the first one has come as far.
    const source = cursors(30, asked, async (at, i) => {
      if (at === 'c0' && i === 12) meet()
      if (at === 'c10') await met
    })
    await consume(store, source, ({ value }) => void seen.push(value), { everyEvents: 1 })
    expect(asked).toEqual(['c0', 'c10'])
    expect(seen).toEqual(from(0, 30).filter((key) => key >= (partitionOf(key) < 2 ? 0 : 10)))
    expect(store.offsets).toEqual({ c: 'c30' })
  })

  test('a string that is set by hand is one for all partitions', async () => {
    const store = await open()
    await become(store, {
      spans: {
        n: [
          [0, 1, 'x'],
          [2, 3, 'y'],
        ],
      },
    })
    await store.commit({ offsets: { n: 'z' } })
    expect(store.offsets).toEqual({ n: 'z' })
    expect(handleOf(store).state.carried.spans.size).toBe(0)
  })

  test('in shared mode two handles go on from what the other has committed', async () => {
    const storage = memory()
    const [one, two] = [await open(storage, { mode: 'shared' }), await open(storage, { mode: 'shared' })]
    await become(one, {
      spans: {
        n: [
          [0, 1, 0],
          [2, 3, 10],
        ],
      },
    })
    await two.refresh()
    const both = [one, two].map((store) =>
      consume(
        store,
        numbers(20),
        async ({ value }, state) => {
          state.put(value, (((await state.get(value)) as number | undefined) ?? 0) + 1)
        },
        { everyEvents: 5, everyMs: 3_600_000 },
      ),
    )
    await Promise.all(both)
    await one.refresh()
    for (const key of from(0, 20)) {
      const times = await one.get(key)
      expect(times, `event ${key}`).toBe(key >= (partitionOf(key) < 2 ? 0 : 10) ? 1 : undefined)
    }
    expect(one.offsets).toEqual({ n: 20 })
  })
})

describe('a source with as many partitions as the store', () => {
  const aligned = (length: number, asked: [number, unknown][] = []): Source<number> => ({
    name: 'p',
    *read(partition, at) {
      asked.push([partition, at])
      for (let offset = Number(at ?? 0); offset < length; offset++) yield { offset, value: partition * 100 + offset }
    },
  })

  test('is read on from where each partition stands, and then its positions are plain', async () => {
    const store = await open()
    const stale = { 0: 1, 1: 1, 2: 1, 3: 1 }
    await become(store, {
      spans: {
        p: [
          [0, 1, { ...stale, 0: 5, 1: 6 }],
          [2, 3, { ...stale, 2: 7, 3: 8 }],
        ],
      },
    })
    expect(store.offsets).toEqual({ p: stale })
    const asked: [number, unknown][] = []
    const seen = await read(store, aligned(8, asked))
    expect(asked).toEqual([
      [0, 5],
      [1, 6],
      [2, 7],
      [3, 8],
    ])
    expect(seen.toSorted((a, b) => a - b)).toEqual([5, 6, 7, 106, 107, 207])
    expect(store.offsets).toEqual({ p: { 0: 8, 1: 8, 2: 8, 3: 8 } })
    expect(handleOf(store).state.carried.spans.size).toBe(0)
  })

  test('a commit that moves one partition writes down where all stand', async () => {
    const store = await open()
    await become(store, {
      spans: {
        p: [
          [0, 1, { 0: 5, 1: 6 }],
          [2, 3, { 2: 7 }],
        ],
      },
    })
    const stop = new AbortController()
    await consume(store, aligned(9), () => stop.abort(), { signal: stop.signal })
    expect(store.offsets).toEqual({ p: { 0: 6, 1: 6, 2: 7 } })
  })

  test('is read in the partitions of the shard only', async () => {
    const store = await open()
    await become(store, { own: [1, 2], offsets: { p: { 0: 1, 1: 2, 2: 3, 3: 4 } } })
    const asked: [number, unknown][] = []
    await read(store, aligned(5, asked))
    expect(asked).toEqual([
      [1, 2],
      [2, 3],
    ])
    expect(store.offsets).toEqual({ p: { 0: 1, 1: 5, 2: 5, 3: 4 } })
  })
})

test('events of other shards are left out, and the position goes on beyond them', async () => {
  const storage = memory()
  const store = await open(storage)
  await become(store, { own: [1, 2] })
  const mine = from(0, 40).filter((key) => partitionOf(key) === 1 || partitionOf(key) === 2)
  const result = await consume(store, numbers(40), ({ value }, state) => state.put(value, 1))
  expect(result.events).toBe(mine.length)
  expect(await keysOf(store, [1, 2])).toEqual(mine)
  expect(store.offsets).toEqual({ n: { 0: 40 } })
  // A source of which nothing is for this shard is not read from its beginning each time.
  const others = from(0, 40).filter((key) => partitionOf(key) === 3)
  const source: Source<number> = {
    name: 'others',
    partitions: 1,
    *read(_, at) {
      for (const [offset, key] of others.entries()) if (offset >= Number(at ?? 0)) yield { offset, key, value: key }
    },
  }
  expect(await read(store, source)).toEqual([])
  expect(store.offsets).toEqual({ n: { 0: 40 }, others: { 0: others.length } })
  await store.close()
})

describe('outputs', () => {
  const emitting = (values: readonly number[], name: string): Source<number> => ({
    name,
    partitions: 1,
    *read(_, at) {
      for (const [offset, key] of values.entries())
        if (offset >= Number(at ?? 0)) yield { offset, key, value: key } satisfies SourceEvent<number>
    },
  })

  async function run(store: Store, source: Source<number>, delivered: Output<number>[] | undefined): Promise<void> {
    const running = consume<number, number>(store, source, ({ value }, _, emit) => emit(value), {
      sink: {
        deliver(outputs) {
          if (!delivered) throw new Error('unreachable')
          delivered.push(...outputs)
        },
      },
    })
    await (delivered ? running : expect(running).rejects.toThrow('unreachable'))
  }

  test('of all partitions of a shard are delivered once, under ids that stay', async () => {
    const keys = (partition: number): number[] => from(0, 60).filter((key) => partitionOf(key) === partition)
    const [zero, two, three] = [keys(0).slice(0, 3), keys(2).slice(0, 2), keys(3).slice(0, 1)]
    const store = await open()
    await become(store, { own: [0, 1] })
    await run(store, emitting(zero, 'a'), undefined)
    await become(store, { own: [2, 2] })
    await run(store, emitting(two, 'b'), undefined)
    await become(store, { own: [3, 3] })
    await run(store, emitting(three, 'c'), undefined)
    await become(store, { own: [0, 3] })
    const delivered: Output<number>[] = []
    await run(store, emitting(keys(1).slice(0, 2), 'd'), delivered)
    expect(delivered.map(({ id }) => id)).toEqual(['1', '2', '3', '2-1', '2-2', '3-1', '4', '5'])
    expect(delivered.map(({ value }) => value)).toEqual([...zero, ...two, ...three, ...keys(1).slice(0, 2)])
    const again: Output<number>[] = []
    await run(store, emitting([], 'e'), again)
    expect(again).toEqual([])
    // Numbers of a partition go on after the next split.
    await become(store, { own: [2, 3] })
    await run(store, emitting(keys(2).slice(2, 3), 'f'), again)
    expect(again.map(({ id }) => id)).toEqual(['2-3'])
  })
})

test('fingerprints of all partitions of a shard are known, and the one that belongs to the position is given', async () => {
  const store = await open()
  const marked = (length: number, asked: unknown[]): Source<number> => ({
    name: 'n',
    partitions: 1,
    *read(_, at, { fingerprint }) {
      asked.push(fingerprint)
      for (let offset = Number(at ?? 0); offset < length; offset++)
        yield { offset, key: offset, value: offset, fingerprint: () => `after ${offset}` }
    },
  })
  const asked: unknown[] = []
  await become(store, { own: [0, 1] })
  await read(store, marked(8, asked))
  await become(store, { own: [2, 3], offsets: {} })
  await read(store, marked(5, asked))
  await become(store, {
    own: [0, 3],
    spans: {
      n: [
        [0, 1, 8],
        [2, 3, 5],
      ],
    },
  })
  const seen = await read(store, marked(10, asked))
  expect(asked).toEqual([undefined, undefined, 'after 4'])
  expect(seen).toEqual(from(5, 10).filter((key) => key >= (partitionOf(key) < 2 ? 8 : 5)))
})
