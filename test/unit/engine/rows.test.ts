/** Rows that were read one by one: which of them are served, and for how long. */
import { expect, test } from 'vitest'
import { Rows } from '../../../src/engine/rows.js'
import { tableBytes, makeSlot } from '../../../src/engine/slot.js'
import { memtableOf, rangeOf, SLOT } from '../../support/parts.js'

const cache = { lend: () => undefined }
const state = (): object => ({})
const record = (length: number, expires = 0): { bytes: Uint8Array; expires: number } => ({
  bytes: new Uint8Array(length).fill(1),
  expires,
})
const commit = (memtable: ReturnType<typeof memtableOf> | undefined, kind = 'commit', references?: unknown) => ({
  entry: { kind },
  memtable,
  references,
})

test('a row is found again in the same state and in no other', () => {
  const [now, other] = [state(), state()]
  const rows = new Rows(10_000, cache, now)
  const added = rows.add(now, SLOT, 'a', record(10))
  expect(rows.find(now, SLOT, 'a')).toBe(added)
  expect(rows.find(now, SLOT, 'b')).toBeUndefined()
  expect(rows.find(now, makeSlot(1, tableBytes('')), 'a')).toBeUndefined()
  expect(rows.find(other, SLOT, 'a')).toBeUndefined()
})

test('what was read in a state that is the newest no longer is not kept', () => {
  const [before, after] = [state(), state()]
  const rows = new Rows(10_000, cache, before)
  rows.follow(before, after, [commit(memtableOf({ puts: [['a', 2]] }))])
  const late = record(10)
  expect(rows.add(before, SLOT, 'a', late)).toBe(late)
  expect(rows.find(after, SLOT, 'a')).toBeUndefined()
})

test('a row has bytes of its own, and keeps no block in memory', () => {
  const now = state()
  const rows = new Rows(10_000, cache, now)
  const block = new Uint8Array(1000).fill(5)
  const added = rows.add(now, SLOT, 'a', { bytes: block.subarray(10, 20), expires: 7 })
  expect([added.bytes?.buffer.byteLength, added.expires]).toEqual([10, 7])
})

test('an entry takes away the rows that it changes, and leaves the others', () => {
  let now = state()
  const rows = new Rows(100_000, cache, now)
  const fill = (): void => {
    for (const key of [1, 2, 3]) rows.add(now, SLOT, key, record(10))
  }
  const step = (...entries: Parameters<Rows['follow']>[2] & object): void => {
    const next = state()
    rows.follow(now, next, entries)
    now = next
  }
  const there = (): boolean[] => [1, 2, 3].map((key) => rows.find(now, SLOT, key) !== undefined)
  fill()
  step(commit(memtableOf({ puts: [[2, 9]] })), commit(undefined, 'fold'))
  expect(there()).toEqual([true, false, true])
  step(commit(memtableOf({ puts: [[3, undefined]] })))
  expect(there()).toEqual([true, false, false])
  fill()
  step(commit(memtableOf({ ranges: [rangeOf(2, 3)] })))
  expect(there()).toEqual([false, false, false])
  for (const unknown of [commit(undefined, 'reset'), commit(undefined, 'commit', {})]) {
    fill()
    step(unknown)
    expect(there()).toEqual([false, false, false])
  }
  fill()
  const next = state()
  rows.follow(now, next, undefined)
  now = next
  expect(there()).toEqual([false, false, false])
})

test('entries that follow on another state than the one that is known take all away', () => {
  const [now, other, after] = [state(), state(), state()]
  const rows = new Rows(10_000, cache, now)
  rows.add(now, SLOT, 'a', record(10))
  rows.follow(other, after, [])
  expect(rows.find(after, SLOT, 'a')).toBeUndefined()
})

test('the budget is kept, whatever is read again and again; what is used last stays', () => {
  const now = state()
  const budget = 1 << 20
  const rows = new Rows(budget, cache, now)
  const size = 10_000
  const kept = (): number => Array.from({ length: 500 }, (_, i) => i).filter((i) => rows.find(now, SLOT, i)).length
  for (let i = 0; i < 500; i++) {
    rows.add(now, SLOT, i, record(size))
    for (let j = Math.max(0, i - 5); j <= i; j++) expect(rows.find(now, SLOT, j)).toBeDefined()
    if (i % 50 === 0) expect(kept() * size).toBeLessThan(budget)
  }
  expect(kept()).toBeGreaterThan(10)
})

test('one key that is written and read in turns does not drive out the others', () => {
  let now = state()
  const rows = new Rows(40_000, cache, now)
  rows.add(now, SLOT, 'quiet', record(10))
  for (let i = 0; i < 1000; i++) {
    rows.add(now, SLOT, 'hot', record(100))
    const next = state()
    rows.follow(now, next, [commit(memtableOf({ puts: [['hot', 1]] }))])
    now = next
  }
  expect(rows.find(now, SLOT, 'quiet')).toBeDefined()
})
