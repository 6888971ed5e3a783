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
/** A state that has these keys. */
const stateOf = (memtable = new Memtable(), offsets: Offsets = {}): ShardState => {
  const empty = emptyState(LOG_ID, 1)
  const tail = [{ n: 1, time: 0, memtable, references: undefined, bytes: 0 }]
  return { ...empty, tail, carried: { ...empty.carried, offsets: parseOffsets(offsets) } }
}

class Reads extends ReadSet {
  /** The handle as a commit sees it. */
  handle = { others: 0, state: stateOf() }

  constructor(buffer = new Memtable()) {
    super(
      () => buffer,
      () => undefined as never,
    )
  }

  get(...keys: Key[]): void {
    for (const key of keys) this.key(SLOT, toMapKey(key))
  }

  /** Others have made these changes, to a state that has the keys of `before`. */
  changed(others: readonly AppliedEntry[] | undefined, before = new Memtable(), offsets: Offsets = {}): void {
    this.handle.others++
    this.met(stateOf(before), stateOf(before, offsets), others)
  }

  /** A commit that is asked for now, as a function that tells whether it may be appended by then. */
  asks(changes: Memtable, withOffsets = false, kind: 'buffer' | 'own' | 'transaction' = 'buffer'): () => boolean {
    const objection = this.objection(this.handle, changes, kind, withOffsets, new Promise(() => undefined))
    return () => objection(true) === undefined
  }

  allows(...keys: Key[]): boolean {
    return this.asks(puts(...keys))()
  }
}

test('a key that was read and that others changed since is not changed on top of that; any other is', () => {
  const reads = new Reads()
  reads.get(1, 2)
  reads.changed(entries(puts(2, 3)))
  expect([1, 2, 3].map((key) => reads.allows(key))).toEqual([true, false, true])
  expect(reads.allows(1, 2)).toBe(false)
})

test('the same for a commit that is on its way when others come first', () => {
  const reads = new Reads()
  reads.get(1, 2)
  const asked = [puts(1), puts(2), puts(3), cut(0, 2), cut(0, 3), cut(3, 9)].map((changes) => reads.asks(changes))
  reads.changed(entries(puts(2, 3)))
  expect(asked.map((allows) => allows())).toEqual([true, false, true, true, false, true])
})

test('a read after a commit was asked for is not in its way', () => {
  const reads = new Reads()
  const allows = reads.asks(puts(1))
  reads.get(1)
  reads.changed(entries(puts(1)))
  expect(allows()).toBe(true)
})

test('nor does reading what others made of it help a commit that was asked for before', () => {
  const reads = new Reads()
  reads.get(1)
  const allows = reads.asks(puts(1))
  reads.changed(entries(puts(1)))
  reads.get(1)
  expect([allows(), reads.allows(1)]).toEqual([false, true])
})

test('the objection names the keys', () => {
  const reads = new Reads()
  reads.get('a', 'b', 'c', 'd', 'e', 'f', 'g')
  reads.changed(entries(puts('a', 'b', 'c', 'd', 'e', 'f', 'g')))
  const changes = puts('a', 'b', 'c', 'd', 'e', 'f', 'g')
  const why = reads.objection(reads.handle, changes, 'buffer', false, new Promise(() => undefined))(true)
  expect(why).toContain('"a", "b", "c", "d", "e" and 2 more')
})

test('what was read after others changed it may be changed', () => {
  const reads = new Reads()
  reads.changed(entries(puts(1)))
  reads.get(1)
  expect(reads.allows(1)).toBe(true)
})

test('a key that is read again is known as it is; so are all in a range that is', () => {
  const reads = new Reads()
  reads.get(1, 2, 3)
  reads.changed(entries(puts(1, 2, 3)))
  reads.get(1)
  expect([1, 2, 3].map((key) => reads.allows(key))).toEqual([true, false, false])
  reads.range(SLOT, rangeOf(2, 3))
  expect([1, 2, 3].map((key) => reads.allows(key))).toEqual([true, true, false])
})

test('who has read a range has read the keys that were in it, and no new one', () => {
  const reads = new Reads()
  reads.range(SLOT, rangeOf(10, 20))
  const keys = [9, 12, 15, 20]
  const asked = keys.map((key) => reads.asks(puts(key)))
  reads.changed(entries(puts(...keys)), puts(9, 15, 20))
  expect(keys.map((key) => reads.allows(key))).toEqual([true, true, false, true])
  expect(asked.map((allows) => allows())).toEqual([true, true, false, true])
})

test('who has looked for a key by itself has read that it was not there', () => {
  const reads = new Reads()
  reads.range(SLOT, rangeOf(10, 20))
  reads.get(12)
  const allows = reads.asks(puts(12))
  reads.changed(entries(puts(12)))
  expect([allows(), reads.allows(12)]).toEqual([false, false])
})

test('range deletes of others make stale what was there to read, and own ones are judged the same way', () => {
  const reads = new Reads()
  reads.get(15)
  const asked = [cut(0, 100), cut(20, 100)].map((changes) => reads.asks(changes))
  reads.changed(entries(cut(10, 20)))
  expect([reads.allows(15), reads.allows(30)]).toEqual([false, true])
  expect([cut(0, 100), cut(20, 100)].map((changes) => reads.asks(changes)())).toEqual([false, true])
  expect(asked.map((allows) => allows())).toEqual([false, true])
})

test('a new key in a range that was read goes on top of a range delete of others', () => {
  const reads = new Reads()
  reads.range(SLOT, rangeOf(0, 100))
  const asked = [puts(15), puts(16)].map((changes) => reads.asks(changes))
  reads.changed(entries(cut(10, 20)), puts(15))
  expect([reads.allows(15), reads.allows(16)]).toEqual([false, true])
  expect(asked.map((allows) => allows())).toEqual([false, true])
})

test('clearing goes on top of new keys of others, and not of changes to what was read', () => {
  const reads = new Reads()
  reads.range(SLOT, rangeOf(0, 100))
  const asked = reads.asks(cut(0, 100))
  reads.changed(entries(puts(16)), puts(15))
  expect([asked(), reads.asks(cut(0, 100))()]).toEqual([true, true])
  reads.changed(entries(puts(15)), puts(15))
  expect([asked(), reads.asks(cut(0, 100))()]).toEqual([false, false])
})

test('ranges that only touch have nothing in common', () => {
  const reads = new Reads()
  reads.range(SLOT, rangeOf(10, 20))
  const asked = reads.asks(cut(0, 20))
  reads.changed(entries(cut(20, 30)))
  expect([asked(), reads.asks(cut(0, 20))()]).toEqual([true, true])
})

test('the same key in another table or partition is another key', () => {
  const reads = new Reads()
  reads.get(1)
  for (const slot of [makeSlot(0, tableBytes('t')), makeSlot(1, tableBytes(''))]) {
    const changes = memtableOf({ puts: [[1, 1]], slot })
    const asked = [reads.asks(puts(1)), reads.asks(changes)]
    reads.changed(entries(changes))
    expect(asked.map((allows) => allows())).toEqual([true, true])
    expect([reads.allows(1), reads.asks(changes)()]).toEqual([true, true])
  }
})

test('what the program has put itself tells it nothing of others when it reads that', () => {
  const reads = new Reads(puts(1))
  reads.get(1)
  reads.changed(entries(puts(1)))
  expect(reads.allows(1)).toBe(true)
})

test('when it is not known what others changed, all that was read is stale', () => {
  for (const unknown of [undefined, entries(undefined, { codecs: new Map(), runs: [] })]) {
    const reads = new Reads()
    reads.get(1)
    reads.range(SLOT, rangeOf(10, 20))
    const asked = [1, 2, 12, 15].map((key) => reads.asks(puts(key)))
    const clearing = reads.asks(cut(0, 5))
    reads.changed(unknown, puts(1, 2, 15))
    expect([1, 2, 12, 15].map((key) => reads.allows(key))).toEqual([false, true, true, false])
    expect(asked.map((allows) => allows())).toEqual([false, true, true, false])
    expect([clearing(), reads.asks(cut(0, 5))(), reads.asks(cut(2, 5))()]).toEqual([false, false, true])
    reads.get(1)
    expect([reads.allows(1), reads.allows(15)]).toEqual([true, false])
  }
})

test('however often others change what nobody can tell, what was read stays stale', () => {
  const reads = new Reads()
  reads.get(1)
  reads.range(SLOT, rangeOf(10, 20))
  for (let i = 0; i < 100; i++) reads.changed(undefined, puts(1, 15))
  expect([1, 2, 15].map((key) => reads.allows(key))).toEqual([false, true, false])
})

test('a hundred thousand reads stand for all keys of their tables that are there', () => {
  const reads = new Reads()
  for (let i = 0; i < 100_000; i++) reads.get(i)
  reads.changed(entries(puts(7, 200_000, 300_000)), puts(7, 200_000))
  expect([7, 8, 200_000, 300_000].map((key) => reads.allows(key))).toEqual([false, true, false, true])
})

test('what the program was told of by CONFLICT is known', () => {
  const reads = new Reads()
  reads.get(1, 2)
  reads.changed(entries(puts(1, 2)), puts(), { a: 1 })
  reads.told(puts(1), false)
  expect([reads.allows(1), reads.allows(2), reads.asks(puts(1), true)()]).toEqual([true, false, false])
  reads.told(new Memtable(), true)
  expect(reads.asks(puts(1), true)()).toBe(true)
})

test('changes of their own are blind, and a transaction stands on no other version', () => {
  const reads = new Reads()
  reads.get(1)
  const [own, transaction] = [reads.asks(puts(1), false, 'own'), reads.asks(puts(9), false, 'transaction')]
  expect([own(), transaction()]).toEqual([true, true])
  reads.changed(entries(puts(1)))
  expect([own(), transaction()]).toEqual([true, false])
})

test('a refresh starts anew, but for what is read while it is under way', async () => {
  const reads = new Reads()
  reads.get(1)
  await reads.during(async () => {
    reads.get(2)
    reads.changed(entries(puts(1, 2)))
  })
  expect([reads.allows(1), reads.allows(2)]).toEqual([true, false])
})

test('a refresh that fails forgets nothing', async () => {
  const reads = new Reads()
  reads.get(1)
  const failing = reads.during(async () => {
    reads.get(2)
    reads.changed(entries(puts(1, 2)))
    throw new Error('down')
  })
  await expect(failing).rejects.toThrow('down')
  expect([reads.allows(1), reads.allows(2)]).toEqual([false, false])
})

test('offsets that others moved stop a commit with offsets until they are read, and no other', () => {
  const reads = new Reads()
  reads.changed(entries(puts(1)))
  expect(reads.asks(puts(5), true)()).toBe(true)
  reads.changed(entries(puts(1)), puts(), { a: 2 })
  expect([reads.asks(puts(5), true)(), reads.asks(puts(5), false)()]).toEqual([false, true])
  reads.offsets()
  expect(reads.asks(puts(5), true)()).toBe(true)
})

test('those that a refresh meets are known afterwards, unless they were read before it met them', async () => {
  const reads = new Reads()
  const meet = (): void => reads.changed(entries(puts(1)), puts(), { a: 2 })
  await reads.during(async () => meet())
  expect(reads.asks(puts(5), true)()).toBe(true)
  await reads.during(async () => {
    reads.offsets()
    meet()
  })
  expect(reads.asks(puts(5), true)()).toBe(false)
})

test('a table that others write with another codec is not written with the old one', () => {
  const reads = new Reads()
  const asked = reads.asks(memtableOf({ puts: [[1, 1]], codec: 'json' }))
  const recorded = (codec: string): ShardState => {
    const empty = emptyState(LOG_ID, 1)
    return { ...empty, manifest: { ...empty.manifest, codecs: new Map([['', codec]]) } }
  }
  reads.changed(entries(puts(9)))
  reads.handle.state = recorded('json')
  expect(asked()).toBe(true)
  reads.handle.state = recorded('mine')
  expect(asked()).toBe(false)
})
