/** Raises the anchor of a shard. It is loaded when that is first called for. */
import type { AnchorValue } from '../../log/anchor.js'
import { anchorAfter, raiseAnchor } from '../../log/raise.js'
import { anchorName, type LogContext, type ShardContext } from '../context.js'
import type { ShardState } from '../state.js'

export function raiseTo(
  ctx: ShardContext,
  { anchor }: LogContext,
  wanted: AnchorValue,
): Promise<AnchorValue | undefined> {
  return raiseAnchor(anchor, anchorName(ctx), wanted)
}

/** Raises the anchor to the newest manifest; it is a hint, and so a failure is only worth a warning. */
export async function refreshAnchor(ctx: ShardContext, log: LogContext, state: ShardState): Promise<void> {
  try {
    // The anchor must not name what power loss could take back.
    if (ctx.durability === 'relaxed') await log.log.sync()
    await raiseTo(ctx, log, anchorAfter(log.logId, state.carried))
  } catch (cause) {
    ctx.warn(`The anchor of store "${ctx.store}" could not be refreshed; the next open reads more entries.`, cause)
  }
}
