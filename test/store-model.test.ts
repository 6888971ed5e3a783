import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openStore, systemClock, type Key, type Store, type Table } from 'tidemark'
import { memory } from 'tidemark/memory'
import { verify } from 'tidemark/tools'
import { compareKeys, keys, ModelMap } from './support/arbitraries.js'

/** Options under which everything small happens often: many folds, segments, blocks, merges, evictions. */
const TINY = {
  checkpoint: { entries: 3, bytes: 500 },
  segmentBytes: 300,
  blockBytes: 60,
  cacheBytes: 400,
  bloomBits: 4,
}

const fewKeys = fc.oneof(keys, fc.constantFrom<Key>('a', 'b', 'c', 1, 2, 3, ['x', 1], ['x', 2], ['y']))
const bounds = fc.record(
  {
    gt: fewKeys,
    gte: fewKeys,
    lt: fewKeys,
    lte: fewKeys,
    prefix: fc.oneof(fc.constantFrom<Key>('', 'a', [], ['x']), fc.string({ maxLength: 1 })),
  },
  { requiredKeys: [] },
)
const where = fc.record({
  table: fc.constantFrom('', 't', 'tt'),
  partition: fc.constantFrom(undefined, undefined, 0, 1, 2),
})

/** Bounds of the tail: from a fold at every entry to folds that many commits pass by. */
const tails = fc.constantFrom(1, 3, 8, 20)

type Bounds = { gt?: Key; gte?: Key; lt?: Key; lte?: Key; prefix?: Key }
const action = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      at: where,
      key: fewKeys,
      value: fc.oneof(fc.string(), fc.integer()),
      ttlMs: fc.constantFrom(undefined, undefined, undefined, 5, 50),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), at: where, key: fewKeys }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), at: where, bounds }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at: where }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('burst' as const), keys: fc.array(fewKeys, { maxLength: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('discard' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('get' as const), at: where, key: fewKeys }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('scan' as const),
      at: where,
      bounds,
      reverse: fc.boolean(),
      limit: fc.constantFrom(undefined, 0, 1, 3),
    }),
  },
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never
type Where = { table: string; partition: number | undefined }

const isWithin = (key: Key, b: Bounds): boolean =>
  (b.gt === undefined || compareKeys(key, b.gt) > 0) &&
  (b.gte === undefined || compareKeys(key, b.gte) >= 0) &&
  (b.lt === undefined || compareKeys(key, b.lt) < 0) &&
  (b.lte === undefined || compareKeys(key, b.lte) <= 0) &&
  (b.prefix === undefined ||
    (typeof b.prefix === 'string'
      ? typeof key === 'string' && key.startsWith(b.prefix)
      : Array.isArray(key) &&
        !(key instanceof Uint8Array) &&
        (b.prefix as Key[]).every((e, i) => i < key.length && compareKeys(e, key[i] as Key) === 0)))

/** A value and the time from which on it is hidden. */
interface Lives {
  readonly value: unknown
  readonly until: number
}

/** One model map per table and partition; keys without a partition of their own are looked for where the store routes them. */
class Model {
  maps = new Map<string, ModelMap<Lives>>()

  map(table: string, partition: number): ModelMap<Lives> {
    const id = `${table}/${partition}`
    if (!this.maps.has(id)) this.maps.set(id, new ModelMap())
    return this.maps.get(id)!
  }

  clone(): Model {
    const copy = new Model()
    for (const [id, map] of this.maps) copy.maps.set(id, map.clone())
    return copy
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function run(
  actions: readonly Action[],
  entries: number,
  partitions: number,
  route: (key: Key) => number,
): Promise<void> {
  const storage = memory()
  let now = 1_000
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const open = (): Promise<Store> =>
    openStore({ storage, name: 'model', clock, partitions, ...TINY, checkpoint: { entries, bytes: 500 } })
  let store = await open()
  let committed = new Model()
  let current = new Model()
  const tableAt = ({ table, partition }: Where): Table => {
    const at = partition === undefined ? store : store.partition(partition % partitions)
    return table === '' ? at : at.table(table)
  }
  const homes = ({ partition }: Where): number[] =>
    partition === undefined ? [...Array(partitions).keys()] : [partition % partitions]
  const home = (at: Where, key: Key): number => (at.partition === undefined ? route(key) : at.partition % partitions)
  const expected = (at: Where, b: Bounds): [Key, unknown][] =>
    homes(at)
      .flatMap((p) => current.map(at.table, p).entries())
      .filter(([key, { until }]) => isWithin(key, b) && until > now)
      .map(([key, { value }]): [Key, unknown] => [key, value])
      .sort(([a], [b]) => compareKeys(a, b))
  for (const a of actions) {
    switch (a.do) {
      case 'put':
        tableAt(a.at).put(a.key, a.value, { ttlMs: a.ttlMs })
        current.map(a.at.table, home(a.at, a.key)).set(a.key, { value: a.value, until: now + (a.ttlMs ?? Infinity) })
        break
      case 'tick':
        now += a.ms
        break
      case 'delete':
        tableAt(a.at).delete(a.key)
        current.map(a.at.table, home(a.at, a.key)).delete(a.key)
        break
      case 'deleteRange':
        if (Object.values(a.bounds).every((b) => b === undefined)) break
        tableAt(a.at).deleteRange(a.bounds)
        for (const p of homes(a.at)) current.map(a.at.table, p).keep((key) => !isWithin(key, a.bounds))
        break
      case 'clear':
        tableAt(a.at).clear()
        for (const p of homes(a.at)) current.map(a.at.table, p).keep(() => false)
        break
      case 'commit':
        await store.commit()
        committed = current.clone()
        break
      case 'burst': {
        // Commits that are not waited for: each an entry of its own, appended while folds run beside them.
        const commits = a.keys.map((key, i) => {
          store.put(key, i)
          current.map('', route(key)).set(key, { value: i, until: Infinity })
          return store.commit({ label: String(i) })
        })
        const versions = (await Promise.all(commits)).map(({ version }) => version)
        expect(versions).toEqual([...new Set(versions)].sort((x, y) => x - y))
        if (commits.length > 0) committed = current.clone()
        break
      }
      case 'discard':
        store.discard()
        current = committed.clone()
        break
      case 'checkpoint':
        await store.checkpoint()
        break
      case 'reopen': {
        const { version } = store
        await store.close()
        store = await open()
        expect(store.version).toBe(version)
        current = committed.clone()
        break
      }
      case 'get': {
        const found = current.map(a.at.table, home(a.at, a.key)).get(a.key)
        const value = found && found.until > now ? found.value : undefined
        expect(await tableAt(a.at).get(a.key)).toEqual(value)
        expect(await tableAt(a.at).has(a.key)).toBe(value !== undefined)
        expect(await tableAt(a.at).getMany([a.key, a.key])).toEqual([value, value])
        break
      }
      case 'scan': {
        const all = expected(a.at, a.bounds)
        if (a.reverse) all.reverse()
        const limit = a.limit ?? Infinity
        const found = await collect(tableAt(a.at).entries({ ...a.bounds, reverse: a.reverse, limit: a.limit }))
        // The same key in two partitions comes twice, in no promised order.
        const sorted = (list: [Key, unknown][]): string =>
          list
            .map(([k, v]) => `${show(k)} ${JSON.stringify(v)}`)
            .sort((x, y) => (x < y ? -1 : 1))
            .join()
        expect(found.map(([key]) => show(key))).toEqual(all.slice(0, limit).map(([key]) => show(key)))
        if (limit === Infinity) expect(sorted(found)).toBe(sorted(all))
      }
    }
  }
  for (const table of ['', 't', 'tt']) {
    const at = { table, partition: undefined }
    const found = await collect(tableAt(at).keys())
    expect(found.map(show)).toEqual(expected(at, {}).map(([key]) => show(key)))
  }
  await store.close()
  // Every entry, fold and segment of this life, and the state with and without each fold.
  const report = await verify({ storage, name: 'model' })
  expect(report.damages).toEqual([])
  expect(report.ok).toBe(true)
}

function show(key: Key): string {
  return typeof key === 'bigint'
    ? `${key}n`
    : key instanceof Uint8Array
      ? `bytes ${[...key].join()}`
      : Array.isArray(key)
        ? `[${(key as Key[]).map(show).join('|')}]`
        : typeof key === 'number'
          ? `number ${key}`
          : `'${String(key)}'`
}

describe('a store', () => {
  test('reads as a sorted map under random puts, deletes, ranges, expiries, commits, folds, merges and reopenings', async () => {
    const runs = fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), tails, (actions, entries) =>
      run(actions, entries, 1, () => 0),
    )
    await fc.assert(runs, { numRuns: 300 })
  })

  test('does so with several partitions too, each key where docs/format.md routes it', async () => {
    const { partitionOf } = await import('../src/store/table.js')
    const runs = fc.asyncProperty(fc.array(action, { maxLength: 80, size: 'max' }), tails, (actions, entries) =>
      run(actions, entries, 3, (key) => partitionOf(key, 3)),
    )
    await fc.assert(runs, { numRuns: 200 })
  })
})
