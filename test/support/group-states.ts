/** States of groups in short: members and shards are named by one hex digit. */
import { newState, type GroupState, type Member, type Settings, type Shard } from '../../src/group/state.js'

/** The id that a digit stands for. */
export const named = (digit: string): string => digit.repeat(32)

/** A shard of one partition at least; ids are of one digit. */
export type ShardOf = Partial<Omit<Shard, 'standbys'>> & { readonly standbys?: string }

export interface Given {
  readonly members?: Readonly<Record<string, Partial<Member>>>
  readonly shards: readonly ShardOf[]
  readonly settings?: Partial<Settings>
  readonly cuts?: readonly number[]
}

/** Shards have the ids 0, 1, … and lie side by side, each of as many partitions as `last - first` says. */
export function groupOf({ members = {}, shards, settings, cuts }: Given): GroupState {
  const partitions = Math.max(...shards.map(({ last }, i) => last ?? i)) + 1
  const all = { assignVersion: 1, partitions, moves: 2, coolMs: 1000, standbys: 0, warmEntries: 16, ...settings }
  const logs = shards.map(({ first, last }, i) => ({ id: named(i.toString(16)), first: first ?? i, last: last ?? i }))
  const state = newState(all, logs)
  return {
    ...state,
    target: cuts && { cuts },
    members: new Map(Object.entries(members).map(([digit, member]) => [named(digit), memberOf(digit, member)])),
    shards: new Map(
      [...state.shards].map(([id, shard], i) => {
        const { owner, next, standbys = '', ...rest } = shards[i]!
        const full = {
          owner: owner && named(owner),
          next: next && named(next),
          standbys: standbys.split('').map(named),
        }
        return [id, { ...shard, ...rest, id, ...full }]
      }),
    ),
  }
}

export function memberOf(digit: string, member: Partial<Member> = {}): Member {
  const blank = { zone: '', weight: 1, info: null, isLeaving: false, assignVersion: 1, joinedAt: 0 }
  return { ...blank, ...member, id: named(digit) }
}

/** Of each shard in order its owner, `>` and the next one, `+` and the standbys: `a`, `a>b`, `a+bc`, `-` for nobody. */
export function told(state: GroupState): string[] {
  return [...state.shards.values()]
    .sort((x, y) => x.first - y.first)
    .map(({ owner, next, standbys }) => {
      const warm = standbys.length > 0 ? `+${standbys.map((id) => id[0]).join('')}` : ''
      return `${owner?.[0] ?? '-'}${next ? `>${next[0]}` : ''}${warm}`
    })
}

/** How many shards each member has, or will have. */
export function loads(state: GroupState): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { owner, next } of state.shards.values()) {
    const digit = (next ?? owner)?.[0] ?? '-'
    counts[digit] = (counts[digit] ?? 0) + 1
  }
  return counts
}
