/**
 * What the log of a shard says about how its owner died (G11): who was killed before it had committed anything since its fence may
 * have been killed by the shard.
 */
import { toHex } from '../bytes/hex.js'
import { readOn } from '../engine/open/recovery.js'
import { emptyState, type AppliedEntry } from '../engine/state.js'
import type { StoreHandle } from '../store/handle.js'
import { hasEnded } from './logs.js'
import type { GroupState } from './state.js'
import type { Blame } from './transitions.js'

/** How logs are read. */
interface Followers {
  /** What follows the log of a shard already, as a standby does. */
  followed(id: string): StoreHandle | undefined
  openFollower(id: string): Promise<StoreHandle>
}

/** For each shard of a dead member what speaks against the shard. */
export async function blames(state: GroupState, dead: string, followers: Followers): Promise<Map<string, Blame>> {
  const owned = [...state.shards.values()].filter(({ owner }) => owner === dead)
  const found = await Promise.all(owned.map(async ({ id }) => [id, await blameIn(id, dead, followers)] as const))
  return new Map(found)
}

async function blameIn(id: string, dead: string, followers: Followers): Promise<Blame> {
  const standby = followers.followed(id)
  await standby?.catchUp()
  const handle = standby ?? (await followers.openFollower(id))
  try {
    return await blameOf(handle, id, dead)
  } finally {
    if (!standby) await handle.close()
  }
}

async function blameOf(handle: StoreHandle, id: string, dead: string): Promise<Blame> {
  const { state, shard } = handle
  const { turn, covers } = state.carried
  if (hasEnded(handle, id) || !turn || turn.isReleased || toHex(turn.member) !== dead) return 'none'
  const entries: AppliedEntry[] = []
  const { context, log } = shard
  await readOn(context, { ...log }, emptyState(log.logId, covers), state.head, (applied) => entries.push(applied))
  return judge(entries, turn.isTrial)
}

/** The entries since the newest manifest. Where the fence is not among them, something was committed since. */
function judge(entries: readonly AppliedEntry[], isTrial: boolean): Blame {
  const fence = entries.findLastIndex(({ entry }) => entry.kind === 'fence')
  const hasCommits = entries
    .slice(fence + 1)
    .some(({ entry }) => entry.kind === 'commit' && !entry.carried?.turn?.isTrial)
  if (fence < 0 || hasCommits) return 'commits'
  return isTrial ? 'trial' : 'nothing'
}
