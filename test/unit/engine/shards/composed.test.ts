/** States of several logs as one: it reads as they do, with no more layers than the deepest has, and little is made anew when one moves. */
import { expect, test } from 'vitest'
import { toMapKey } from '../../../../src/bytes/keys.js'
import { toBinary } from '../../../../src/bytes/binary.js'
import { lookUp, viewOf } from '../../../../src/engine/read.js'
import { compose } from '../../../../src/engine/shards/composed.js'
import { makeSlot, tableBytes } from '../../../../src/engine/slot.js'
import {
  emptyState,
  layersOf,
  recordedCodec,
  statesOf,
  type KeptLog,
  type ShardState,
  type StatePart,
  type TailEntry,
} from '../../../../src/engine/state.js'
import { memtableOf } from '../../../support/parts.js'

const PARTITIONS = 8
const SLOTS = Array.from({ length: PARTITIONS }, (_, i) => makeSlot(i, tableBytes('')))
const config = { partitions: PARTITIONS, job: undefined, created: 0 }
const log = {} as KeptLog

function entry(n: number, partition: number, key: number, value: number, codec = 'json'): TailEntry {
  const memtable = memtableOf({ slot: SLOTS[partition]!, puts: [[key, value]], codec })
  return { n, time: n, memtable, references: undefined, bytes: 10 }
}

/** The state of a shard after these entries. */
function stateOf(first: number, last: number, tail: readonly TailEntry[], before?: ShardState): ShardState {
  const state = before ?? emptyState(Uint8Array.of(first, last), 0, config)
  const n = tail.at(-1)?.n ?? 0
  const carried = { ...state.carried, version: n, versionTime: n, time: n, own: { first, last, parents: [] } }
  return { ...state, head: n, carried, tail }
}

const part = (state: ShardState, first: number, last: number): StatePart => ({ of: log, state, first, last })

function read(state: ShardState, partition: number, key: number): number | undefined {
  const found = lookUp(viewOf(state, [], undefined as never), SLOTS[partition]!, toMapKey(key))
  return (found as { bytes?: Uint8Array } | undefined)?.bytes?.[0]
}

test('each partition reads as its own log has it, and the version is the highest', () => {
  const left = stateOf(0, 3, [entry(2, 1, 5, 10), entry(3, 1, 5, 11)])
  const right = stateOf(4, 7, [entry(9, 6, 5, 20)])
  const state = compose([part(left, 0, 3), part(right, 4, 7)])
  expect([read(state, 1, 5), read(state, 6, 5), read(state, 2, 5)]).toEqual([11, 20, undefined])
  expect([state.carried.version, state.carried.own]).toEqual([9, undefined])
  expect(statesOf(state)).toEqual([left, right])
})

test('what is cut away is not read, and the partitions that are left are its own', () => {
  const whole = stateOf(0, 7, [entry(2, 1, 5, 10), entry(3, 6, 5, 20)])
  const state = compose([part(whole, 4, 7)])
  expect([read(state, 1, 5), read(state, 6, 5)]).toEqual([undefined, 20])
  expect(state.carried.own).toEqual({ first: 4, last: 7, parents: [] })
  expect(state.tail.map(({ memtable }) => memtable?.slots.size)).toEqual([undefined, 1])
})

test('many shards with long tails are as few layers as one of them', () => {
  const states = Array.from({ length: PARTITIONS }, (_, i) => {
    return stateOf(
      i,
      i,
      Array.from({ length: 100 + i }, (__, n) => entry(n + 1, i, n % 30, n % 200)),
    )
  })
  const state = compose(states.map((each, i) => part(each, i, i)))
  expect(layersOf(state.tail).length).toBe(Math.max(...states.map(({ tail }) => layersOf(tail).length)))
  expect(state.tail.length).toBe(states.reduce((sum, { tail }) => sum + tail.length, 0))
  for (const [i, each] of states.entries())
    for (let key = 0; key < 30; key++) expect(read(state, i, key)).toBe(read(each, i, key))
})

test('when the tail of one grows, the manifest is the same, and so are the layers of the others', () => {
  const left = stateOf(0, 3, [entry(2, 1, 5, 10)])
  const right = stateOf(4, 7, [entry(9, 6, 5, 20)])
  const before = compose([part(left, 0, 3), part(right, 4, 7)])
  const grown = stateOf(4, 7, [...right.tail, entry(10, 6, 5, 21)], right)
  const after = compose([part(left, 0, 3), part(grown, 4, 7)], before)
  expect(after.manifest).toBe(before.manifest)
  expect([read(after, 1, 5), read(after, 6, 5), read(before, 6, 5)]).toEqual([10, 21, 20])
  expect(after.logId).not.toEqual(before.logId)
  const slots = (state: ShardState) => layersOf(state.tail).flatMap(({ memtable }) => [...memtable!.slots.values()])
  expect(slots(after)).toContain(slots(before).find(({ slot }) => slot.partition === 1))
})

test('the highest codec that a table has anywhere counts', () => {
  const left = stateOf(0, 3, [entry(2, 1, 5, 10, 'json\0v2')])
  const right = stateOf(4, 7, [entry(9, 6, 5, 20, 'json')])
  const state = compose([part(left, 0, 3), part(right, 4, 7)])
  expect(recordedCodec(state, tableBytes(''))).toBe('json\0v2')
  expect(state.manifest.codecs.get(toBinary(tableBytes('')))).toBe('json\0v2')
})
