import { expect, test } from 'vitest'
import { retained } from '../../../../src/engine/gc/retention.js'

type IndexedEntry = Parameters<typeof retained>[0][number]

/** An entry at so many seconds, after a fold that lies at `manifestAt` and covers up to `covers`. */
const entry = (n: number, time: number, [manifestAt, covers] = [1, 0], isVersion = true): IndexedEntry => ({
  n,
  isVersion,
  carried: { time, manifestAt, covers },
  collection: undefined,
})
/** Versions 1 to 10, one each second; entries 4 and 8 carry folds of all before them. */
const TEN = Array.from({ length: 10 }, (_, i) => {
  const n = i + 1
  return entry(n, n, n >= 8 ? [8, 7] : n >= 4 ? [4, 3] : [1, 0])
})
const NOTHING = { keeps: 0, trim: 0 }
const keep = (versions: number, ageMs = 0, now = 10, before = NOTHING, entries = TEN): typeof NOTHING =>
  retained(entries, { versions, ageMs }, now, before)

test('the newest so many versions are kept', () => {
  expect(keep(3).keeps).toBe(8)
  expect(keep(10).keeps).toBe(1)
})

test('with fewer versions than are to be kept nothing changes', () => {
  expect(keep(11)).toEqual(NOTHING)
  expect(keep(11, 0, 10, { keeps: 1, trim: 3 })).toEqual({ keeps: 1, trim: 3 })
})

test('versions count, not entries', () => {
  const entries = [...TEN, entry(11, 11, [11, 10], false), entry(12, 12, [11, 10], false)]
  expect(keep(2, 0, 12, NOTHING, entries).keeps).toBe(9)
})

test('a span of time keeps all versions in it, and the one with which it began', () => {
  expect(keep(1, 4, 10).keeps).toBe(6)
  expect(keep(1, 4.5, 10).keeps).toBe(5)
})

test('of both limits the one that keeps more counts', () => {
  expect(keep(8, 1).keeps).toBe(3)
  expect(keep(1, 8).keeps).toBe(2)
})

test('as long as no version is older than the span nothing goes', () => {
  expect(keep(1, 9.5)).toEqual(NOTHING)
})

test('one fold more than the oldest version needs stays, for repairs', () => {
  // Version 10 stands on the fold in entry 8; the one in entry 4 stays, and with it the entries after what it covers.
  expect(keep(1)).toEqual({ keeps: 10, trim: 3 })
  // Version 7 stands on that in entry 4; before it is the beginning, which covers nothing.
  expect(keep(4)).toEqual({ keeps: 7, trim: 0 })
})

test('a fence that was written blindly says nothing of folds', () => {
  const blind: IndexedEntry = { n: 8, isVersion: false, carried: undefined, collection: undefined }
  const entries = TEN.map((each) => (each.n === 7 ? { ...blind, n: 7 } : each))
  expect(keep(1, 0, 10, NOTHING, entries)).toEqual({ keeps: 10, trim: 3 })
})

test('what is no longer kept does not come back, and the trim number does not fall', () => {
  expect(keep(9, 0, 10, { keeps: 5, trim: 3 })).toEqual({ keeps: 5, trim: 3 })
  expect(keep(5, 0, 10, { keeps: 5, trim: 3 })).toEqual({ keeps: 6, trim: 3 })
})
