import { describe, expect, test } from 'vitest'
import { openStore, type OpenOptions, type Storage, type Store } from 'tidemark'
import { memory } from 'tidemark/memory'
import { consume, fromIterable, type ConsumeOptions, type Handler, type Output, type Sink } from 'tidemark/stream'
import { faulty } from 'tidemark/testing'

const open = (storage: Storage, options: Partial<OpenOptions> = {}): Promise<Store> =>
  openStore({ storage, name: 'stream', partitions: 2, ...options })

interface Collecting extends Sink<string> {
  readonly outputs: Output<string>[]
  readonly versions: number[]
  failAt: number | undefined
}

/** Collects what is delivered; fails at the `failAt`th delivery, before or after having taken it. */
function collecting(failAt?: number, after = false): Collecting {
  const sink: Collecting = {
    outputs: [],
    versions: [],
    failAt,
    async deliver(outputs, { version }) {
      sink.versions.push(version)
      const fails = sink.versions.length === sink.failAt
      if (!fails || after) sink.outputs.push(...outputs)
      await Promise.resolve()
      if (fails) throw new Error('no delivery')
    },
  }
  return sink
}

const range = (length: number): number[] => Array.from({ length }, (_, i) => i)
const emitAll: Handler<number, string> = ({ value }, state, emit) => {
  state.put(value, 'kept')
  emit(`a${value}`)
  if (value % 2 === 1) emit(`b${value}`)
}
const ALL = ['a0', 'a1', 'b1', 'a2', 'a3', 'b3', 'a4', 'a5', 'b5', 'a6']

const run = (store: Store, sink: Sink<string>, options: ConsumeOptions<string> = {}): Promise<unknown> =>
  consume(store, fromIterable('s', range(7)), emitAll, { everyEvents: 2, ...options, sink })

const valuesOf = (sink: Collecting): string[] => sink.outputs.map(({ value }) => value)
const idsOf = (sink: Collecting): string[] => sink.outputs.map(({ id }) => id)

describe('outputs', () => {
  test('are delivered in order after each commit, with ids that count up over runs', async () => {
    const storage = memory()
    const store = await open(storage)
    const sink = collecting()
    await run(store, sink)
    expect(valuesOf(sink)).toEqual(ALL)
    expect(idsOf(sink)).toEqual(ALL.map((_, i) => String(i + 1)))
    expect(sink.versions).toEqual([2, 3, 4, 5])
    await store.close()
    const next = collecting()
    await consume(await open(storage), fromIterable('t', ['x']), (_, __, emit) => emit('new'), { sink: next })
    expect(next.outputs).toEqual([{ id: '11', value: 'new' }])
  })

  test('are never delivered before they are committed', async () => {
    const storage = memory()
    const store = await open(storage)
    const sink: Sink<string> = {
      async deliver(outputs, { version }) {
        const reader = await open(storage, { mode: 'follower' })
        expect(reader.version).toBe(version)
        for (const { value } of outputs) expect(await reader.partition(0).get(Number(value.slice(1)))).toBe('kept')
        await reader.close()
      },
    }
    await run(store, sink)
  })

  test('are gone from the store at the end, and a next run delivers nothing', async () => {
    const storage = memory()
    const store = await open(storage)
    await run(store, collecting())
    await store.close()
    const again = await open(storage)
    const before = again.version
    const sink = collecting()
    await run(again, sink)
    expect(sink.versions).toEqual([])
    expect(again.version).toBe(before)
  })

  test('do not show in iteration, nor in any table of a user', async () => {
    const storage = memory()
    const store = await open(storage)
    await expect(run(store, collecting(1))).rejects.toThrow('no delivery')
    const keys: unknown[] = []
    for await (const key of store.keys()) keys.push(key)
    for await (const key of store.partition(0).keys()) keys.push(key)
    for await (const key of store.table('outbox').keys()) keys.push(key)
    expect(keys).toEqual([0, 1, 0, 1])
  })

  test.each([
    ['before', false],
    ['after', true],
  ])('whose sink fails %s taking them come again in the next run, first, with the same ids', async (_, after) => {
    for (let failAt = 1; failAt <= 4; failAt++) {
      const storage = memory()
      const store = await open(storage)
      const failing = collecting(failAt, after)
      await expect(run(store, failing)).rejects.toThrow('no delivery')
      await store.close()
      const sink = collecting()
      await run(await open(storage), sink)
      expect(new Set([...valuesOf(failing), ...valuesOf(sink)])).toEqual(new Set(ALL))
      const byId = new Map([...failing.outputs, ...sink.outputs].map(({ id, value }) => [id, value]))
      expect([...byId.values()]).toEqual(ALL)
      // The outputs of the failing call come again, whether it took them or not.
      expect(sink.outputs[0]!.id).toBe(['1', '4', '7', '10'][failAt - 1])
    }
  })

  test('of a process that died between commit and delivery are delivered by the next one', async () => {
    const storage = memory()
    const store = await open(storage)
    // The process hangs in its sink for ever, as one does that is gone.
    const died = new Promise<void>((resolve) => {
      const sink: Sink<string> = {
        deliver() {
          resolve()
          return new Promise(() => {})
        },
      }
      void run(store, sink)
    })
    await died
    const sink = collecting()
    await run(await open(storage), sink)
    expect(valuesOf(sink)).toEqual(ALL)
  })

  test('of events that were not committed are dropped, and their ids given anew', async () => {
    const storage = memory()
    const store = await open(storage)
    const sink = collecting()
    let fail = true
    const handler: Handler<number, string> = (event, state, emit) => {
      emitAll(event, state, emit)
      if (event.value === 3 && fail) throw new Error('injected')
    }
    const source = fromIterable('s', range(7))
    await expect(consume(store, source, handler, { everyEvents: 2, sink })).rejects.toThrow('injected')
    expect(valuesOf(sink)).toEqual(['a0', 'a1', 'b1'])
    fail = false
    await consume(store, source, handler, { everyEvents: 2, sink })
    // The first commit's were delivered, and the commit that would have deleted them did not come.
    expect(valuesOf(sink).slice(0, 6)).toEqual(['a0', 'a1', 'b1', 'a0', 'a1', 'b1'])
    const byId = new Map(sink.outputs.map(({ id, value }) => [id, value]))
    expect([...byId]).toEqual(ALL.map((value, i) => [String(i + 1), value]))
  })

  test('in relaxed durability are synced before they are delivered', async () => {
    const calls: string[] = []
    const storage = faulty(memory(), ({ method }) => void calls.push(method))
    const store = await open(storage, { durability: 'relaxed' })
    calls.length = 0
    const sink = { deliver: () => void calls.push('deliver') }
    await consume(store, fromIterable('s', [1]), (_, __, emit) => emit('x'), { sink })
    expect(calls).toEqual(['append', 'sync', 'deliver', 'append'])
  })

  test('come as values of any kind that a store keeps', async () => {
    const storage = memory()
    const values = [null, 0n, new Date(5), new Uint8Array([1]), { a: [1, Number.NaN] }]
    const emitter: Handler<unknown, unknown> = ({ value }, _, emit) => emit(value)
    const failing = { deliver: () => Promise.reject(new Error('no')) }
    await expect(consume(await open(storage), fromIterable('s', values), emitter, { sink: failing })).rejects.toThrow()
    const delivered: unknown[] = []
    const sink = { deliver: (outputs: readonly Output[]) => void delivered.push(...outputs.map(({ value }) => value)) }
    await consume(await open(storage), fromIterable('s', values), emitter, { sink })
    expect(delivered).toEqual(values)
  })
})

test('what a sink gets is what is stored, when it is delivered for the first time as after a crash', async () => {
  class Money {
    constructor(readonly n: number) {}
  }
  const storage = memory()
  const emitted = fromIterable('s', [1])
  const handler: Handler<number, unknown> = (_, __, emit) => emit(new Money(5))
  const outputs: Output<unknown>[] = []
  for (const fails of [true, false]) {
    const store = await open(storage)
    const sink: Sink<unknown> = {
      deliver(given) {
        outputs.push(...given)
        if (fails) throw new Error('no delivery')
      },
    }
    const running = consume(store, emitted, handler, { sink })
    await (fails ? expect(running).rejects.toThrow('no delivery') : running)
    await store.close()
  }
  const output = { id: '1', value: { n: 5 } }
  expect(outputs).toStrictEqual([output, output])
})

describe('emit', () => {
  test('without a sink is refused', async () => {
    const emitting = consume(await open(memory()), fromIterable('s', [1]), (_, __, emit) => emit('x'))
    await expect(emitting).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('of undefined, and after the run has ended, is refused', async () => {
    const store = await open(memory())
    const sink = collecting() as Sink<unknown>
    const source = fromIterable('s', [1])
    const refused = { code: 'INVALID_ARGUMENT' }
    await expect(consume(store, source, (_, __, emit) => emit(undefined), { sink })).rejects.toMatchObject(refused)
    let late: (output: unknown) => void = () => undefined
    await consume(store, source, (_, __, emit) => void (late = emit), { sink })
    expect(() => late('x')).toThrow('ended')
  })

  test('leaves what an earlier run left undelivered alone, when there is no sink', async () => {
    const storage = memory()
    await expect(run(await open(storage), collecting(1))).rejects.toThrow()
    await consume(await open(storage), fromIterable('t', range(3)), () => {})
    const sink = collecting()
    await run(await open(storage), sink)
    expect(valuesOf(sink)).toEqual(ALL)
  })
})
