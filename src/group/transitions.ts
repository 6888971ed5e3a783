/**
 * The edits of the control store's state, each a pure function. One that does not fit any more, since others were quicker,
 * changes nothing and returns the same object: who sends it finds out in the transaction in which it would be written.
 */
import { TidemarkError } from '../errors.js'
import { byId, type GroupState, type LivingLog, type Member, type Settings, type Shard, type Target } from './state.js'
import { isReached } from './target.js'

/** A shard that has killed so many owners is parked. */
const MOST_FAILS = 3

export function join(state: GroupState, member: Member): GroupState {
  if (state.members.has(member.id)) return state
  return withMembers(state, new Map(state.members).set(member.id, member))
}

/** The settings that a member asks for who joins. */
export function configured(state: GroupState, wanted: Partial<Settings>): GroupState {
  const names = Object.keys(wanted) as (keyof Settings)[]
  if (names.every((name) => wanted[name] === state.settings[name])) return state
  return { ...state, settings: { ...state.settings, ...wanted } }
}

/** From now on it hands off what it owns. */
export function leave(state: GroupState, id: string): GroupState {
  const member = state.members.get(id)
  if (!member || member.isLeaving) return state
  return { ...state, members: new Map(state.members).set(id, { ...member, isLeaving: true }) }
}

/** Takes a member out that leaves; not before it owns nothing. */
export function left(state: GroupState, id: string): GroupState {
  if (!state.members.get(id)?.isLeaving) return state
  return owned(state, id).length > 0 ? state : without(state, id)
}

/**
 * What the log of a shard says about how its owner died: it did not have it (any more), it had committed since its fence, it
 * had not, or it had not and its last entry is the *trial* that it logged before its first event.
 */
export type Blame = 'none' | 'commits' | 'nothing' | 'trial'

/** Takes a dead member out. `blames` says for each shard of its own what speaks against the shard. */
export function bury(state: GroupState, id: string, blames: ReadonlyMap<string, Blame>): GroupState {
  if (!state.members.has(id)) return state
  const shards = owned(state, id).map((shard) => {
    const fails = failsAfter(shard, blames.get(shard.id) ?? 'none')
    return { ...shard, owner: undefined, fails, isParked: fails >= MOST_FAILS }
  })
  return without(withShards(state, shards), id)
}

/** A death without a commit makes a suspect; of a suspect only deaths in trial count. */
function failsAfter({ fails }: Shard, blame: Blame): number {
  if (blame === 'commits') return 0
  return blame === 'trial' || (blame === 'nothing' && fails === 0) ? fails + 1 : fails
}

/** A handler threw at the position where it had thrown before: that counts as a death in trial. */
export function threw(state: GroupState, id: string, owner: string): GroupState {
  const shard = ownedBy(state, id, owner)
  if (!shard) return state
  const fails = shard.fails + 1
  return withShards(state, [fails < MOST_FAILS ? { ...shard, fails } : { ...shard, ...NOBODY, fails, isParked: true }])
}

/** The shard has let its owner commit, or live for long enough. */
export function cleared(state: GroupState, id: string, owner: string): GroupState {
  const shard = ownedBy(state, id, owner)
  return shard && shard.fails > 0 ? withShards(state, [{ ...shard, fails: 0 }]) : state
}

/** The log of the shard has ended with this entry for a while; `undefined`: it goes on, or may. */
export function quieted(state: GroupState, id: string, owner: string, quietAt: number | undefined): GroupState {
  const shard = ownedBy(state, id, owner)
  const known = shard && shard.standbys.length > 0 ? quietAt : undefined
  return shard && shard.quietAt !== known ? withShards(state, [{ ...shard, quietAt: known }]) : state
}

export function unpark(state: GroupState, id: string): GroupState {
  const shard = state.shards.get(id)
  return shard?.isParked ? withShards(state, [{ ...shard, isParked: false, fails: 0 }]) : state
}

/** The next owner takes the shard over, at the storage's time `now`. */
export function taken(state: GroupState, id: string, by: string, now: number): GroupState {
  const shard = state.shards.get(id)
  const member = state.members.get(by)
  if (shard?.next !== by || shard.isParked || !member || member.isLeaving) return state
  const standbys = shard.standbys.filter((standby) => standby !== by)
  return withShards(state, [{ ...shard, owner: by, next: undefined, standbys, movedAt: now }])
}

/** The owner gives the shard up without anybody to take it, as the last one that leaves does. */
export function released(state: GroupState, id: string, owner: string): GroupState {
  const shard = ownedBy(state, id, owner)
  return shard ? withShards(state, [{ ...shard, owner: undefined }]) : state
}

/**
 * Logs that were sealed have these successors, which lie where they lay. A child goes on at its parents' owner, when they have
 * the same one; else it has none, and is given to one of those who know some of it.
 */
export function replaced(state: GroupState, parents: readonly string[], children: readonly LivingLog[]): GroupState {
  const old = parents.flatMap((id) => state.shards.get(id) ?? [])
  if (old.length < parents.length || !isSameRange(old, children)) return state
  const shards = new Map(state.shards)
  for (const { id } of old) shards.delete(id)
  for (const { id, first, last } of children) {
    const from = old.filter((shard) => shard.first <= last && first <= shard.last)
    shards.set(id, { ...heir(from), id, first, last })
  }
  const next = { ...state, shards }
  return state.target && isReached(next, state.target) ? { ...next, target: undefined } : next
}

/** What a child has of its parents: all that speaks against one of them holds for it. */
function heir(parents: readonly Shard[]): Omit<Shard, keyof LivingLog> {
  const owner = parents.every((shard) => shard.owner === parents[0]!.owner) ? parents[0]!.owner : undefined
  const known = parents.flatMap((shard) => [...(shard.owner === owner ? [] : [shard.owner!]), ...shard.standbys])
  const moves = parents.flatMap(({ movedAt }) => movedAt ?? [])
  return {
    owner,
    next: undefined,
    standbys: [...new Set(known)].filter((id) => id !== owner),
    fails: Math.max(...parents.map(({ fails }) => fails)),
    isParked: parents.some(({ isParked }) => isParked),
    movedAt: moves.length > 0 ? Math.max(...moves) : undefined,
    quietAt: undefined,
  }
}

/** Sets what the shards are to become. Throws `CONFLICT` while another target is under way. */
export function aimed(state: GroupState, target: Target): GroupState {
  if (isReached(state, target) && !state.target) return state
  if (state.target?.cuts.join() === target.cuts.join()) return state
  if (state.target) {
    throw new TidemarkError(
      'CONFLICT',
      `The shards are on their way to ${state.target.cuts.length + 1} already; wait until they are that many.`,
    )
  }
  return { ...state, target }
}

const NOBODY = { owner: undefined, next: undefined, standbys: [] }

function owned(state: GroupState, id: string): Shard[] {
  return [...state.shards.values()].filter(({ owner }) => owner === id)
}

function ownedBy(state: GroupState, id: string, owner: string): Shard | undefined {
  const shard = state.shards.get(id)
  return shard?.owner === owner ? shard : undefined
}

function withShards(state: GroupState, changed: readonly Shard[]): GroupState {
  return changed.length === 0 ? state : { ...state, shards: new Map([...state.shards, ...byId(changed)]) }
}

function without(state: GroupState, id: string): GroupState {
  const members = new Map(state.members)
  members.delete(id)
  return withMembers(state, members)
}

/**
 * The recorded version of `assign` rises to the lowest that members know once none is left that knows a lower one. It never
 * falls: members of an older release cannot read what a newer one has written.
 */
function withMembers(state: GroupState, members: ReadonlyMap<string, Member>): GroupState {
  const known = [...members.values()].map((member) => member.assignVersion)
  const assignVersion = Math.max(state.settings.assignVersion, known.length > 0 ? Math.min(...known) : 0)
  const settings = assignVersion > state.settings.assignVersion ? { ...state.settings, assignVersion } : state.settings
  return { ...state, settings, members }
}

/** Whether the children lie side by side where the parents lay. */
function isSameRange(parents: readonly Shard[], children: readonly LivingLog[]): boolean {
  const bounds = (list: readonly LivingLog[]): string => {
    const sorted = [...list].sort((a, b) => a.first - b.first)
    const joined = sorted.every(({ first }, i) => i === 0 || first === sorted[i - 1]!.last + 1)
    return joined && sorted.length > 0 ? `${sorted[0]!.first}-${sorted.at(-1)!.last}` : ''
  }
  return bounds(parents) !== '' && bounds(parents) === bounds(children)
}
