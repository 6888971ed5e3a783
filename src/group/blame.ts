/**
 * What the log of a shard says about how its owner died (G11): who was killed before it had committed anything since its fence may
 * have been killed by the shard.
 */
import { allOf } from '../async.js'
import { toHex } from '../bytes/hex.js'
import { isTidemarkError } from '../errors.js'
import { readOn } from '../engine/open/recovery.js'
import { emptyState, type AppliedEntry } from '../engine/state.js'
import type { StoreHandle } from '../store/handle.js'
import { hasEnded } from './logs.js'
import type { GroupState } from './state.js'
import type { Blame } from './transitions.js'

/** Who owned a shard for longer, and committed nothing, was not killed by what it began with. A death is found and told within three. */
const LEASES = 6

/** Who buries. */
interface Burier {
  readonly leaseMs: number
  /** What follows the log of a shard already, as a standby does. */
  followed(id: string): StoreHandle | undefined
  openFollower(id: string): Promise<StoreHandle>
}

/** For each shard of a dead member what speaks against the shard. Of one that is damaged or gone nothing does: the others must not wait for it. */
export async function blames(state: GroupState, dead: string, burier: Burier): Promise<Map<string, Blame>> {
  const owned = [...state.shards.values()].filter(({ owner }) => owner === dead)
  const found = await allOf(
    owned.map(async ({ id }) => {
      const blame = await blameIn(id, dead, burier).catch((error: unknown) => {
        // A call that failed is made again, as the others of this burial would fail as well.
        if (isTidemarkError(error) && error.retryable) throw error
        return 'none' as const
      })
      return [id, blame] as const
    }),
  )
  return new Map(found)
}

async function blameIn(id: string, dead: string, burier: Burier): Promise<Blame> {
  const { leaseMs } = burier
  const standby = burier.followed(id)
  try {
    await standby?.catchUp()
    if (standby) return await blameOf(standby, id, dead, leaseMs)
  } catch {
    // It may have been closed meanwhile: a handle of its own tells.
  }
  const handle = await burier.openFollower(id)
  try {
    return await blameOf(handle, id, dead, leaseMs)
  } finally {
    await handle.close()
  }
}

async function blameOf(handle: StoreHandle, id: string, dead: string, leaseMs: number): Promise<Blame> {
  const { state, shard } = handle
  const { turn, covers } = state.carried
  if (hasEnded(handle, id) || !turn || turn.isReleased || toHex(turn.member) !== dead) return 'none'
  const entries: AppliedEntry[] = []
  const { context, log } = shard
  await readOn(context, { ...log }, emptyState(log.logId, covers), state.head, (applied) => entries.push(applied))
  return judge(entries, turn.isTrial, handle.now() - LEASES * leaseMs)
}

/** The entries since the newest manifest. Where the fence is not among them, something was committed since. */
function judge(entries: readonly AppliedEntry[], isTrial: boolean, recent: number): Blame {
  const fence = entries.findLastIndex(({ entry }) => entry.kind === 'fence')
  const hasCommits = entries
    .slice(fence + 1)
    .some(({ entry }) => entry.kind === 'commit' && !entry.carried?.turn?.isTrial)
  if (fence < 0 || hasCommits) return 'commits'
  if (isTrial) return 'trial'
  // A shard that had long been idle waits for nobody to try it out.
  return entries[fence]!.entry.carried!.time < recent ? 'none' : 'nothing'
}
