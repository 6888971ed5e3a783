/** What the control store says, as programs see it. */
import { rangeOf } from './changes.js'
import type { ShardRange } from './program.js'
import { inOrder, type GroupState } from './state.js'

/** A member of the group, as others see it. */
export interface MemberInfo {
  /** Its id. */
  readonly member: string
  /** What it told of itself. */
  readonly info: unknown
  /** Where it is. */
  readonly zone: string
  /** How much it takes. */
  readonly weight: number
  /** It hands off what it owns. */
  readonly leaving: boolean
}

/** Who owns a shard, and who follows it. */
export interface ShardAssignment extends ShardRange {
  /** The id of the member that owns it. */
  readonly owner: string | undefined
  /** The member that takes it over as soon as it is warm. */
  readonly next: string | undefined
  /** Those that follow it. */
  readonly standbys: readonly string[]
  /** It has killed too many owners, and is given to nobody. */
  readonly parked: boolean
}

/** What this member does. */
export interface GroupStatus {
  /** Its id; another one after it was taken for dead. */
  readonly member: string
  /** The newest generation that is known. */
  readonly generation: number
  /** How long ago its lease was last renewed, in milliseconds. */
  readonly leaseAgeMs: number
  /** The shards that it owns. */
  readonly owned: readonly (ShardRange & { readonly token: number; readonly version: number })[]
}

export function membersIn(state: GroupState): MemberInfo[] {
  return [...state.members.values()].map(({ id, info, zone, weight, isLeaving }) => ({
    member: id,
    info,
    zone,
    weight,
    leaving: isLeaving,
  }))
}

export function assignmentIn(state: GroupState): ShardAssignment[] {
  return inOrder(state).map(({ owner, next, standbys, isParked, ...shard }) => ({
    ...rangeOf(shard),
    owner,
    next,
    standbys,
    parked: isParked,
  }))
}
