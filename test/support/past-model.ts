/** The model of a store's past: every version as a model of its own, kept for ever; and the acts of random lives. */
import fc from 'fast-check'
import { expect } from 'vitest'
import type { Key, Store, Table, VersionInfo, When } from 'tidemark'
import { keys } from './arbitraries.js'
import { isWithin, show, sorted, type Bounds, type Model, type Where } from './store-model.js'
import { collect } from './storages.js'

export const TABLES = ['', 't', 'tt']
export const everywhere = (table: string): Where => ({ table, partition: undefined })

const fewKeys = fc.oneof(
  { weight: 1, arbitrary: keys },
  { weight: 4, arbitrary: fc.constantFrom<Key>('a', 'b', 'c', 1, 2, 3n, ['x', 1], ['x', 2], Uint8Array.of(7)) },
)
const bounds = fc.record(
  { gte: fewKeys, lt: fewKeys, prefix: fc.constantFrom<Key>('', 'a', [], ['x']) },
  { requiredKeys: [] },
)
const place = { table: fc.constantFrom(...TABLES), partition: fc.constantFrom(undefined, undefined, 0, 1, 2) }
const write = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      at: fc.record(place),
      key: fewKeys,
      value: fc.oneof(fc.string(), fc.integer()),
      ttlMs: fc.constantFrom(undefined, undefined, undefined, 40, 400),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), at: fc.record(place), key: fewKeys }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deleteRange' as const), at: fc.record(place), bounds }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), at: fc.record(place) }) },
)
export type Write = typeof write extends fc.Arbitrary<infer T> ? T : never

/** Which store, of those that are open; and which moment of its past. */
const store = fc.constantFrom(0, 0, 0, 1, 2)
const when = fc.record({ by: fc.constantFrom('number' as const, 'tag' as const, 'date' as const), which: fc.nat() })
export type Moment = typeof when extends fc.Arbitrary<infer T> ? T : never

const acts = {
  commit: [
    12,
    {
      writes: fc.array(write, { maxLength: 6 }),
      large: fc.constantFrom(false, false, false, false, true),
      offsets: fc.constantFrom(undefined, undefined, 'one' as const, 'p' as const),
    },
  ],
  checkpoint: [2, {}],
  tick: [4, { ms: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 101, 700)) }],
  maintain: [4, { dryRun: fc.constantFrom(false, false, false, true) }],
  restore: [
    3,
    { when, partitions: fc.constantFrom(undefined, undefined, [0], [1], [0, 2]), beside: fc.constantFrom('', 'fold') },
  ],
  undo: [1, {}],
  tag: [3, { when, name: fc.constantFrom('t1', 't2', 't3'), ttlMs: fc.constantFrom(undefined, undefined, 150) }],
  untag: [2, { name: fc.constantFrom('t1', 't2', 't3') }],
  fork: [2, { when }],
  destroy: [1, {}],
  reopen: [2, { inPlace: fc.boolean() }],
  hold: [2, { when }],
  check: [4, {}],
} as const

type Acts = {
  [D in keyof typeof acts]: { do: D; on: number } & {
    [F in keyof (typeof acts)[D][1]]: (typeof acts)[D][1][F] extends fc.Arbitrary<infer T> ? T : never
  }
}
export type Act = Acts[keyof Acts]

export const act = fc.oneof(
  ...Object.entries(acts).map(([name, [weight, fields]]) => ({
    weight,
    arbitrary: fc.record({ do: fc.constant(name), on: store, ...fields }) as unknown as fc.Arbitrary<Act>,
  })),
)

/** Positions of a source that has one for all partitions, and of one that has one for each. */
export interface Positions {
  readonly one?: number
  readonly p?: Readonly<Record<number, number>>
}

/** A version as it was when it was made. */
export interface Version {
  readonly version: number
  readonly time: number
  readonly kind: 'commit' | 'reset'
  readonly model: Model
  readonly offsets: Positions
}

/** After some partitions of `theirs` went back into `mine`; `undefined` where somebody has to say where `one` stands. */
export function splicePositions(mine: Positions, theirs: Positions, chosen: readonly number[]): Positions | undefined {
  if (mine.one !== theirs.one) return undefined
  const p: Record<number, number> = {}
  for (const i of [0, 1, 2]) {
    const position = (chosen.includes(i) ? theirs : mine).p?.[i]
    if (position !== undefined) p[i] = position
  }
  return { ...(mine.one !== undefined && { one: mine.one }), ...(Object.keys(p).length > 0 && { p }) }
}

export function spliceModels(mine: Model, theirs: Model, chosen: readonly number[]): Model {
  const result = mine.clone()
  for (const table of TABLES) {
    for (const partition of chosen) {
      result.map(table, partition).keep(() => false)
      for (const [key, lives] of theirs.map(table, partition).entries()) result.map(table, partition).set(key, lives)
    }
  }
  return result
}

type Host = Pick<Store, 'partition' | 'table'> & Table

function tableOf(host: Host, { table, partition }: Where, partitions: number): Table {
  const at = partition === undefined ? host : host.partition(partition % partitions)
  return table === '' ? at : at.table(table)
}

/** Does to a store and to a model the same. */
export function apply(host: Host, model: Model, w: Write, partitions: number, now: number): void {
  const table = tableOf(host, w.at, partitions)
  switch (w.do) {
    case 'put':
      table.put(w.key, w.value, { ttlMs: w.ttlMs })
      model.at(w.at, w.key).set(w.key, { value: w.value, until: now + (w.ttlMs ?? Infinity) })
      break
    case 'delete':
      table.delete(w.key)
      model.at(w.at, w.key).delete(w.key)
      break
    case 'deleteRange': {
      const range: Bounds = w.bounds
      if (Object.values(range).every((b) => b === undefined)) return
      table.deleteRange(range)
      model.keep(w.at, (key) => !isWithin(key, range))
      break
    }
    case 'clear':
      table.clear()
      model.keep(w.at, () => false)
  }
}

export async function expectContents(host: Host, model: Model, now: number): Promise<void> {
  for (const table of TABLES) {
    const all = model.list(everywhere(table), {}, now)
    const found = await collect(tableOf(host, everywhere(table), 1).entries())
    expect(found.map(([key]) => show(key))).toEqual(all.map(([key]) => show(key)))
    expect(sorted(found)).toBe(sorted(all))
  }
}

/** Opens a moment of the past and holds it against the version that it has to be. */
export async function expectThen(host: Store, moment: When, expected: Version): Promise<void> {
  const past = await host.at(moment)
  try {
    expect([past.version, past.time, past.offsets]).toEqual([expected.version, expected.time, expected.offsets])
    await expectContents(past, expected.model, past.time)
  } finally {
    await past.close()
  }
}

export interface Retain {
  readonly versions: number
  readonly ageMs: number
}

/** How many of the newest versions have to be there, by the words of the documentation. */
export function mustKeep(versions: readonly Version[], retain: Retain, now: number): number {
  const young = retain.ageMs === 0 ? 0 : versions.filter(({ time }) => time > now - retain.ageMs).length
  return Math.min(versions.length, Math.max(retain.versions, young))
}

/** The parts of an item of versions() that are compared: which version, of what kind, when, where sources stood. */
export function listed({ version, kind, time, offsets }: VersionInfo | Version): unknown {
  return { version, kind, time, offsets }
}
