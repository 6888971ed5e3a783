/**
 * What the control store of a group says, as one immutable value: members, shards with who owns them, the target of a rescaling,
 * and the settings by which all decide alike. Decisions (`assign.ts`) and edits (`transitions.ts`) are pure functions of it.
 * Storage is not known here; `rows.ts` turns the value into rows.
 */

/** The version of the function `assign` in this release. Only members of the version that the state records decide (G6 of OWNERS.md). */
export const ASSIGN_VERSION = 1

/** Partitions from `first` to `last`, both included. */
export interface Range {
  readonly first: number
  readonly last: number
}

export interface Member {
  /** 32 hex digits. */
  readonly id: string
  readonly zone: string
  /** Shards are shared out in proportion to it; above 0. */
  readonly weight: number
  /** What it tells others about itself, such as an address: any JSON. */
  readonly info: unknown
  /** It hands off what it owns, and is given nothing. */
  readonly isLeaving: boolean
  /** The version of `assign` that it knows. */
  readonly assignVersion: number
  /** In the storage's time. */
  readonly joinedAt: number
}

export interface Shard extends Range {
  /** The id of its log, in 32 hex digits; the root has one as well. */
  readonly id: string
  readonly owner: string | undefined
  /** Who takes it over as soon as it is warm. */
  readonly next: string | undefined
  /** Who follows it, the first to take over first. */
  readonly standbys: readonly string[]
  /** How many owners it has killed, as it seems; above 0 it is a suspect. */
  readonly fails: number
  /** It has killed too many, and is given to nobody until somebody says so. */
  readonly isParked: boolean
  /** When a planned move gave it to its owner, in the storage's time; parts of it may have moved since the store began as often. */
  readonly movedAt: number | undefined
  /** Its log has ended with the entry of this number for a while: standbys that know it have nothing to read until this is gone. */
  readonly quietAt: number | undefined
}

/** The shards that are wanted: each but the first begins at a cut. */
export interface Target {
  readonly cuts: readonly number[]
}

export interface Settings {
  /** The version of `assign` by which decisions are made. */
  readonly assignVersion: number
  readonly partitions: number
  /** How many shards may be on their way to one member. */
  readonly moves: number
  /** A shard that was moved stays at least this long. */
  readonly coolMs: number
  readonly standbys: number
  /** A follower that lacks no more entries than this is warm. */
  readonly warmEntries: number
}

export interface GroupState {
  readonly settings: Settings
  readonly members: ReadonlyMap<string, Member>
  readonly shards: ReadonlyMap<string, Shard>
  readonly target: Target | undefined
}

/** A log and its partitions. */
export interface LivingLog extends Range {
  readonly id: string
}

/** A group without members, which has these living logs to share out. */
export function newState(settings: Settings, logs: Iterable<LivingLog>): GroupState {
  const shards = [...logs].map(({ id, first, last }): Shard => ({ ...UNOWNED, id, first, last }))
  return { settings, members: new Map(), shards: byId(shards), target: undefined }
}

const UNOWNED = {
  owner: undefined,
  next: undefined,
  standbys: [],
  fails: 0,
  isParked: false,
  movedAt: undefined,
  quietAt: undefined,
}

export function byId<T extends { readonly id: string }>(items: Iterable<T>): ReadonlyMap<string, T> {
  const map = new Map<string, T>()
  for (const item of items) map.set(item.id, item)
  return map
}

/** The shards in the order of their partitions. */
export function inOrder(state: GroupState): Shard[] {
  return [...state.shards.values()].sort((a, b) => a.first - b.first)
}
