/** The read set by itself: what a commit may change on top of what others wrote (R18). */
import { expect, test } from 'vitest'
import { toMapKey, type Key } from '../../../src/bytes/keys.js'
import { Memtable } from '../../../src/engine/memtable.js'
import { makeSlot, tableBytes } from '../../../src/engine/slot.js'
import { emptyState, type AppliedEntry, type ShardState } from '../../../src/engine/state.js'
import type { CodedRuns } from '../../../src/manifest/manifest.js'
import { parseOffsets, type Offsets } from '../../../src/log/offsets.js'
import { ReadSet } from '../../../src/store/read-set.js'
import { LOG_ID, memtableOf, rangeOf, SLOT } from '../../support/parts.js'

const puts = (...keys: Key[]): Memtable => memtableOf({ puts: keys.map((key) => [key, 1]) })
const cut = (from: Key, to: Key): Memtable => memtableOf({ ranges: [rangeOf(from, to)] })
/** The changes of others: one entry with these. */
const entries = (memtable: Memtable | undefined, references?: CodedRuns): AppliedEntry[] => [
  { memtable, references } as unknown as AppliedEntry,
]
const allows = (reads: ReadSet, ...keys: Key[]): boolean => reads.allow(puts(...keys), false)

function readSet(buffer = new Memtable()): ReadSet & { get(...keys: Key[]): void } {
  const reads = new ReadSet(() => buffer)
  return Object.assign(reads, { get: (...keys: Key[]) => keys.forEach((key) => reads.key(SLOT, toMapKey(key))) })
}

test('a key that was read and that others changed since is not changed on top of that; any other is', () => {
  const reads = readSet()
  reads.get(1, 2)
  reads.changed(entries(puts(2, 3)), false)
  expect([1, 2, 3].map((key) => allows(reads, key))).toEqual([true, false, true])
  expect(allows(reads, 1, 2)).toBe(false)
})

test('what was read after others changed it may be changed', () => {
  const reads = readSet()
  reads.changed(entries(puts(1)), false)
  reads.get(1)
  expect(allows(reads, 1)).toBe(true)
})

test('a key that is read again is known as it is; so are all in a range that is', () => {
  const reads = readSet()
  reads.get(1, 2, 3)
  reads.changed(entries(puts(1, 2, 3)), false)
  reads.get(1)
  expect([1, 2, 3].map((key) => allows(reads, key))).toEqual([true, false, false])
  reads.range(SLOT, rangeOf(2, 3))
  expect([1, 2, 3].map((key) => allows(reads, key))).toEqual([true, true, false])
})

test('who has read a range has read what was not there', () => {
  const reads = readSet()
  reads.range(SLOT, rangeOf(10, 20))
  reads.changed(entries(puts(9, 15, 20)), false)
  expect([9, 15, 20].map((key) => allows(reads, key))).toEqual([true, false, true])
})

test('range deletes of others make stale what they overlap, and own ones are judged the same way', () => {
  const reads = readSet()
  reads.get(15)
  reads.changed(entries(cut(10, 20)), false)
  expect([allows(reads, 15), allows(reads, 30)]).toEqual([false, true])
  expect(reads.allow(cut(0, 100), false)).toBe(false)
  expect(reads.allow(cut(20, 100), false)).toBe(true)
})

test('ranges that only touch have nothing in common', () => {
  const reads = readSet()
  reads.range(SLOT, rangeOf(10, 20))
  reads.changed(entries(cut(20, 30)), false)
  expect(reads.allow(cut(0, 100), false)).toBe(true)
})

test('the same key in another table or partition is another key', () => {
  const reads = readSet()
  reads.get(1)
  for (const slot of [makeSlot(0, tableBytes('t')), makeSlot(1, tableBytes(''))]) {
    reads.changed(entries(memtableOf({ puts: [[1, 1]], slot })), false)
    expect([allows(reads, 1), reads.allow(memtableOf({ puts: [[1, 1]], slot }), false)]).toEqual([true, true])
  }
})

test('what the program has put itself tells it nothing of others when it reads that', () => {
  const reads = readSet(puts(1))
  reads.get(1)
  expect(reads.hasRead(puts(1))).toBe(false)
  reads.changed(entries(puts(1)), false)
  expect(allows(reads, 1)).toBe(true)
})

test('when it is not known what others changed, all that was read is stale', () => {
  for (const unknown of [undefined, entries(undefined, { codecs: new Map(), runs: [] })]) {
    const reads = readSet()
    reads.get(1)
    reads.changed(unknown, false)
    expect([allows(reads, 1), allows(reads, 2)]).toEqual([false, true])
  }
})

test('hasRead is about what was read since others were last met', () => {
  const reads = readSet()
  reads.get(1)
  expect([reads.hasRead(puts(1)), reads.hasRead(puts(2)), reads.hasRead(cut(0, 2))]).toEqual([true, false, true])
  reads.changed(entries(puts(9)), false)
  expect([reads.hasRead(puts(1)), allows(reads, 1)]).toEqual([false, true])
  reads.changed(entries(puts(1)), false)
  expect(allows(reads, 1)).toBe(false)
})

test('what a listener was told of is known', () => {
  const reads = readSet()
  reads.get(1, 2)
  reads.changed(entries(puts(1, 2)), true)
  reads.told(puts(1), false)
  expect([allows(reads, 1), allows(reads, 2), reads.allow(puts(1), true)]).toEqual([true, false, false])
  reads.told(new Memtable(), true)
  expect(reads.allow(puts(1), true)).toBe(true)
})

test('a refresh starts anew, but for what is read while it is under way', async () => {
  const reads = readSet()
  reads.get(1)
  await reads.during(async () => {
    reads.get(2)
    reads.changed(entries(puts(1, 2)), false)
  })
  expect([allows(reads, 1), allows(reads, 2)]).toEqual([true, false])
})

test('a refresh that fails forgets nothing', async () => {
  const reads = readSet()
  reads.get(1)
  const failing = reads.during(async () => {
    reads.get(2)
    reads.changed(entries(puts(1, 2)), false)
    throw new Error('down')
  })
  await expect(failing).rejects.toThrow('down')
  expect([allows(reads, 1), allows(reads, 2)]).toEqual([false, false])
})

const stateWith = (offsets: Offsets): ShardState => {
  const empty = emptyState(LOG_ID, 1)
  return { ...empty, carried: { ...empty.carried, offsets: parseOffsets(offsets) } }
}

test('offsets that others moved stop a commit with offsets until they are read, and no other', () => {
  const reads = readSet()
  reads.met(stateWith({ a: 1 }), stateWith({ a: 1 }), entries(puts(1)))
  expect(reads.allow(puts(5), true)).toBe(true)
  reads.met(stateWith({ a: 1 }), stateWith({ a: 2 }), entries(puts(1)))
  expect([reads.allow(puts(5), true), reads.allow(puts(5), false)]).toEqual([false, true])
  reads.offsets()
  expect(reads.allow(puts(5), true)).toBe(true)
})

test('those that a refresh meets are known afterwards, unless they were read before it met them', async () => {
  const reads = readSet()
  const meet = (): void => reads.met(stateWith({ a: 1 }), stateWith({ a: 2 }), entries(puts(1)))
  await reads.during(async () => meet())
  expect(reads.allow(puts(5), true)).toBe(true)
  await reads.during(async () => {
    reads.offsets()
    meet()
  })
  expect(reads.allow(puts(5), true)).toBe(false)
})

test('a table that others write with another codec is not written with the old one', () => {
  const changes = memtableOf({ puts: [[1, 1]], codec: 'json' })
  const recorded = (codec: string): ShardState => {
    const empty = emptyState(LOG_ID, 1)
    return { ...empty, manifest: { ...empty.manifest, codecs: new Map([['', codec]]) } }
  }
  expect(readSet().allow(changes, false, recorded('json'))).toBe(true)
  expect(readSet().allow(changes, false, recorded('mine'))).toBe(false)
})
