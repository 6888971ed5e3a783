/**
 * Ends logs. A seal is a fence, and never blind: it follows all that was acknowledged, and nothing counts behind it (S1). The owner seals at
 * its turn among its commits; anybody else may, as anybody may fence.
 */
import { TidemarkError } from '../../errors.js'
import type { Seal } from '../../log/shard-parts.js'
import { landed } from '../../log/append.js'
import { rewriting } from '../compaction/scheduler.js'
import { closeLog, currentTime, moment, noteTime, ownAnchor, type LogContext, type ShardContext } from '../context.js'
import { buildEntry, type EntryChange } from '../entry-builder.js'
import { confirmHead, readOn } from '../open/recovery.js'
import { applyEntry, type ShardState } from '../state.js'
import { isLate, sendEntry } from '../write/send.js'
import { endedIn, foundIn, lookAt, missingLog, rangeOf, type Ended, type Living, type Look } from './end.js'
import { isMixed } from './side-by-side.js'

const TRIES = 16

/** The change that ends a log; a delta by reference above others is folded, so that children need not write any segment. */
export async function sealOf(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState,
  seal: Seal,
  signal = new AbortController().signal,
): Promise<Omit<EntryChange, 'time'>> {
  const edits = isMixed(state) ? [await rewriting.use(({ foldTail }) => foldTail(ctx, log, state, signal))] : []
  return { kind: 'fence', seal, edits }
}

/** Seals a log that nobody here owns. Somebody else's seal is as good: it is the answer then. */
export async function sealLog(
  living: Living<ShardContext>,
  make: (graceMs: number) => Seal,
): Promise<Ended<ShardContext>> {
  let look: Look<ShardContext> = living
  for (let tries = TRIES; tries > 0 && !look.seal; tries--)
    look = (await trySeal(look, make)) ?? (await lookAgain(look))
  if (look.seal) return look
  throw new TidemarkError(
    'CONFLICT',
    `Store "${living.context.store}" was being written too fast to split or merge it; try again, or let its owner do it.`,
    { retryable: true },
  )
}

/** `undefined` when the number was taken, or was trimmed before the seal landed there. */
async function trySeal(
  { context: ctx, log, state, anchor }: Living<ShardContext>,
  make: (graceMs: number) => Seal,
): Promise<Ended<ShardContext> | undefined> {
  const change = await sealOf(ctx, log, state, make(ctx.graceMs))
  const built = await buildEntry(log, state, { ...change, time: currentTime(ctx, log) })
  const sent = moment(ctx, log)
  const resolution = await sendEntry(ctx, log, (built.manifest ?? state.manifest).covers, built)
  const done = landed(resolution, `store "${ctx.store}" was split or merged; look again.`)
  if (done === undefined) return undefined
  const late = isLate(ctx, log, done.time)
  noteTime(ctx, log, done.time)
  // After a slow create the trim number tells whether it counts (R26).
  if (late && ((await ownAnchor(ctx, log))?.trim ?? Infinity) >= built.entry.n) return undefined
  log.free = sent
  return endedIn(ctx, log, applyEntry(state, built), anchor)
}

/** What has come of a log since, on the same handle. */
async function lookAgain({ context: ctx, log, state, anchor }: Living<ShardContext>): Promise<Look<ShardContext>> {
  const read = await readOn(ctx, log, state, state.head + 1)
  if (await confirmHead(ctx, log, read)) return foundIn(ctx, log, read, anchor)
  const look = await lookAt(ctx, rangeOf(state))
  if (look === undefined) throw await missingLog(ctx, log.logId)
  await closeLog(ctx, look.log)
  Object.assign(log, { free: look.log.free, storageTime: look.log.storageTime })
  return { ...look, log }
}
