/** Positions belong to partitions, through splits, merges, restores and commits by hand (S4). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { laidOver, movedTo, restored, standingOf, type Part } from '../../../../src/engine/shards/spans.js'
import { NO_OFFSETS, parseOffsets, type Offsets, type Position, type Positions } from '../../../../src/log/offsets.js'
import { lowestOffsets, NO_SPANS, type Span, type Standing } from '../../../../src/log/spans.js'
import type { PartitionRange } from '../../../../src/manifest/clip.js'

const NOTHING: Standing = { offsets: NO_OFFSETS, spans: NO_SPANS }
const plain = (offsets: Offsets): Standing => ({ offsets: parseOffsets(offsets), spans: NO_SPANS })
const single = (position: Position): Positions => new Map([[undefined, position]])
const spansOf = (...spans: readonly (readonly [first: number, last: number, position: Position])[]): Span[] =>
  spans.map(([first, last, position]) => ({ first, last, positions: single(position) }))
const parts = (...all: readonly (readonly [range: PartitionRange, standing: Standing])[]): Part[] =>
  all.map(([range, standing]) => ({ range, standing }))

/** What a standing says of one partition. */
function at(
  { offsets, spans }: Standing,
  source: string,
  partition: number,
): readonly (readonly [unknown, Position])[] {
  const known = spans.get(source)
  if (known === undefined) return [...(offsets.get(source) ?? [])]
  expect(offsets.has(source)).toBe(false)
  return [...known.spans.find(({ first, last }) => partition >= first && partition <= last)!.positions]
}

describe('merged', () => {
  test('what is equal is plain, what differs keeps its own', () => {
    const merged = standingOf(parts([[4, 7], plain({ a: 5, b: 9 })], [[0, 3], plain({ a: 5, b: 2 })]), [0, 7])
    expect(merged.offsets).toEqual(parseOffsets({ a: 5 }))
    expect(merged.spans).toEqual(new Map([['b', { isAligned: false, spans: spansOf([0, 3, 2], [4, 7, 9]) }]]))
    expect(lowestOffsets(merged)).toEqual(new Map([...parseOffsets({ a: 5 }), ...parseOffsets({ b: 2 })]))
  })

  test('a source that one parent does not know is read from its beginning there', () => {
    const merged = standingOf(parts([[0, 3], plain({ a: 5 })], [[4, 7], NOTHING]), [0, 7])
    expect(merged.spans.get('a')!.spans).toEqual([
      { first: 0, last: 3, positions: single(5) },
      { first: 4, last: 7, positions: new Map() },
    ])
    expect(lowestOffsets(merged).get('a')).toEqual(new Map())
  })

  test('spans are cut to the child, and those that are equal are one', () => {
    const three = standingOf(
      parts([[0, 1], plain({ a: 5 })], [[2, 3], plain({ a: 6 })], [[4, 5], plain({ a: 6 })]),
      [0, 5],
    )
    expect(three.spans.get('a')!.spans).toEqual(spansOf([0, 1, 5], [2, 5, 6]))
    expect(standingOf(parts([[0, 5], three]), [0, 2]).spans.get('a')!.spans).toEqual(spansOf([0, 1, 5], [2, 2, 6]))
    expect(standingOf(parts([[0, 5], three]), [3, 5])).toEqual(plain({ a: 6 }))
    const again = standingOf(parts([[0, 5], three], [[6, 7], plain({ a: 6 })]), [1, 7])
    expect(again.spans.get('a')!.spans).toEqual(spansOf([1, 1, 5], [2, 7, 6]))
  })

  test('of several positions the lowest of each is shown, and bigints and strings are compared as they can be', () => {
    const merged = standingOf(
      parts(
        [[0, 0], plain({ a: { 0: 5, 1: 9 }, b: 7n, c: 'x' })],
        [[1, 1], plain({ a: { 0: 8, 1: 3, 2: 1 }, b: 5n, c: 'a' })],
      ),
      [0, 1],
    )
    expect(lowestOffsets(merged)).toEqual(parseOffsets({ a: { 0: 5, 1: 3 }, b: 5n, c: 'x' }))
  })
})

describe('by hand', () => {
  const merged = standingOf(parts([[0, 3], plain({ a: 5, b: 1 })], [[4, 7], plain({ a: 9, b: 1 })]), [0, 7])

  test('a position below the highest goes back, which takes force', () => {
    for (const a of [4, 5, 8]) {
      expect(() => laidOver(merged, parseOffsets({ a }), false)).toThrow(/at 9; back to/)
      expect(laidOver(merged, parseOffsets({ a }), true)).toEqual(plain({ a, b: 1 }))
    }
    for (const a of [9, 10]) expect(laidOver(merged, parseOffsets({ a }), false)).toEqual(plain({ a, b: 1 }))
    expect(() => laidOver(merged, parseOffsets({ b: 0 }), false)).toThrow(/back to 0/)
  })

  test('other sources keep their spans, new ones are plain', () => {
    const after = laidOver(merged, parseOffsets({ b: 2, c: 3 }), false)
    expect(after.spans).toEqual(merged.spans)
    expect(after.offsets).toEqual(new Map([...parseOffsets({ b: 2 }), ...parseOffsets({ c: 3 })]))
    expect(laidOver(merged, NO_OFFSETS, false)).toEqual(merged)
  })

  test('one position of several is laid over that of all partitions', () => {
    const several = standingOf(
      parts([[0, 0], plain({ a: { 0: 5, 1: 2 } })], [[1, 1], plain({ a: { 0: 5, 1: 7 } })]),
      [0, 1],
    )
    const after = laidOver(several, parseOffsets({ a: { 0: 6 } }), false)
    const laid: unknown = after.spans.get('a')!.spans.map(({ positions }) => [...positions])
    expect(laid).toEqual([
      [
        [0, 6],
        [1, 2],
      ],
      [
        [0, 6],
        [1, 7],
      ],
    ])
    expect(() => laidOver(several, parseOffsets({ a: { 1: 5 } }), false)).toThrow(/partition 1, is at 7/)
    expect(laidOver(several, parseOffsets({ a: { 1: 8 } }), false)).toEqual(plain({ a: { 0: 5, 1: 8 } }))
  })
})

test('what a run has moved replaces the spans, and is plain as soon as all are equal', () => {
  const merged = standingOf(parts([[0, 3], plain({ a: 5 })], [[4, 7], plain({ a: 9 })]), [0, 7])
  const to = (...spans: [first: number, last: number, position: Position][]): Standing =>
    movedTo(merged, new Map([['a', { isAligned: false, spans: spansOf(...spans) }]]))
  expect(to([0, 3, 7], [4, 7, 9]).spans.get('a')!.spans).toEqual(spansOf([0, 3, 7], [4, 7, 9]))
  expect(to([0, 3, 10], [4, 7, 10])).toEqual(plain({ a: 10 }))
})

test('a restore takes the positions of its partitions back', () => {
  const now = standingOf(parts([[0, 3], plain({ a: 5 })], [[4, 7], plain({ a: 9 })]), [0, 7])
  const then = plain({ a: 3, b: 1 })
  expect(restored(now, then, undefined, NO_OFFSETS, [0, 7])).toEqual(then)
  expect(restored(then, now, undefined, parseOffsets({ a: 1 }), [0, 7])).toEqual(plain({ a: 1 }))
  const some = restored(now, then, new Set([2, 3, 4]), NO_OFFSETS, [0, 7])
  expect(some.spans.get('a')!.spans).toEqual(spansOf([0, 1, 5], [2, 4, 3], [5, 7, 9]))
  expect(restored(now, then, new Set([0]), NO_OFFSETS, [0, 3]).spans.get('a')!.spans).toEqual(
    spansOf([0, 0, 3], [1, 3, 5]),
  )
})

test('whatever the splits and merges, each partition keeps its positions: 300 lives', () => {
  const PARTITIONS = 8
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: PARTITIONS - 1 }), { maxLength: 4 })
  const move = fc.record({ at: fc.nat(PARTITIONS - 1), source: fc.constantFrom('a', 'b'), by: fc.nat(3) })
  fc.assert(
    fc.property(fc.array(fc.tuple(cuts, fc.array(move, { maxLength: 6 })), { maxLength: 8 }), (steps) => {
      const truth = Array.from({ length: PARTITIONS }, () => new Map<string, number>())
      let logs: Part[] = [{ range: [0, PARTITIONS - 1], standing: NOTHING }]
      for (const [places, moves] of steps) {
        const ends = [0, ...places.toSorted((a, b) => a - b), PARTITIONS]
        const ranges = ends.slice(1).map((end, i): PartitionRange => [ends[i]!, end - 1])
        logs = ranges.map((range) => ({ range, standing: standingOf(logs, range) }))
        for (const { at: partition, source, by } of moves) {
          // Everything in a log moves to what is above its highest position.
          const log = logs.findIndex(({ range }) => partition >= range[0] && partition <= range[1])
          const { range, standing } = logs[log]!
          const all = truth.slice(range[0], range[1] + 1)
          const position = Math.max(...all.map((one) => one.get(source) ?? 0)) + by
          for (const one of all) one.set(source, position)
          logs = logs.with(log, { range, standing: laidOver(standing, parseOffsets({ [source]: position }), false) })
        }
        for (const { range, standing } of logs) {
          for (let i = range[0]; i <= range[1]; i++) {
            for (const source of ['a', 'b']) {
              const known = truth[i]!.get(source)
              expect(at(standing, source, i)).toEqual(known === undefined ? [] : [[undefined, known]])
            }
          }
          for (const { spans } of standing.spans.values()) {
            expect(spans.length).toBeGreaterThan(1)
            expect([spans[0]!.first, spans.at(-1)!.last]).toEqual(range)
          }
        }
      }
    }),
    { numRuns: 300 },
  )
})
