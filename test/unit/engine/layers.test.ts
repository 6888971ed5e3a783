/** The layers of a tail say the same as its entries one by one, and are few. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toMapKey } from '../../../src/bytes/keys.js'
import type { Memtable } from '../../../src/engine/memtable.js'
import { layersOf, longerTail, type TailEntry } from '../../../src/engine/state.js'
import type { CodedRuns } from '../../../src/manifest/manifest.js'
import { memtableOf, rangeOf, SLOT, type Value } from '../../support/parts.js'

const entry = (n: number, memtable: Memtable | undefined, references?: CodedRuns): TailEntry => ({
  n,
  time: 0,
  memtable,
  references,
  bytes: 0,
})

/** The newest answer about a key among memtables, oldest first. */
function said(memtables: readonly (Memtable | undefined)[], key: number): Value | 'gone' {
  for (const memtable of [...memtables].reverse()) {
    const point = memtable?.find(SLOT, toMapKey(key))
    if (point) return point.deleted ? 'gone' : point.bytes![0]
  }
  return undefined
}

test('thousands of entries are few layers', () => {
  const tail = Array.from({ length: 4095 }, (_, i) => entry(i + 1, memtableOf({ puts: [[i % 50, i % 200]] })))
  expect(layersOf(tail).length).toBeLessThanOrEqual(28)
  expect(layersOf(tail).reduce((sum, { entries }) => sum + entries, 0)).toBe(4095)
  expect(layersOf(tail)).toBe(layersOf(tail))
})

test('a tail with one more entry goes on from the layers that are known', () => {
  const entries = Array.from({ length: 200 }, (_, i) => entry(i + 1, memtableOf({ puts: [[i % 50, i % 200]] })))
  let tail: readonly TailEntry[] = []
  for (const [i, added] of entries.entries()) {
    const before = layersOf(tail)
    tail = longerTail(tail, added)
    expect(tail).toEqual(entries.slice(0, i + 1))
    const after = layersOf(tail)
    // The oldest are as they were; only those become one that had grown to be as many as a larger one takes.
    const isMerged = after.length <= before.length
    if (!isMerged) expect(after.slice(0, -1).every((layer, at) => layer === before[at])).toBe(true)
    expect(after.map((layer) => layer.entries)).toEqual(layersOf([...tail]).map((layer) => layer.entries))
  }
})

test('layers say what the entries say, and leave deltas by reference and entries without changes where they are', () => {
  const key = fc.integer({ min: 0, max: 12 })
  const change = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.tuple(key, fc.option(fc.nat(250), { nil: undefined })).map((put) => memtableOf({ puts: [put] })),
    },
    {
      weight: 2,
      arbitrary: fc
        .tuple(key, key)
        .map(([a, b]) => memtableOf({ ranges: [rangeOf(Math.min(a, b), Math.max(a, b) + 1)] })),
    },
    { weight: 1, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constant('references' as const) },
  )
  fc.assert(
    fc.property(fc.array(change, { maxLength: 90 }), (changes) => {
      const runs: CodedRuns[] = []
      const tail = changes.map((made, i) => {
        if (made !== 'references') return entry(i + 1, made)
        const references: CodedRuns = { codecs: new Map(), runs: [] }
        runs.push(references)
        return entry(i + 1, undefined, references)
      })
      const layers = layersOf(tail)
      expect(layers.flatMap(({ references }) => references ?? [])).toEqual(runs)
      // Between two references, and at the ends, the layers stand for just the entries that were there.
      const parts = <T extends { memtable: Memtable | undefined; references: unknown }>(all: readonly T[]) =>
        all.reduce<(Memtable | undefined)[][]>(
          (sum, { memtable, references }) => {
            if (references) sum.push([])
            else sum.at(-1)!.push(memtable)
            return sum
          },
          [[]],
        )
      const [whole, few] = [parts(tail), parts(layers)]
      expect(few.length).toBe(whole.length)
      for (const [i, memtables] of whole.entries())
        for (let k = 0; k <= 12; k++) expect(said(few[i]!, k)).toBe(said(memtables, k))
    }),
    { numRuns: 300 },
  )
})
