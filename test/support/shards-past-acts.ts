/** What happens in a random life of a store that is split and merged (shards-past-life.ts). */
import fc from 'fast-check'

const numbers = { shard: fc.nat(), which: fc.nat() }
const when = fc.record({ by: fc.constantFrom('number', 'date', 'tag'), which: fc.nat(), off: fc.constantFrom(0, 0, 1) })
/** When something was, as a program says it. */
export type Moment = typeof when extends fc.Arbitrary<infer T> ? T : never
const kinds = {
  commit: [8, { ...numbers, puts: fc.array(fc.nat(14), { maxLength: 5 }), cut: fc.constantFrom(false, false, true) }],
  large: [1, numbers],
  checkpoint: [1, numbers],
  rescale: [4, { cuts: fc.subarray([1, 2, 3, 4]) }],
  at: [4, { ...numbers, when }],
  restore: [3, { ...numbers, when, some: fc.constantFrom(false, false, true) }],
  undo: [1, numbers],
  tag: [2, { ...numbers, when, name: fc.constantFrom('t1', 't2', 't3') }],
  untag: [1, { ...numbers, name: fc.constantFrom('t1', 't2', 't3') }],
  versions: [2, { ...numbers, reverse: fc.boolean() }],
  diff: [2, { ...numbers, a: when, b: when }],
  follow: [3, { when }],
} as const
export const act = fc.oneof(
  ...Object.entries(kinds).map(([kind, [weight, fields]]) => ({
    weight,
    arbitrary: fc.record({ do: fc.constant(kind), ...(fields as Record<string, fc.Arbitrary<unknown>>) }),
  })),
) as fc.Arbitrary<unknown> as fc.Arbitrary<Act>
export interface Act {
  readonly do: keyof typeof kinds
  readonly shard: number
  readonly which: number
  readonly puts: readonly number[]
  readonly cut: boolean
  readonly cuts: readonly number[]
  readonly when: Moment
  readonly a: Moment
  readonly b: Moment
  readonly some: boolean
  readonly name: string
  readonly reverse: boolean
}
