/**
 * Opening a shard, from top to bottom: find the store, replay its history and judge it (recovery.ts), take it over with a
 * fence (claim.ts) or confirm its head, and refresh the anchor. Each step says `undefined` when the store has changed
 * hands, was trimmed or was made by somebody else meanwhile: then opening begins again from the anchor.
 */
import { TidemarkError, invalid, throwIfAborted } from '../../errors.js'
import type { Anchor } from '../../storage/contract.js'
import { Part } from '../../part.js'
import { reading } from '../../segment/cache.js'
import { closeLog, noteTime, openAnchor, openLog, type ShardContext } from '../context.js'
import type { Place } from '../shards/going-on.js'
import type { ShardState } from '../state.js'
import type { OpenedShard } from './following.js'
import type { Found } from './lost-log.js'
import { confirmHead, findStore, overtaken, readHistory } from './recovery.js'
import { CLAIM_TRIES, type OpenRequest } from './request.js'

const creating = new Part(() => import('./create.js'))
const claiming = new Part(() => import('./claim.js'))
const releasing = new Part(() => import('./release.js'))
const shards = new Part(() => import('../shards/going-on.js'))
const together = new Part(() => import('../shards/together.js'))
/** Writing anchors, after folds for instance. */
export const anchoring = new Part(() => import('./anchoring.js'))

export async function openShard(ctx: ShardContext, request: OpenRequest): Promise<OpenedShard> {
  // It will be needed, unless somebody else has made the store shared by then.
  if (request.mode === 'exclusive') claiming.load().catch(() => undefined)
  for (let tries = CLAIM_TRIES; tries > 0; tries--) {
    const anchor = openAnchor(ctx)
    const found = await findStore(ctx, anchor)
    const opened = found.value
      ? await openExisting({ context: ctx }, found, request)
      : await create(ctx, anchor, found.time, request)
    if (opened) return opened
  }
  throw overtaken(ctx)
}

/** `undefined` when another creator was quicker. */
async function create(
  ctx: ShardContext,
  anchor: Anchor,
  seenAt: number | undefined,
  request: OpenRequest,
): Promise<OpenedShard | undefined> {
  const { mode } = request
  await request.check(undefined)
  if (mode === 'follower' || request.create === false) {
    throw new TidemarkError('NOT_FOUND', `There is no store "${ctx.store}" in this storage; check its name and place.`)
  }
  throwIfAborted(request.signal)
  return creating.use(({ createStore }) => createStore(ctx, anchor, request.config(), mode, seenAt))
}

/** Replays the history of the log that the anchor names, then takes it over or confirms its head. */
async function openExisting(place: Place, seen: Found, request: OpenRequest): Promise<OpenedShard | undefined> {
  const { context: ctx } = place
  const hint = seen.value!
  const anchor = openAnchor(ctx)
  const goOn = (end: Found | ShardState): Promise<OpenedShard | undefined> =>
    request.mode === 'follower'
      ? together.use((part) => part.openTogether(ctx, request))
      : shards.use((part) => part.goOn(place, log, end, request.shard, (next, at) => openExisting(next, at, request)))
  const { mode, create: mustBeNew, force } = request
  if (mustBeNew) throw invalid(`Store "${ctx.store}" exists already, and create: true was asked for.`)
  const log = openLog(ctx, anchor, hint.logId)
  noteTime(ctx, log, seen.time)
  // The first read needs it. Should it not be loaded, that tries again.
  if (hint.covers > 0) reading.load().catch(() => undefined)
  let found: ShardState | undefined
  let state: ShardState | undefined
  let loading: Promise<void> | undefined
  try {
    const isFollower = mode === 'follower'
    if (hint.sealed) return await goOn(seen)
    found = await readHistory(ctx, log, hint, !isFollower)
    if (!found) return undefined
    if (found.seal) return await goOn(found)
    /** A writer in the recorded mode that has not closed the store is in the way of another mode. */
    const check = async (state: ShardState | undefined): Promise<void> => {
      await request.check(state)
      if (mode === 'follower' || force) return
      const { mode: recorded, turn } = state!.carried
      if (recorded !== mode || turn) await releasing.use((part) => part.assertReleased(ctx, log, state!, request))
    }
    await check(found)
    // Its segments come while the head is settled. What fails here is met again, and repaired, when they are asked for.
    loading = ctx.resident?.prepare(found).catch(() => undefined)
    // Whoever comes first decides which log an anchor that was lost names.
    if (hint.isRebuilt && !isFollower && !(await anchoring.use((part) => part.raiseTo(ctx, log, hint))))
      return undefined
    // A writer beside others takes nothing over, unless it ends another mode.
    if (isFollower || (mode === 'shared' && found.carried.mode === mode)) {
      state = await confirmHead(ctx, log, found, hint.isRebuilt)
    } else {
      const { check: _, ...rest } = request
      state = await claiming.use((part) => part.claim(ctx, log, found!, mode, { ...rest, check }))
      // The fence has carried a fold, or whoever made the last one never got to write it there.
      if (state && state.carried.covers !== hint.covers)
        await anchoring.use((part) => part.refreshAnchor(ctx, log, state!))
    }
    return state && { context: ctx, log, state }
  } finally {
    await loading
    // Segments stay only for a state that lists them, and the log stays open only for a state.
    if (found) ctx.resident?.releaseOthers(found, state)
    if (!state) await closeLog(ctx, log)
  }
}
