/** The model of a store's contents: a sorted map, and the actions of random lives. */
import fc from 'fast-check'
import type { Key } from 'tidemark'
import { compareKeys, keys, ModelMap } from './arbitraries.js'

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
export const tails = fc.constantFrom(1, 3, 8, 20)

export type Bounds = { gt?: Key; gte?: Key; lt?: Key; lte?: Key; prefix?: Key }
const put = fc.record({
  do: fc.constant('put' as const),
  at: where,
  key: fewKeys,
  value: fc.oneof(fc.string(), fc.integer()),
  ttlMs: fc.constantFrom(undefined, undefined, undefined, 5, 50),
})

/** The steps of a transaction, and whether it throws in the end. */
const transaction = fc.record({
  steps: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: put },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), at: where, key: fewKeys }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), at: where, bounds }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at: where }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('get' as const), at: where, key: fewKeys }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('list' as const), at: where, bounds }) },
    ),
    { maxLength: 6 },
  ),
  throws: fc.constantFrom(false, false, true),
})
export type TransactionPlan = typeof transaction extends fc.Arbitrary<infer T> ? T : never

export const action = fc.oneof(
  { weight: 10, arbitrary: put },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), at: where, key: fewKeys }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), at: where, bounds }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at: where }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('burst' as const), keys: fc.array(fewKeys, { maxLength: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('discard' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('checkpoint' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen in place' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('snapshot' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look back' as const), which: fc.nat(), at: where, bounds }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('transactions' as const),
      plans: fc.array(transaction, { minLength: 1, maxLength: 3 }),
    }),
  },
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
export type Action = typeof action extends fc.Arbitrary<infer T> ? T : never
export type Where = { table: string; partition: number | undefined }

export const isWithin = (key: Key, b: Bounds): boolean =>
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
export interface Lives {
  readonly value: unknown
  readonly until: number
}

/** One model map per table and partition; keys without a partition of their own are looked for where the store routes them. */
export class Model {
  readonly #route: (key: Key) => number
  readonly #partitions: number

  readonly #maps = new Map<string, ModelMap<Lives>>()

  constructor(partitions: number, route: (key: Key) => number) {
    this.#partitions = partitions
    this.#route = route
  }

  map(table: string, partition: number): ModelMap<Lives> {
    const id = `${table}/${partition}`
    if (!this.#maps.has(id)) this.#maps.set(id, new ModelMap())
    return this.#maps.get(id)!
  }

  clone(): Model {
    const copy = new Model(this.#partitions, this.#route)
    for (const [id, map] of this.#maps) copy.#maps.set(id, map.clone())
    return copy
  }

  home(at: Where, key: Key): number {
    return at.partition === undefined ? this.#route(key) : at.partition % this.#partitions
  }

  homes({ partition }: Where): number[] {
    return partition === undefined ? [...Array(this.#partitions).keys()] : [partition % this.#partitions]
  }

  at(at: Where, key: Key): ModelMap<Lives> {
    return this.map(at.table, this.home(at, key))
  }

  /** The value of a key that has not expired. */
  get(at: Where, key: Key, now: number): unknown {
    const found = this.at(at, key).get(key)
    return found && found.until > now ? found.value : undefined
  }

  keep(at: Where, test: (key: Key) => boolean): void {
    for (const p of this.homes(at)) this.map(at.table, p).keep(test)
  }

  list(at: Where, b: Bounds, now: number): [Key, unknown][] {
    return this.homes(at)
      .flatMap((p) => this.map(at.table, p).entries())
      .filter(([key, { until }]) => isWithin(key, b) && until > now)
      .map(([key, { value }]): [Key, unknown] => [key, value])
      .sort(([a], [b]) => compareKeys(a, b))
  }
}

/** Entries as text; the same key in two partitions comes twice, in no promised order. */
export function sorted(list: readonly (readonly [Key, unknown])[]): string {
  return list
    .map(([k, v]) => `${show(k)} ${JSON.stringify(v)}`)
    .sort((x, y) => (x < y ? -1 : 1))
    .join()
}

export function show(key: Key): string {
  return typeof key === 'bigint'
    ? `${key}n`
    : key instanceof Uint8Array
      ? `bytes ${[...key].join()}`
      : Array.isArray(key)
        ? `[${(key as Key[]).map(show).join('|')}]`
        : key instanceof Date
          ? `date ${key.getTime()}`
          : typeof key === 'string'
            ? `'${key}'`
            : `${typeof key} ${String(key)}`
}
