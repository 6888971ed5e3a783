/** The edits of the control store's state. */
import { describe, expect, test } from 'vitest'
import {
  aimed,
  bury,
  cleared,
  join,
  leave,
  left,
  quieted,
  released,
  replaced,
  taken,
  threw,
  unpark,
  type Blame,
} from '../../../src/group/transitions.js'
import type { GroupState, Shard } from '../../../src/group/state.js'
import { groupOf, memberOf, named, told } from '../../support/group-states.js'
import { code } from '../../support/shared.js'

const [a, b, c] = [named('a'), named('b'), named('c')]
const [s0, s1, s2] = [named('0'), named('1'), named('2')]
const shardOf = (state: GroupState, id = s0): Shard => state.shards.get(id)!

describe('members', () => {
  test('join once', () => {
    const state = join(groupOf({ shards: [{}] }), memberOf('a'))
    expect([...state.members.keys()]).toEqual([a])
    expect(join(state, memberOf('a', { weight: 2 }))).toBe(state)
  })

  test('leave, and have left when they own nothing', () => {
    const leaving = leave(groupOf({ members: { a: {} }, shards: [{ owner: 'a' }] }), a)
    expect(leaving.members.get(a)!.isLeaving).toBe(true)
    expect(leave(leaving, a)).toBe(leaving)
    expect(left(leaving, a)).toBe(leaving)
    expect(left(released(leaving, s0, a), a).members.size).toBe(0)
  })

  test('have not left unless they leave', () => {
    const state = groupOf({ members: { a: {} }, shards: [{}] })
    expect(left(state, a)).toBe(state)
  })

  test('decide by the lowest version that all of them know, and never by a lower one again', () => {
    const [first, second] = [memberOf('a', { assignVersion: 1 }), memberOf('b', { assignVersion: 2 })]
    const mixed = join(join(groupOf({ shards: [{}] }), first), second)
    expect(mixed.settings.assignVersion).toBe(1)
    const newer = bury(mixed, a, new Map())
    expect(newer.settings.assignVersion).toBe(2)
    expect(bury(newer, b, new Map()).settings.assignVersion).toBe(2)
  })
})

describe('a shard', () => {
  test('is taken by whom it was sent to, and by nobody else', () => {
    const state = groupOf({ members: { a: {}, b: {} }, shards: [{ owner: 'a', next: 'b', standbys: 'bc' }] })
    const after = taken(state, s0, b, 77)
    expect(told(after)).toEqual(['b+c'])
    expect(shardOf(after).movedAt).toBe(77)
    expect(taken(state, s0, c, 77)).toBe(state)
    expect(taken(after, s0, b, 78)).toBe(after)
    expect(taken(leave(state, b), s0, b, 77)).toEqual(leave(state, b))
    expect(told(taken(bury(state, b, new Map()), s0, b, 77))).toEqual(['a>b+bc'])
  })

  test('is released by its owner only', () => {
    const state = groupOf({ members: { a: {} }, shards: [{ owner: 'a' }] })
    expect(told(released(state, s0, a))).toEqual(['-'])
    expect(released(state, s0, b)).toBe(state)
    expect(released(state, s1, a)).toBe(state)
  })
})

describe('deaths', () => {
  const owned = (fails: number): GroupState => groupOf({ members: { a: {} }, shards: [{ owner: 'a', fails }] })
  const after = (fails: number, blame: Blame): Shard => shardOf(bury(owned(fails), a, new Map([[s0, blame]])))

  test('take the member out, and its shards have no owner', () => {
    const state = bury(groupOf({ members: { a: {}, b: {} }, shards: [{ owner: 'a' }, { owner: 'b' }] }), a, new Map())
    expect([...state.members.keys()]).toEqual([b])
    expect(told(state)).toEqual(['-', 'b'])
    expect(bury(state, a, new Map())).toBe(state)
  })

  test('without a commit make a suspect', () => {
    expect(after(0, 'nothing').fails).toBe(1)
    expect(after(0, 'trial').fails).toBe(1)
    expect(after(0, 'none').fails).toBe(0)
    expect(after(0, 'commits').fails).toBe(0)
  })

  test('of owners of a suspect count in trial only', () => {
    expect(after(1, 'nothing').fails).toBe(1)
    expect(after(1, 'none').fails).toBe(1)
    expect(after(1, 'trial').fails).toBe(2)
    expect(after(2, 'commits').fails).toBe(0)
  })

  test('are three until a shard is parked, which is at nobody until it is unparked', () => {
    const parked = bury(owned(2), a, new Map<string, Blame>([[s0, 'trial']]))
    expect(shardOf(parked)).toMatchObject({ isParked: true, owner: undefined })
    expect(shardOf(unpark(parked, s0))).toMatchObject({ isParked: false, fails: 0 })
    expect(unpark(owned(2), s0)).toEqual(owned(2))
  })

  test('count like handlers that throw', () => {
    const twice = threw(owned(1), s0, a)
    expect(shardOf(twice)).toMatchObject({ fails: 2, isParked: false, owner: a })
    expect(shardOf(threw(twice, s0, a))).toMatchObject({ isParked: true, owner: undefined, standbys: [] })
    expect(threw(twice, s0, b)).toBe(twice)
  })

  test('are forgotten once its owner commits', () => {
    expect(shardOf(cleared(owned(2), s0, a)).fails).toBe(0)
    const state = owned(0)
    expect(cleared(state, s0, a)).toBe(state)
    const other = owned(1)
    expect(cleared(other, s0, b)).toBe(other)
  })
})

describe('a quiet log', () => {
  const state = groupOf({ members: { a: {}, b: {} }, shards: [{ owner: 'a', standbys: 'b' }] })

  test('is told of by its owner, and taken back', () => {
    const quiet = quieted(state, s0, a, 7)
    expect(shardOf(quiet).quietAt).toBe(7)
    expect(quieted(quiet, s0, a, 7)).toBe(quiet)
    expect(shardOf(quieted(quiet, s0, a, undefined)).quietAt).toBeUndefined()
    expect(quieted(state, s0, b, 7)).toBe(state)
  })

  test('is not told of where nobody stands by', () => {
    const alone = groupOf({ members: { a: {} }, shards: [{ owner: 'a' }] })
    expect(quieted(alone, s0, a, 7)).toBe(alone)
  })

  test('says nothing of what follows on it', () => {
    const children = [{ id: named('9'), first: 0, last: 0 }]
    expect(shardOf(replaced(quieted(state, s0, a, 7), [s0], children), named('9')).quietAt).toBeUndefined()
  })
})

describe('successors', () => {
  const children = [
    { id: named('8'), first: 0, last: 1 },
    { id: named('9'), first: 2, last: 3 },
  ]

  test('of a split are at its owner, warm at its standbys, and on their way to nobody', () => {
    const shards = [{ first: 0, last: 3, owner: 'a', next: 'b', standbys: 'bc', movedAt: 5, fails: 1 }]
    const state = replaced(groupOf({ members: { a: {} }, shards }), [s0], children)
    expect([...state.shards.keys()]).toEqual([named('8'), named('9')])
    expect(told(state)).toEqual(['a+bc', 'a+bc'])
    expect(shardOf(state, named('9'))).toMatchObject({ ...children[1], movedAt: 5, fails: 1 })
  })

  test('of a merge have what speaks against any of the parents', () => {
    const shards = [
      { owner: 'a', movedAt: 9 },
      { owner: 'a', fails: 2 },
      { owner: 'b', movedAt: 3, isParked: true },
    ]
    const child = { id: named('8'), first: 0, last: 1 }
    const two = replaced(groupOf({ shards }), [s0, s1], [child])
    expect(shardOf(two, child.id)).toMatchObject({ owner: a, movedAt: 9, fails: 2, isParked: false })
    const three = replaced(groupOf({ shards }), [s0, s1, s2], [{ ...child, last: 2 }])
    expect(shardOf(three, child.id)).toMatchObject({ owner: undefined, isParked: true })
  })

  test('of parents at several owners are at none, and those know some of it', () => {
    const shards = [{ owner: 'a' }, { owner: 'b', standbys: 'a' }, { standbys: 'c' }]
    const state = replaced(groupOf({ shards }), [s0, s1, s2], [{ id: named('8'), first: 0, last: 2 }])
    expect(told(state)).toEqual(['-+abc'])
  })

  test('that do not lie where the parents lay, or whose parents are gone, change nothing', () => {
    const state = groupOf({
      shards: [
        { first: 0, last: 3 },
        { first: 4, last: 7 },
      ],
    })
    expect(replaced(state, [s0, s1], children)).toBe(state)
    expect(replaced(state, [s0], children.slice(1))).toBe(state)
    expect(replaced(state, [s0], [children[0]!, { ...children[1]!, first: 3 }])).toBe(state)
    expect(replaced(state, [], [])).toBe(state)
    const after = replaced(state, [s0], children)
    expect(replaced(after, [s0], children)).toBe(after)
  })
})

describe('a target', () => {
  const wide = groupOf({ shards: [{ first: 0, last: 3 }] })

  test('is under way until the shards are those that it wants', () => {
    const state = aimed(wide, { cuts: [2] })
    expect(state.target).toEqual({ cuts: [2] })
    const children = [
      { id: s1, first: 0, last: 1 },
      { id: s2, first: 2, last: 3 },
    ]
    expect(replaced(state, [s0], children).target).toBeUndefined()
    const one = [
      { id: s1, first: 0, last: 0 },
      { id: s2, first: 1, last: 3 },
    ]
    expect(replaced(state, [s0], one).target).toEqual({ cuts: [2] })
  })

  test('that is reached, or set already, changes nothing', () => {
    expect(aimed(wide, { cuts: [] })).toBe(wide)
    const state = aimed(wide, { cuts: [2] })
    expect(aimed(state, { cuts: [2] })).toBe(state)
  })

  test('is not given up for another one', () => {
    const state = aimed(wide, { cuts: [2] })
    expect(() => aimed(state, { cuts: [1, 2] })).toThrow(code('CONFLICT'))
    expect(() => aimed(state, { cuts: [] })).toThrow(code('CONFLICT'))
  })
})
