/** Rescaling as a target: which shards its cuts split, and which neighbours have to come together. All of it is pure. */
import { inOrder, type GroupState, type Range, type Shard, type Target } from './state.js'

/** What a shard is to be split into; undefined when no cut lies within it. */
function splitOf({ first, last }: Range, { cuts }: Target): Range[] | undefined {
  const within = cuts.filter((cut) => first < cut && cut <= last)
  if (within.length === 0) return undefined
  const starts = [first, ...within]
  return starts.map((start, i) => ({ first: start, last: (starts[i + 1] ?? last + 1) - 1 }))
}

/**
 * The neighbours that become one shard, each list from its first partition on. They wait until no shard among them has to be
 * split before, and none is parked or a suspect: a merge would hide which of them kills.
 */
export function mergesOf(state: GroupState): (readonly Shard[])[] {
  if (!state.target) return []
  const shards = inOrder(state)
  let from = 0
  return wantedOf(state.settings.partitions, state.target).flatMap(({ first, last }) => {
    while (shards[from] && shards[from]!.last < first) from++
    const parents: Shard[] = []
    for (let i = from; shards[i] && shards[i]!.first <= last; i++) parents.push(shards[i]!)
    const isReady = parents.every((shard) => first <= shard.first && shard.last <= last && !isHeldUp(shard))
    return parents.length > 1 && isReady ? [parents] : []
  })
}

function isHeldUp({ fails, isParked }: Shard): boolean {
  return fails > 0 || isParked
}

/** The shards that a member has to split now, each with what it is to become. Suspects wait: each child would be one. */
export function splitsAt(state: GroupState, member: string): { readonly shard: Shard; readonly into: Range[] }[] {
  const { target } = state
  if (!target) return []
  return inOrder(state).flatMap((shard) => {
    const into = isFreeAt(shard, member) && !isHeldUp(shard) ? splitOf(shard, target) : undefined
    return into ? [{ shard, into }] : []
  })
}

/** The merges whose parents are all at a member, which has to seal them now. */
export function mergesAt(state: GroupState, member: string): (readonly Shard[])[] {
  return mergesOf(state).filter((parents) => parents.every((shard) => isFreeAt(shard, member)))
}

/** Whether it is a member's and on its way to nobody. */
function isFreeAt({ owner, next }: Shard, member: string): boolean {
  return owner === member && next === undefined
}

/** Whether the shards are those that the target wants. */
export function isReached(state: GroupState, target: Target): boolean {
  const wanted = wantedOf(state.settings.partitions, target)
  const shards = inOrder(state)
  return (
    shards.length === wanted.length &&
    shards.every(({ first, last }, i) => first === wanted[i]!.first && last === wanted[i]!.last)
  )
}

/** The shards that a target wants. */
export function wantedOf(partitions: number, target: Target): Range[] {
  const all = { first: 0, last: partitions - 1 }
  return splitOf(all, target) ?? [all]
}
