/** Single decisions. What holds of many in a row is in test/model/assignment.test.ts. */
import { describe, expect, test } from 'vitest'
import { assign } from '../../../src/group/assign.js'
import { groupOf, loads, named, told, type Given, type ShardOf } from '../../support/group-states.js'

const decide = (given: Given, now = 10_000): string[] => told(assign(groupOf(given), now))
const many = (count: number, shard: ShardOf): ShardOf[] => Array.from({ length: count }, () => shard)

describe('shards without an owner', () => {
  test('are shared out by weight', () => {
    const state = groupOf({ members: { a: {}, b: { weight: 2 } }, shards: many(9, {}) })
    expect(loads(assign(state, 0))).toEqual({ a: 3, b: 6 })
  })

  test('go to a standby, which is warm, though another has less', () => {
    const shards = [{ owner: 'a' }, { owner: 'a', movedAt: 9_999 }, { standbys: 'a' }]
    expect(decide({ members: { a: {}, b: {} }, shards, settings: { coolMs: 1e6, moves: 0 } })[2]).toBe('a')
  })

  test('go to whom they were sent, before any standby', () => {
    expect(decide({ members: { a: {}, b: {} }, shards: [{ next: 'b', standbys: 'a' }] })).toEqual(['b'])
  })

  test('stay without one as long as nobody can be given anything', () => {
    expect(decide({ shards: [{}] })).toEqual(['-'])
    expect(decide({ members: { a: { isLeaving: true } }, shards: [{}] })).toEqual(['-'])
  })

  test('are those of members that are gone, also on their way to one and with standbys that are', () => {
    const shards = [
      { owner: 'c', standbys: 'd' },
      { owner: 'a', next: 'c', standbys: 'd' },
    ]
    expect(decide({ members: { a: {} }, shards })).toEqual(['a', 'a'])
  })
})

describe('a member that joins', () => {
  test('gets its share and no more, a few shards at a time', () => {
    const shards = many(9, { owner: 'a' })
    expect(loads(assign(groupOf({ members: { a: {}, b: {} }, shards }), 0))).toEqual({ a: 7, b: 2 })
    const settings = { moves: 9 }
    expect(loads(assign(groupOf({ members: { a: {}, b: {} }, shards, settings }), 0))).toEqual({ a: 5, b: 4 })
    expect(loads(assign(groupOf({ members: { a: {}, b: { weight: 2 } }, shards, settings }), 0))).toEqual({
      a: 3,
      b: 6,
    })
  })

  test('is sent shards, and owns none before it takes them', () => {
    const given = decide({ members: { a: {}, b: {} }, shards: many(2, { owner: 'a' }) })
    expect(given.toSorted()).toEqual(['a', 'a>b'])
  })

  test('is sent what it stands by for, before others', () => {
    const shards = [...many(3, { owner: 'a' }), { owner: 'a', standbys: 'b' }]
    const settings = { moves: 1, standbys: 1 }
    expect(decide({ members: { a: {}, b: {} }, shards, settings })[3]).toBe('a>b+b')
  })

  test('is sent no shard that was moved a short time ago', () => {
    const shards = many(2, { owner: 'a', movedAt: 500 })
    const state = groupOf({ members: { a: {}, b: {} }, shards })
    expect(assign(state, 1499)).toBe(state)
    expect(loads(assign(state, 1500))).toEqual({ a: 1, b: 1 })
  })
})

test('nothing moves, and the state stays the same object, where no move makes it more even', () => {
  const state = groupOf({ members: { a: {}, b: {} }, shards: [{ owner: 'a' }, { owner: 'a' }, { owner: 'b' }] })
  expect(assign(state, 1e6)).toBe(state)
})

describe('a member that leaves', () => {
  test('hands off to who has least, a few at a time each, though they moved a short time ago', () => {
    const shards = [...many(6, { owner: 'a', movedAt: 9_999 }), { owner: 'b' }, { owner: 'c' }]
    const members = { a: { isLeaving: true }, b: {}, c: {} }
    expect(loads(assign(groupOf({ members, shards }), 10_000))).toEqual({ a: 2, b: 3, c: 3 })
  })

  test('keeps what is for somebody to whom as many are on their way: elsewhere it would move once more', () => {
    const shards = [...many(4, { owner: 'a' }), ...many(4, { owner: 'b' })]
    const members = { a: { isLeaving: true }, b: {}, c: {} }
    expect(loads(assign(groupOf({ members, shards }), 0))).toEqual({ a: 2, b: 4, c: 2 })
  })

  test('stands by for nothing any more', () => {
    const members = { a: {}, b: { isLeaving: true }, c: {} }
    expect(decide({ members, shards: [{ owner: 'a', standbys: 'b' }], settings: { standbys: 1 } })).toEqual(['a+c'])
  })

  test('keeps what nobody can be given', () => {
    const state = groupOf({ members: { a: { isLeaving: true } }, shards: [{ owner: 'a' }] })
    expect(assign(state, 0)).toBe(state)
  })
})

describe('suspects', () => {
  test('are apart: one at each member, and the others wait', () => {
    const state = groupOf({ members: { a: {}, b: {} }, shards: [...many(3, { fails: 1 }), {}] })
    const after = assign(state, 0)
    const owners = told(after).slice(0, 3)
    expect(owners.toSorted()).toEqual(['-', 'a', 'b'])
    expect(told(after)[3]).not.toBe('-')
  })

  test('do not go to who has one, not even when they were sent to it or it stands by', () => {
    const shards = [
      { owner: 'a', fails: 1 },
      { fails: 1, next: 'a', standbys: 'a' },
    ]
    expect(decide({ members: { a: {}, b: {} }, shards })[1]).toBe('b')
  })

  test('are moved by who leaves only to who has none', () => {
    const shards = [{ owner: 'a', fails: 1 }, { owner: 'b', fails: 2 }, { owner: 'c' }, { owner: 'c' }]
    expect(decide({ members: { a: { isLeaving: true }, b: {}, c: {} }, shards })[0]).toBe('a>c')
  })

  test('are not moved to make loads even', () => {
    const state = groupOf({ members: { a: {}, b: {} }, shards: many(4, { owner: 'a', fails: 1 }) })
    expect(assign(state, 0)).toBe(state)
  })
})

test('a parked shard is at nobody, and nobody stands by for it', () => {
  const members = { a: {}, b: {} }
  const shards = [{ owner: 'a', next: 'b', standbys: 'b', isParked: true, fails: 3 }, { owner: 'a' }, { owner: 'b' }]
  expect(decide({ members, shards })).toEqual(['-', 'a', 'b'])
})

describe('standbys', () => {
  test('sit in other zones first', () => {
    const members = { a: { zone: 'x' }, b: { zone: 'x' }, c: { zone: 'y' } }
    const shards = many(4, { owner: 'a' })
    const settings = { standbys: 1, moves: 0 }
    expect(decide({ members, shards, settings })).toEqual(['a+c', 'a+c', 'a+c', 'a+c'])
    expect(decide({ members, shards: [{ owner: 'a' }], settings: { standbys: 2, moves: 0 } })).toEqual(['a+cb'])
  })

  test('are shared out by weight, and are as many as there are members', () => {
    const members = { a: {}, b: {}, c: { weight: 3 } }
    const shards = many(8, { owner: 'a' })
    const given = decide({ members, shards, settings: { standbys: 1, moves: 0 } })
    expect(given.filter((shard) => shard === 'a+c')).toHaveLength(6)
    expect(decide({ members, shards: [{ owner: 'a' }], settings: { standbys: 5, moves: 0 } })[0]).toHaveLength(4)
  })

  test('become fewer when fewer are wanted, the last first', () => {
    const members = { a: {}, b: {}, c: {} }
    expect(decide({ members, shards: [{ owner: 'a', standbys: 'cb' }], settings: { standbys: 1 } })).toEqual(['a+c'])
  })
})

describe('parents of a merge', () => {
  const wide = { coolMs: 0, moves: 9 }

  test('come together at who has most of them, and then stay there', () => {
    const shards = [{ owner: 'a' }, { owner: 'b' }, { owner: 'b' }, { owner: 'c' }]
    const members = { a: {}, b: {}, c: {} }
    expect(decide({ members, shards, cuts: [], settings: wide })).toEqual(['a>b', 'b', 'b', 'c>b'])
    const together = groupOf({ members, shards: many(4, { owner: 'b' }), cuts: [], settings: wide })
    expect(assign(together, 0)).toBe(together)
  })

  test('come neighbours first', () => {
    const shards = 'caabba'.split('').map((owner) => ({ owner }))
    const settings = { moves: 1 }
    const given = decide({ members: { a: {}, b: {}, c: {} }, shards, cuts: [], settings })
    expect(given).toEqual(['c>a', 'a', 'a', 'b', 'b', 'a'])
  })

  test('count as the one shard that they become', () => {
    const shards = [...many(4, { owner: 'a' }), { owner: 'a', first: 4, last: 4 }, { owner: 'b' }]
    const state = groupOf({ members: { a: {}, b: {} }, shards, cuts: [4, 5], settings: wide })
    expect(told(assign(state, 0)).slice(0, 4)).toEqual(['a', 'a', 'a', 'a'])
    expect(loads(assign(state, 0))).toEqual({ a: 5, b: 1 })
  })

  test('wait for a shard among them that kills, is parked, or has to be split before', () => {
    const members = { a: {}, b: {} }
    for (const odd of [{ fails: 1 }, { isParked: true }]) {
      const shards = [{ owner: 'a' }, { owner: 'b', ...odd }]
      expect(decide({ members, shards, cuts: [] })[0]).toBe('a')
    }
    const shards = [{ owner: 'a' }, { owner: 'b', first: 1, last: 2 }]
    expect(decide({ members, shards, cuts: [2] })).toEqual(['a', 'b'])
  })

  test('move no earlier than other shards may', () => {
    const shards = [{ owner: 'a' }, { owner: 'a' }, { owner: 'b', movedAt: 9_500 }]
    const state = groupOf({ members: { a: {}, b: {} }, shards, cuts: [] })
    expect(told(assign(state, 10_499))).toEqual(['a', 'a', 'b'])
    expect(told(assign(state, 10_500))).toEqual(['a', 'a', 'b>a'])
  })
})

test('who is as good is told by a hash of both, so that equals are not all given the same', () => {
  const members = Object.fromEntries('89abcdef'.split('').map((digit) => [digit, {}]))
  const firsts = '0123456789abcdef'.split('').map((digit) => {
    const state = groupOf({ members, shards: [{}] })
    const [shard] = state.shards.values()
    const moved = { ...state, shards: new Map([[named(digit), { ...shard!, id: named(digit) }]]) }
    return told(assign(moved, 0))[0]
  })
  expect(new Set(firsts).size).toBeGreaterThan(3)
})
