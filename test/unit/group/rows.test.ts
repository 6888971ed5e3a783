/** The rows of a control store. */
import { describe, expect, test } from 'vitest'
import { assign } from '../../../src/group/assign.js'
import { changedRows, stateOf, type RowChanges, type Rows } from '../../../src/group/rows.js'
import { aimed, leave, released } from '../../../src/group/transitions.js'
import type { GroupState } from '../../../src/group/state.js'
import { AssignmentWorld } from '../../support/assignment-world.js'
import { groupOf, named } from '../../support/group-states.js'
import { code } from '../../support/shared.js'

const WHAT = 'The control store of "orders"'

/** As they come back from a store. */
function applied(rows: Rows, { puts, deletes }: RowChanges): Map<string, unknown> {
  const all = new Map(rows)
  for (const key of deletes) all.delete(key)
  for (const [key, value] of puts) all.set(key, JSON.parse(JSON.stringify(value)))
  return all
}

const state = groupOf({
  members: { a: { zone: 'x', weight: 1.5, info: { url: 'http://a' }, joinedAt: 7 }, b: { isLeaving: true } },
  shards: [
    { owner: 'a', next: 'b', standbys: 'bc', movedAt: 5, quietAt: 7 },
    { fails: 3, isParked: true },
  ],
  cuts: [],
})
const rows = applied(new Map(), changedRows(undefined, state))

test('say the state', () => {
  expect(stateOf(rows, WHAT)).toEqual(state)
  expect(stateOf(new Map(), WHAT)).toBeUndefined()
  expect([...rows.keys()].toSorted()).toEqual(
    [
      'settings',
      'target',
      `member/${named('a')}`,
      `member/${named('b')}`,
      `shard/${named('0')}`,
      `shard/${named('1')}`,
    ].toSorted(),
  )
})

test('of an edit are those that differ', () => {
  const changesOf = (after: GroupState): string[] => {
    const { puts, deletes } = changedRows(state, after)
    return [...[...puts.keys()].map((key) => `put ${key}`), ...deletes.map((key) => `delete ${key}`)]
  }
  expect(changesOf(state)).toEqual([])
  expect(changesOf(leave(state, named('a')))).toEqual([`put member/${named('a')}`])
  expect(changesOf(released(state, named('0'), named('a')))).toEqual([`put shard/${named('0')}`])
  expect(changesOf({ ...state, target: undefined })).toEqual(['delete target'])
  expect(changesOf(aimed({ ...state, target: undefined }, { cuts: [] }))).toEqual(['put target'])
})

test('follow whatever members do', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = new AssignmentWorld(assign, seed, { standbys: 1, partitions: 12 }, 4)
    let stored = applied(new Map(), changedRows(undefined, world.state))
    world.aim([2, 5])
    for (let step = 0; step < 30; step++) {
      const before = stateOf(stored, WHAT)!
      if (step < 4) world.join()
      if (step === 10) world.die(world.takers[0]!.id)
      if (step === 15) world.leave(world.takers[0]!.id)
      world.step()
      world.rescale()
      stored = applied(stored, changedRows(before, world.state))
      expect(stateOf(stored, WHAT)).toEqual(world.state)
    }
  }
})

describe('that are', () => {
  const withRow = (key: string, change: unknown): Rows => {
    const row = rows.get(key)
    const isObject = typeof change === 'object' && change !== null
    return new Map(rows).set(key, isObject ? { ...(row as object), ...change } : change)
  }
  const member = `member/${named('a')}`
  const shard = `shard/${named('0')}`

  test.each<[string, unknown]>([
    ['settings', undefined],
    ['settings', 7],
    ['settings', { partitions: 3 }],
    ['settings', { partitions: 1 }],
    ['settings', { partitions: 1e9 }],
    ['settings', { moves: 0 }],
    ['settings', { coolMs: Infinity }],
    ['settings', { assignVersion: 0 }],
    ['target', { cuts: 3 }],
    ['target', { cuts: [0] }],
    ['target', { cuts: [1, 1] }],
    ['target', { cuts: [2] }],
    ['target', { cuts: [0.5] }],
    ['target', null],
    [member, { weight: 0 }],
    [member, { weight: NaN }],
    [member, { weight: Infinity }],
    [member, { zone: 1 }],
    [member, { isLeaving: 0 }],
    [member, { joinedAt: -1 }],
    [member, { assignVersion: '1' }],
    [member, 'a'],
    ['member/a', {}],
    [`${member}/x`, {}],
    [`other/${named('a')}`, {}],
    ['other', {}],
    [shard, { first: 1 }],
    [shard, { last: 1 }],
    [shard, { last: -1 }],
    [shard, { owner: 'a' }],
    [shard, { next: null }],
    [shard, { standbys: 'b' }],
    [shard, { standbys: ['b'] }],
    [shard, { fails: -1 }],
    [shard, { isParked: undefined }],
    [shard, { movedAt: 'now' }],
    [shard, { quietAt: -1 }],
  ])('damaged are CORRUPT, and the error names the store and the row: %s %o', (key, change) => {
    const read = (): unknown => stateOf(withRow(key, change), WHAT)
    expect(read).toThrow(code('CORRUPT'))
    expect(read).toThrow(WHAT)
  })

  test('missing are CORRUPT', () => {
    const without = new Map(rows)
    without.delete(shard)
    expect(() => stateOf(without, WHAT)).toThrow(code('CORRUPT'))
  })

  test('of a newer version of the assignment are UNSUPPORTED_FORMAT by name, whatever else they say', () => {
    const newer = new Map(withRow('settings', { assignVersion: 2, partitions: 'many' })).set('other', {})
    expect(() => stateOf(newer, WHAT)).toThrow(code('UNSUPPORTED_FORMAT'))
    expect(() => stateOf(newer, WHAT)).toThrow('version 2 of the assignment')
  })

  test('of members of a newer release are read, as long as all decide by this version', () => {
    const newer = withRow(member, { assignVersion: 2, more: true })
    expect(stateOf(newer, WHAT)!.members.get(named('a'))!.assignVersion).toBe(2)
  })

  test('fields of a prototype are no fields', () => {
    const { isLeaving: _, ...own } = rows.get(member) as { isLeaving: boolean }
    const row: unknown = Object.assign(Object.create({ isLeaving: false }) as object, own)
    expect(() => stateOf(new Map(rows).set(member, row), WHAT)).toThrow(code('CORRUPT'))
  })
})
