/** Sends an entry to the log until its fate is known, and judges whether it came too late to count. */
import { TidemarkError } from '../../errors.js'
import { resolveAppend, type Resolution } from '../../log/append.js'
import { ownAnchor, type LogContext, type ShardContext } from '../context.js'
import type { BuiltEntry } from '../entry-builder.js'
import { mayBeTrimmed } from '../moment.js'

/**
 * Recovery begins after `covers`. An append is the owner's; a claim also takes the log over, where a log has one owner: it is
 * whoever wrote last. `sending` is called with each request.
 */
export function sendEntry(
  { storage, clock, timeoutMs }: ShardContext,
  { log }: LogContext,
  covers: number,
  { entry, bytes }: BuiltEntry,
  how: 'append' | 'claim' = 'claim',
  sending?: () => void,
): Promise<Resolution> {
  // On files the number may be taken by what nobody can read yet: the next claim settles that.
  const isLostSure = storage.capabilities.trim !== 'writer'
  return resolveAppend({ log, clock, timeoutMs, isLostSure }, entry, () => {
    sending?.()
    return log[how](entry.n, bytes, covers + 1, { makesRoom: entry.kind === 'collect' })
  })
}

/** Whether the log may have been trimmed beyond the number that was created just now. */
export function isLate(ctx: ShardContext, log: LogContext, time: number | undefined): boolean {
  if (ctx.storage.capabilities.trim !== 'writer') return false
  return mayBeTrimmed(log.free, { storage: time, local: ctx.clock.monotonic() }, ctx.graceMs)
}

/**
 * Where the storage does not look at the trim number itself, a create that took long may have landed on a number that was
 * trimmed. It may have been there before that, and have been built upon: its fate is unknown (R26, R28).
 */
export async function assertNotTrimmed(
  ctx: ShardContext,
  log: LogContext,
  n: number,
  time: number | undefined,
): Promise<void> {
  if (!isLate(ctx, log, time)) return
  let cause: unknown
  try {
    const anchor = await ownAnchor(ctx, log)
    if (anchor && anchor.trim < n) return
  } catch (error) {
    cause = error
  }
  throw new TidemarkError(
    'UNKNOWN_OUTCOME',
    `Writing version ${n} of store "${ctx.store}" took so long that the log may have been trimmed beyond it. Call reopen() and look.`,
    { cause },
  )
}
