/** A fork that was split in its turn: what it needs of its parent is what all of its logs name. */
import { closeLog, type LogContext, type ReadContext } from '../context.js'
import { lookAt } from './end.js'
import { findSuccessors, needsOf } from './needs.js'
import { offspring } from './offspring.js'

/** Whether any of these segments may be named by the root of a store that was sealed, or by what came of it. */
export async function isNamed(ctx: ReadContext, { logId }: LogContext, held: ReadonlySet<string>): Promise<boolean> {
  const look = await lookAt(ctx)
  if (look === undefined) return true
  await closeLog(look.context, look.log)
  if (!look.seal) return true
  // Whosever they are: a fork of a fork names segments of the first store.
  const own = await offspring(ctx, logId, 1, '')
  const others = await needsOf(ctx, '', { ...look.range, logId, n: look.n, seal: look.seal }, findSuccessors(ctx))
  return own === undefined || others === undefined || [...own.names, ...others.names].some((name) => held.has(name))
}
