import { describe, expect, test } from 'vitest'
import { openStore, type Key, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Handler, type Source, type SourceEvent } from 'tidemark/stream'

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 'stream', ...options })

/** A source of given events per partition. */
function sourceOf<V>(name: string, ...partitions: SourceEvent<V>[][]): Source<V> {
  return {
    name,
    partitions: partitions.length,
    async *read(partition) {
      yield* partitions[partition]!
    },
  }
}

async function entriesOf(table: { entries(): AsyncIterable<[Key, unknown]> }): Promise<[Key, unknown][]> {
  const all: [Key, unknown][] = []
  for await (const entry of table.entries()) all.push(entry)
  return all
}

/** Consumes the values of an iterable and returns those that the handler saw. */
async function seen<V>(store: Store, values: V[], options = {}, handler: Handler<V> = () => {}): Promise<V[]> {
  const all: V[] = []
  await consume(
    store,
    fromIterable('input', values),
    async (event, state, emit) => {
      all.push(event.value)
      await handler(event, state, emit)
    },
    options,
  )
  return all
}

const LONG = { everyMs: 3_600_000 }
const ONE = { everyEvents: 1 }
const INPUT = [0, 1, 2, 3, 4]

describe('a run after a crash', () => {
  const failing: Handler<number> = ({ value }, state) => {
    state.put(value, 'seen')
    if (value === 2) throw new Error('injected')
  }

  test('with a long interval sees everything again, and nothing of the crashed run is left', async () => {
    const storage = memory()
    const store = await open(storage)
    await expect(seen(store, INPUT, LONG, failing)).rejects.toThrow('injected')
    expect(await entriesOf(store)).toEqual([])
    expect(store.offsets).toEqual({})
    await store.close()
    expect(await seen(await open(storage), INPUT, LONG)).toEqual(INPUT)
  })

  test.each([ONE, { everyMs: 0 }])('with one event per commit (%o) goes on at the event that failed', async (one) => {
    const storage = memory()
    const store = await open(storage)
    await expect(seen(store, INPUT, one, failing)).rejects.toThrow('injected')
    expect(await entriesOf(store)).toEqual([
      [0, 'seen'],
      [1, 'seen'],
    ])
    expect(store.offsets).toEqual({ input: { 0: 2 } })
    await store.close()
    expect(await seen(await open(storage), INPUT, one)).toEqual([2, 3, 4])
  })

  test('after the input 0, 1, 2 sees 3 and 4 only, when each event was committed', async () => {
    const storage = memory()
    const store = await open(storage)
    const source = async function* (): AsyncGenerator<SourceEvent<number>> {
      yield* [0, 1, 2].map((value) => ({ offset: value, value }))
      throw new Error('injected')
    }
    await expect(consume(store, { name: 'input', partitions: 1, read: source }, () => {}, ONE)).rejects.toThrow()
    expect(await seen(await open(storage), INPUT, ONE)).toEqual([3, 4])
  })
})

describe('runs one after another', () => {
  test('go on as the input grows: [0, 1, 2], [3, 4], [], []', async () => {
    const storage = memory()
    const runs: number[][] = []
    for (const values of [[0, 1, 2], INPUT, INPUT, INPUT]) {
      const store = await open(storage)
      runs.push(await seen(store, values))
      await store.close()
    }
    expect(runs).toEqual([[0, 1, 2], [3, 4], [], []])
  })

  test('without new events make no commit, however often', async () => {
    const storage = memory()
    await seen(await open(storage), INPUT)
    for (let i = 0; i < 100; i++) {
      const store = await open(storage)
      const before = store.version
      expect(await consume(store, fromIterable('input', INPUT), () => {})).toEqual({
        events: 0,
        commits: 0,
        version: before,
      })
      expect(store.offsets).toEqual({ input: { 0: 5 } })
      await store.close()
    }
  })

  test('keep a key that was untouched for many commits', async () => {
    const storage = memory()
    const small = { checkpoint: { entries: 3, bytes: 100 }, segmentBytes: 200 }
    const store = await open(storage, small)
    await consume(
      store,
      fromIterable(
        'input',
        Array.from({ length: 100 }, (_, i) => i),
      ),
      ({ value }, state) => state.put(value === 0 ? 'once' : `k${value % 3}`, value),
      ONE,
    )
    await store.close()
    const again = await open(storage, small)
    expect(await again.get('once')).toBe(0)
    expect(await again.get('k1')).toBe(97)
  })

  test('find a deleted key empty', async () => {
    const storage = memory()
    const counts: (number | undefined)[] = []
    const handler: Handler<string> = async ({ value }, state) => {
      counts.push((await state.get('key')) as number | undefined)
      if (value === 'delete') state.delete('key')
      else state.put('key', counts.length)
    }
    const values = ['put', 'put', 'delete', 'put']
    for (let i = 1; i <= values.length; i++) {
      const store = await open(storage)
      await consume(store, fromIterable('input', values.slice(0, i)), handler)
      await store.close()
    }
    expect(counts).toEqual([undefined, 1, 2, undefined])
  })

  test('are refused to another job', async () => {
    const storage = memory()
    await (await open(storage, { job: 'a' })).close()
    await expect(open(storage, { job: 'b' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('offsets', () => {
  test('that come as 30, 29, 31: the second is skipped, where a commit would refuse it', async () => {
    const store = await open(memory())
    const events = [29, 28, 30].map((offset) => ({ offset, next: offset + 1, value: offset + 1 }))
    const handled: number[] = []
    const run = await consume(store, sourceOf('s', events), ({ value }) => handled.push(value), ONE)
    expect(handled).toEqual([30, 31])
    expect(run).toMatchObject({ events: 2, commits: 2 })
    expect(store.offsets).toEqual({ s: { 0: 31 } })
    await expect(store.commit({ offsets: { s: { 0: 30 } } })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('below what is committed are skipped, also when the source begins too early', async () => {
    const store = await open(memory())
    await store.commit({ offsets: { s: { 0: 30 } } })
    const handled: number[] = []
    const events = [28, 29, 30, 31].map((offset) => ({ offset, value: offset }))
    await consume(store, sourceOf('s', events), ({ value }) => handled.push(value))
    expect(handled).toEqual([30, 31])
  })

  test('keep the shape of one position for the whole source, when the store has that', async () => {
    const store = await open(memory())
    await store.commit({ offsets: { s: 2, other: { 7: 'x' } } })
    await consume(store, fromIterable('s', INPUT), () => {})
    expect(store.offsets).toEqual({ s: 5, other: { 7: 'x' } })
    await expect(consume(store, sourceOf('s', [], []), () => {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('may be bigints, or strings with a `next`, which skip nothing', async () => {
    const store = await open(memory())
    const from: unknown[] = []
    const read = (events: SourceEvent<number>[]): Source<number>['read'] =>
      async function* (_, at) {
        from.push(at)
        yield* events
      }
    const big = { name: 'big', partitions: 1, read: read([{ offset: 2n ** 60n, value: 1 }]) }
    const text = { name: 'text', partitions: 1, read: read([{ offset: 'b', next: 'a', value: 1 }]) }
    for (let i = 0; i < 2; i++) {
      await consume(store, big, () => {})
      await consume(store, text, () => {})
    }
    expect(from).toEqual([undefined, undefined, 2n ** 60n + 1n, 'a'])
    expect(store.offsets).toEqual({ big: { 0: 2n ** 60n + 1n }, text: { 0: 'a' } })
  })

  test.each<[string, object]>([
    ['a string without `next`', { offset: 'a' }],
    ['none', {}],
    ['no number', { offset: Number.NaN }],
    ['a `next` that does not go on', { offset: 5, next: 5 }],
    ['too large to count on', { offset: 2 ** 53 }],
  ])('are refused, naming the source: %s', async (_, event) => {
    const store = await open(memory())
    const source = sourceOf('named', [{ value: 1, ...event } as SourceEvent])
    await expect(consume(store, source, () => {})).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('"named"'),
    })
  })
})

describe('partitions', () => {
  test("hold a changelog's keys apart, with the last position of each", async () => {
    const storage = memory()
    const store = await open(storage, { partitions: 5 })
    const put = (offset: number, key: string, value: string | null): SourceEvent<string | null> => ({
      offset,
      key,
      value,
    })
    const topics = {
      foo: [[put(1001, 'k1', 'v1')], [put(2002, 'k2', 'v2')], [], [], []],
      bar: [[], [], [put(3003, 'k3', 'v3')], [], []],
      baz: [[], [], [], [], [put(4004, 'k4', 'v4'), put(4005, 'k5', null)]],
    }
    for (const [name, partitions] of Object.entries(topics)) {
      await consume(store, sourceOf(name, ...partitions), ({ key, value }, state) => {
        if (value === null) state.delete(key!)
        else state.put(key!, value)
      })
    }
    await store.close()
    const again = await open(storage)
    expect(await entriesOf(again)).toEqual([1, 2, 3, 4].map((i) => [`k${i}`, `v${i}`]))
    expect(again.offsets).toEqual({ foo: { 0: 1002, 1: 2003 }, bar: { 2: 3004 }, baz: { 4: 4006 } })
    const [zero, one] = [again.partition(0), again.partition(1)]
    expect(await zero.get('k1')).toBe('v1')
    expect(await one.get('k1')).toBeUndefined()
    expect(await entriesOf(one)).toEqual([['k2', 'v2']])
    expect(await entriesOf(again.partition(3))).toEqual([])
  })

  test('are those of the source when the store has as many, whatever the keys', async () => {
    const store = await open(memory(), { partitions: 3 })
    const source = fromIterable('s', INPUT, { key: () => 'same', partition: (value) => value % 3 })
    const used = new Map<number, number>()
    await consume(store, source, ({ value }, state) => {
      used.set(value, state.number)
      state.put('last', value)
      state.table('t').put(value, value)
    })
    expect(used).toEqual(new Map(INPUT.map((value) => [value, value % 3])))
    expect(await store.partition(1).get('last')).toBe(4)
    expect(await entriesOf(store.partition(1).table('t'))).toEqual([
      [1, 1],
      [4, 4],
    ])
    expect(store.offsets).toEqual({ s: { 0: 4, 1: 5, 2: 3 } })
  })

  test('follow from the key as in store.put when the numbers differ, and without a key are 0', async () => {
    const store = await open(memory(), { partitions: 4 })
    const keys: Key[] = ['a', 'b', 'ä', 1, -0, 2n, ['x', 1], new Uint8Array([1, 2]), '']
    const used = new Set<number>()
    await consume(store, fromIterable('s', keys, { key: (key) => key }), (event, state) => {
      used.add(state.number)
      state.put(event.key!, 'found')
    })
    for (const key of keys) expect(await store.get(key)).toBe('found')
    expect(used.size).toBe(4)
    await consume(store, fromIterable('keyless', INPUT), (_, state) => expect(state.number).toBe(0))
  })

  test('give the same table each time that a handler asks', async () => {
    const store = await open(memory())
    const tables = new Set()
    await consume(store, fromIterable('s', INPUT), (_, state) => tables.add(state.table('t')))
    expect(tables.size).toBe(1)
  })
})

describe('fromIterable', () => {
  const values = [{ id: 'a' }, { id: 'b' }, { id: 'a' }]

  test('takes the key from a field or a function', async () => {
    for (const key of ['id', (value: { id: string }) => value.id]) {
      const keys: unknown[] = []
      await consume(await open(memory()), fromIterable('s', values, { key }), (event) => keys.push(event.key))
      expect(keys).toEqual(['a', 'b', 'a'])
    }
  })

  test.each<[string, () => Iterable<number> | AsyncIterable<number>]>([
    ['a Set', () => new Set(INPUT)],
    ['a generator', () => INPUT.values()],
    [
      'an async generator',
      async function* () {
        yield* INPUT
      },
    ],
  ])('takes %s, and skips what is committed', async (_, make) => {
    const store = await open(memory())
    await store.commit({ offsets: { s: { 0: 3 } } })
    const handled: number[] = []
    await consume(store, fromIterable('s', make()), ({ value }) => handled.push(value))
    expect(handled).toEqual([3, 4])
  })

  test('refuses what cannot work', async () => {
    const store = await open(memory(), { partitions: 2 })
    const partition = (value: number): number => value
    const refused = { code: 'INVALID_ARGUMENT' }
    expect(() => fromIterable('s', 5 as never)).toThrow('iterable')
    expect(() => fromIterable('s', INPUT, { partitions: 2 })).toThrow('partition')
    await expect(consume(store, fromIterable('s', INPUT.values(), { partition }), () => {})).rejects.toMatchObject(
      refused,
    )
    await expect(consume(store, fromIterable('s', INPUT, { partition }), () => {})).rejects.toMatchObject(refused)
    await store.commit({ offsets: { text: { 0: 'x' } } })
    await expect(consume(store, fromIterable('text', INPUT), () => {})).rejects.toMatchObject(refused)
  })
})
