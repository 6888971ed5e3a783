/** Which shards a target splits and merges. */
import { evenCuts } from '../../../src/engine/shards/plan.js'
import { describe, expect, test } from 'vitest'
import { isReached, mergesAt, mergesOf, splitsAt } from '../../../src/group/target.js'
import { groupOf, named, type ShardOf } from '../../support/group-states.js'

const a = named('a')
const ranges = (list: readonly { readonly first: number; readonly last: number }[]): string =>
  list.map(({ first, last }) => `${first}-${last}`).join(' ')

test('even cuts make shards of like size', () => {
  expect(evenCuts(1, 64)).toEqual([])
  expect(evenCuts(4, 64)).toEqual([16, 32, 48])
  expect(evenCuts(3, 64)).toEqual([21, 43])
  expect(evenCuts(3, 3)).toEqual([1, 2])
})

describe('splits', () => {
  const splits = (shards: readonly ShardOf[], cuts?: readonly number[]): string[] =>
    splitsAt(groupOf({ shards, ...(cuts && { cuts }) }), a).map(({ into }) => ranges(into))

  test('are at the cuts that lie within a shard', () => {
    const shards = [
      { first: 0, last: 7, owner: 'a' },
      { first: 8, last: 9, owner: 'a' },
    ]
    expect(splits(shards, [2, 5, 8])).toEqual(['0-1 2-4 5-7'])
    expect(splits(shards, [8])).toEqual([])
    expect(splits(shards, [9])).toEqual(['8-8 9-9'])
    expect(splits(shards)).toEqual([])
  })

  test('are its own of who owns the shard, not of a suspect, and not on its way to another', () => {
    const whole = { first: 0, last: 7 }
    expect(splits([{ ...whole, owner: 'b' }], [4])).toEqual([])
    expect(splits([{ ...whole, owner: 'a', next: 'b' }], [4])).toEqual([])
    expect(splits([{ ...whole, owner: 'a', fails: 1 }], [4])).toEqual([])
  })
})

describe('merges', () => {
  const shards = 'aabbaa'.split('').map((owner) => ({ owner }))

  test('are of neighbours between two cuts', () => {
    const merges = mergesOf(groupOf({ shards, cuts: [2, 3] })).map(ranges)
    expect(merges).toEqual(['0-0 1-1', '3-3 4-4 5-5'])
    expect(mergesOf(groupOf({ shards }))).toEqual([])
  })

  test('are made by a member that has all parents', () => {
    expect(mergesAt(groupOf({ shards, cuts: [2] }), a).map(ranges)).toEqual(['0-0 1-1'])
    const going = [{ owner: 'a' }, { owner: 'a', next: 'b' }]
    expect(mergesAt(groupOf({ shards: going, cuts: [] }), a)).toEqual([])
  })

  test('wait on both sides of a cut that lies within a shard', () => {
    const across = [{ owner: 'a' }, { owner: 'a', first: 1, last: 2 }, { owner: 'a', first: 3, last: 3 }]
    expect(mergesOf(groupOf({ shards: across, cuts: [2] }))).toEqual([])
  })

  test('wait for suspects and parked shards', () => {
    expect(mergesOf(groupOf({ shards: [{ fails: 1 }, {}], cuts: [] }))).toEqual([])
    expect(mergesOf(groupOf({ shards: [{ isParked: true }, {}], cuts: [] }))).toEqual([])
  })
})

test('a target is reached when the shards are those between its cuts', () => {
  const state = groupOf({
    shards: [
      { first: 0, last: 1 },
      { first: 2, last: 3 },
    ],
  })
  expect(isReached(state, { cuts: [2] })).toBe(true)
  expect(isReached(state, { cuts: [1] })).toBe(false)
  expect(isReached(state, { cuts: [] })).toBe(false)
  expect(isReached(state, { cuts: [1, 2] })).toBe(false)
})
