import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Clock, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type Progress, type Source, type SourceEvent } from 'tidemark/stream'
import { faulty } from 'tidemark/testing'
import { hastyClock } from '../../support/history.js'

const open = (options: Partial<OpenOptions> = {}, storage: Storage = memory()): Promise<Store> =>
  openStore({ storage, name: 'stream', ...options })

const turn = (): Promise<void> => systemClock.pause()
const range = (length: number): number[] => Array.from({ length }, (_, i) => i)

interface Watched extends Source<number> {
  readonly asking: number[]
  readonly closed: number[]
  most: number
}

/** Partitions of so many events each, that wait for `before` each time and notice when two next() are under way. */
function watched(sizes: number[], before: (partition: number) => Promise<void> = turn): Watched {
  const source: Watched = {
    name: 'watched',
    partitions: sizes.length,
    asking: sizes.map(() => 0),
    closed: [],
    most: 0,
    read(partition) {
      let offset = 0
      return {
        [Symbol.asyncIterator]: () => ({
          async next() {
            source.asking[partition]!++
            source.most = Math.max(source.most, source.asking[partition]!)
            await before(partition)
            source.asking[partition]!--
            if (offset === sizes[partition]) return { done: true, value: undefined }
            return { done: false, value: { offset: offset++, value: partition } }
          },
          async return() {
            source.closed.push(partition)
            return { done: true, value: undefined }
          },
        }),
      }
    },
  }
  return source
}

/** A clock whose timers fire when told. */
function manualClock(): Clock & { fire(ms: number): number } {
  const timers = new Set<{ ms: number; run: () => void }>()
  return {
    ...systemClock,
    timer(ms, run) {
      const timer = { ms, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    fire(ms) {
      const due = [...timers].filter((timer) => timer.ms === ms)
      for (const timer of due) {
        timers.delete(timer)
        timer.run()
      }
      return due.length
    },
  }
}

/** A source that gives what is pushed into it, and ends by its signal only. */
function live(): Source<number> & { push(value: number): void } {
  const waiting: number[] = []
  let wake = (): void => undefined
  return {
    name: 'live',
    partitions: 1,
    push(value) {
      waiting.push(value)
      wake()
    },
    async *read(_, from, { signal }) {
      let offset = Number(from ?? 0)
      signal.addEventListener('abort', () => wake())
      while (!signal.aborted) {
        if (waiting.length > 0) yield { offset: offset++, value: waiting.shift()! }
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}

describe('back-pressure', () => {
  test('never asks a partition for more than one event at a time, nor for the next before the last is handled', async () => {
    const source = watched([30, 20, 10, 0])
    const inHand = [0, 0, 0, 0]
    let handling = 0
    await consume(
      await open({ partitions: 4 }),
      source,
      async ({ value: partition }) => {
        expect(handling++).toBe(0)
        expect(source.asking[partition]).toBe(0)
        inHand[partition]!++
        await turn()
        handling--
      },
      { everyEvents: 7 },
    )
    expect(source.most).toBe(1)
    expect(inHand).toEqual([30, 20, 10, 0])
  })

  test('takes partitions in turn: a slow one does not hold up the others, a busy one does not push in', async () => {
    const order: number[] = []
    const sources = [watched([50, 50, 50], async () => {}), watched([3, 40], (p) => (p === 0 ? pause(5) : turn()))]
    await consume(await open({ partitions: 3 }), sources[0]!, ({ value }) => order.push(value))
    for (const part of [order.slice(0, 30), order.slice(60, 90)]) {
      for (const partition of [0, 1, 2]) expect(part.filter((p) => p === partition).length).toBe(10)
    }
    order.length = 0
    await consume(await open({ partitions: 2 }), sources[1]!, ({ value }) => order.push(value))
    expect(order.lastIndexOf(0)).toBeGreaterThan(order.indexOf(1))
    expect(order.filter((p) => p === 1).length).toBe(40)
  })

  test('keeps the order within each partition', async () => {
    const offsets: number[][] = [[], []]
    const source = watched([100, 100], () => (Math.random() < 0.5 ? turn() : Promise.resolve()))
    await consume(await open({ partitions: 2 }), source, ({ value, offset }) => offsets[value]!.push(Number(offset)))
    expect(offsets).toEqual([range(100), range(100)])
  })

  test('lets timers run while events come from memory without end', async () => {
    const stop = new AbortController()
    let seen = 0
    // Only a timer ends it, and only once events have come in between.
    const timer = setInterval(() => {
      if (seen > 100) stop.abort()
    }, 1)
    const endless: Source<number> = {
      name: 's',
      *read() {
        for (let offset = 0; ; offset++) yield { offset, value: offset }
      },
    }
    const count = (): void => void seen++
    const { events } = await consume(await open(), endless, count, { signal: stop.signal, everyEvents: Infinity })
    clearInterval(timer)
    expect(events).toBeGreaterThan(100)
  })
})

describe('commits', () => {
  test('come by count, and once more for what is left at the end', async () => {
    const store = await open()
    const progress: Progress[] = []
    const onProgress = (p: Progress): void => void progress.push(p)
    const result = await consume(store, fromIterable('s', range(25)), () => {}, { everyEvents: 10, onProgress })
    const { version } = store
    expect(progress).toEqual([
      { events: 10, commits: 1, version: version - 2, offsets: { s: { 0: 10 } } },
      { events: 20, commits: 2, version: version - 1, offsets: { s: { 0: 20 } } },
      { events: 25, commits: 3, version, offsets: { s: { 0: 25 } } },
    ])
    expect(result).toEqual({ events: 25, commits: 3, version })
    expect(await consume(store, fromIterable('t', range(20)), () => {}, { everyEvents: 10 })).toMatchObject({
      commits: 2,
    })
  })

  test('come by time, counted from the first uncommitted event, and not without events', async () => {
    const clock = manualClock()
    const store = await open({ clock })
    const source = live()
    const stop = new AbortController()
    const commits: number[] = []
    const running = consume(store, source, () => {}, {
      signal: stop.signal,
      everyMs: 777,
      onProgress: ({ events }) => void commits.push(events),
    })
    await turn()
    expect(clock.fire(777)).toBe(0)
    source.push(1)
    source.push(2)
    await turn()
    expect(clock.fire(777)).toBe(1)
    await expect.poll(() => commits, { interval: 1 }).toEqual([2])
    expect(clock.fire(777)).toBe(0)
    source.push(3)
    await turn()
    expect(clock.fire(777)).toBe(1)
    await expect.poll(() => commits, { interval: 1 }).toEqual([2, 3])
    stop.abort()
    expect(await running).toMatchObject({ events: 3, commits: 2 })
  })

  test('take along what the caller had put before', async () => {
    const storage = memory()
    const store = await open({}, storage)
    store.put('mine', 1)
    expect(await consume(store, fromIterable('s', []), () => {})).toMatchObject({ events: 0, commits: 1 })
    expect(await (await open({}, storage)).get('mine')).toBe(1)
  })

  test('are never made in the middle of a handler', async () => {
    const store = await open()
    const source = fromIterable('s', range(20))
    const handler = async (event: SourceEvent<number>): Promise<void> => {
      const { version } = store
      store.put('half', event.value)
      await pause(2)
      expect(store.version).toBe(version)
      store.delete('half')
    }
    await consume(store, source, handler, { everyMs: 1 })
    for await (const { version } of store.versions()) expect(version).toBeGreaterThan(1)
    expect(await store.get('half')).toBeUndefined()
  })
})

describe('a signal', () => {
  test('has the event in hand finished and committed, closes the source, and resolves', async () => {
    const storage = memory()
    const store = await open({}, storage)
    const source = watched([10])
    const stop = new AbortController()
    const result = await consume(
      store,
      source,
      async ({ offset }, state) => {
        if (offset === 3) stop.abort()
        await turn()
        state.put(Number(offset), 'done')
      },
      { signal: stop.signal },
    )
    expect(result).toMatchObject({ events: 4, commits: 1 })
    expect(source.closed).toEqual([0])
    const again = await open({}, storage)
    expect(again.offsets).toEqual({ watched: { 0: 4 } })
    expect(await again.get(3)).toBe('done')
  })

  test('that is aborted from the start reads nothing', async () => {
    const store = await open()
    const source: Source = { name: 's', read: () => expect.unreachable() }
    expect(await consume(store, source, () => {}, { signal: AbortSignal.abort() })).toMatchObject({
      events: 0,
      commits: 0,
    })
  })

  test('ends a run that waits, and tells the source', async () => {
    const stop = new AbortController()
    const source = live()
    source.push(1)
    // After the event, when the run waits for the next one.
    const handler = (): void => void pause(10).then(() => stop.abort())
    const result = await consume(await open(), source, handler, { signal: stop.signal })
    expect(result).toMatchObject({ events: 1, commits: 1 })
  })

  test('ends it even when a source never answers again', async () => {
    const stop = new AbortController()
    const source = watched([1], () => new Promise(() => {}))
    setTimeout(() => stop.abort(), 5)
    const store = await open({ clock: hastyClock })
    expect(await consume(store, source, () => {}, { signal: stop.signal })).toMatchObject({ events: 0 })
  })
})

describe('an error', () => {
  const failure = new Error('as it is')

  test.each<[string, (source: Watched) => Promise<Store>]>([
    [
      'of the handler',
      async (source) => {
        const store = await open({ partitions: 3 })
        const handler = ({ offset }: SourceEvent, state: { put(k: string, v: unknown): void }): void => {
          state.put('half', 1)
          if (offset === 2) throw failure
        }
        await expect(consume(store, source, handler, { everyEvents: 100 })).rejects.toBe(failure)
        return store
      },
    ],
  ])('%s reaches the caller as it is, with all iterators closed and the uncommitted dropped', async (_, run) => {
    const source = watched([9, 9, 9])
    const store = await run(source)
    expect(new Set(source.closed)).toEqual(new Set([0, 1, 2]))
    expect(source.closed.length).toBe(3)
    expect(await store.get('half')).toBeUndefined()
    // Nothing is left behind: the store takes another run.
    await consume(store, fromIterable('s', range(3)), () => {})
    expect(store.offsets).toMatchObject({ s: { 0: 3 } })
  })

  test.each<[string, () => AsyncIterable<SourceEvent> | Iterable<SourceEvent>]>([
    [
      'at once',
      () => {
        throw failure
      },
    ],
    [
      'in a sync iterator',
      function* () {
        yield { offset: 0, value: 0 }
        throw failure
      },
    ],
    [
      'in an async iterator',
      async function* () {
        yield { offset: 0, value: 0 }
        await turn()
        throw failure
      },
    ],
  ])('of one partition of a source, %s, ends all', async (_, bad) => {
    const store = await open({ partitions: 2 })
    const good = watched([5, 5])
    const source: Source = {
      name: 's',
      partitions: 2,
      read: (partition, from, options) => (partition === 1 ? bad() : good.read(partition, from, options)),
    }
    const handled = consume(store, source, (_event, state) => state.put('k', 1), { everyEvents: 100 })
    await expect(handled).rejects.toBe(failure)
    expect(store.offsets).toEqual({})
    expect(await store.partition(0).get('k')).toBeUndefined()
    expect(good.closed.length).toBeLessThanOrEqual(1)
  })

  test('of a source that gives no iterable names the partition', async () => {
    const source: Source = { name: 's', read: () => 5 as never }
    await expect(consume(await open(), source, () => {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test.each<[string, () => unknown]>([
    ['null', () => [null]],
    ['undefined', () => [undefined]],
    ['a number', () => [5]],
    ['no result', () => ({ [Symbol.asyncIterator]: () => ({ next: async () => null }) })],
    ['no result at once', () => ({ [Symbol.iterator]: () => ({ next: () => undefined }) })],
  ])('of a source that gives %s as an event says so', async (_, read) => {
    const store = await open()
    const run = consume(store, { name: 's', partitions: 1, read: read as Source['read'] }, () => {})
    const message = expect.stringContaining('expected') as string
    await expect(run).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message })
  })

  test('FENCED is thrown on, and the state is that of the other writer', async () => {
    const storage = memory()
    const store = await open({}, storage)
    const handler = async ({ value }: SourceEvent<number>): Promise<void> => {
      if (value === 5) await (await open({}, storage)).close()
    }
    const run = consume(store, fromIterable('s', range(10)), handler, { everyEvents: 2 })
    await expect(run).rejects.toMatchObject({ code: 'FENCED' })
    expect((await open({}, storage)).offsets).toEqual({ s: { 0: 4 } })
  })

  test('UNKNOWN_OUTCOME is thrown on, and after reopen() a run goes on where the log says', async () => {
    let broken = false
    const storage = faulty(memory(), ({ method }) => (broken && method === 'append' ? 'error-after' : undefined))
    const store = await openStore<string, number>({ storage, name: 'stream', clock: hastyClock, timeoutMs: 200 })
    const run = (breakAt?: number): Promise<unknown> =>
      consume(
        store,
        fromIterable('s', range(10)),
        async ({ value }, state) => {
          if (value === breakAt) broken = true
          state.put('count', ((await state.get('count')) ?? 0) + 1)
        },
        { everyEvents: 3 },
      )
    await expect(run(5)).rejects.toMatchObject({ code: 'UNKNOWN_OUTCOME' })
    broken = false
    await store.reopen()
    // It was written after all.
    expect(store.offsets).toEqual({ s: { 0: 6 } })
    await run()
    expect(await store.get('count')).toBe(10)
  })
})

describe('calls that are wrong', () => {
  test('are refused: a second run on the same handle, until the first has ended', async () => {
    const store = await open()
    const source = live()
    const stop = new AbortController()
    const first = consume(store, source, () => {}, { signal: stop.signal })
    await expect(consume(store, fromIterable('s', [1]), () => {})).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    stop.abort()
    await first
    expect(await consume(store, fromIterable('s', [1]), () => {})).toMatchObject({ events: 1 })
  })

  test('are refused: options and sources that are none', async () => {
    const store = await open()
    const good = fromIterable('s', [1])
    const refused = { code: 'INVALID_ARGUMENT' }
    const attempts: (() => Promise<unknown>)[] = [
      () => consume({} as never, good, () => {}),
      () => consume(store, { name: '', read: () => [] }, () => {}),
      () => consume(store, { name: 's' } as never, () => {}),
      () => consume(store, { name: 's', partitions: 0, read: () => [] }, () => {}),
      () => consume(store, good, undefined as never),
      () => consume(store, good, () => {}, { everyMs: -1 }),
      () => consume(store, good, () => {}, { everyEvents: 0 }),
      () => consume(store, good, () => {}, { sink: {} as never }),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(refused)
    expect(await consume(store, good, () => {})).toMatchObject({ events: 1 })
  })

  test('are refused: a follower and a closed store', async () => {
    const storage = memory()
    const store = await open({}, storage)
    const follower = await open({ mode: 'follower' }, storage)
    const source = fromIterable('s', [1])
    await expect(consume(follower, source, () => {})).rejects.toMatchObject({ code: 'READ_ONLY' })
    await store.close()
    await expect(consume(store, source, () => {})).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
