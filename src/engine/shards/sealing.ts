/**
 * Ends logs. A seal is a fence, and never blind: it follows all that was acknowledged, and nothing counts behind it (S1). The owner seals at
 * its turn among its commits; anybody else may, as anybody may fence.
 */
import { TidemarkError } from '../../errors.js'
import type { Seal } from '../../log/shard-parts.js'
import { landed } from '../../log/append.js'
import { rewriting } from '../compaction/scheduler.js'
import { currentTime, moment, noteTime, type LogContext, type ShardContext } from '../context.js'
import { buildEntry, type EntryChange } from '../entry-builder.js'
import { readOn } from '../open/recovery.js'
import { applyEntry, type ShardState } from '../state.js'
import { sendEntry } from '../write/send.js'
import { endedIn, type Ended, type Living } from './end.js'
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
  const { context: ctx, log } = living
  let { state } = living
  for (let tries = TRIES; tries > 0; tries--) {
    const change = await sealOf(ctx, log, state, make(ctx.graceMs))
    const built = await buildEntry(log, state, { ...change, time: Math.max(state.carried.time, currentTime(ctx, log)) })
    const sent = moment(ctx, log)
    const resolution = await sendEntry(ctx, log, (built.manifest ?? state.manifest).covers, built)
    const done = landed(resolution, `store "${ctx.store}" was split or merged; look again.`)
    if (done) {
      noteTime(ctx, log, done.time)
      log.free = sent
      return endedIn(ctx, log, applyEntry(state, built))
    }
    state = await readOn(ctx, log, state, state.head + 1)
    if (state.seal) return endedIn(ctx, log, state)
  }
  throw new TidemarkError(
    'CONFLICT',
    `Store "${ctx.store}" was being written too fast to split or merge it; try again, or let its owner do it.`,
    { retryable: true },
  )
}
