/**
 * Following a log beside those who write it: what they have appended since is read and applied, or the history is read
 * anew where so much was trimmed meanwhile that nothing follows on what is known here.
 */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, isExpired } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { anchorName, type LogContext, type ShardContext } from '../context.js'
import { applyEntry, type AppliedEntry, type ShardState } from '../state.js'
import { confirmHead, overtaken, readHistory, readOn } from './recovery.js'

export interface CaughtUp {
  /** The state as it was read … */
  readonly read: ShardState
  /** … and the one that `prepare` made of it. */
  readonly state: ShardState
  /** What was applied; `undefined` when the history was read anew. */
  readonly entries: readonly AppliedEntry[] | undefined
  /** Why it went no further: the next look goes on from there. */
  readonly failure?: unknown
}

/** How often the history is read anew before it is trimmed again meanwhile once too often. */
const TRIES = 4

/**
 * Reads what others have written, and makes it ready to be used by `prepare`. What `prepare` needs may be collected meanwhile:
 * then there is something newer, and that is read.
 */
export async function catchUp(
  ctx: ShardContext,
  log: LogContext,
  before: ShardState,
  prepare: (state: ShardState) => Promise<ShardState>,
): Promise<CaughtUp> {
  for (let tries = 1; ; tries++) {
    const found = await readNewest(ctx, log, before)
    try {
      return { ...found, state: await prepare(found.read) }
    } catch (error) {
      if (!isExpired(error) || tries === TRIES) throw error
    }
  }
}

async function readNewest(ctx: ShardContext, log: LogContext, before: ShardState): Promise<Omit<CaughtUp, 'state'>> {
  const entries: AppliedEntry[] = []
  // Judged below: what stands at a trimmed number may have been written late, and is no part of the history.
  const look = { ...log }
  let failure: unknown
  const state = await readOn(ctx, look, before, 1, (entry) => entries.push(entry)).catch((error: unknown) => {
    failure = error
    return entries.reduce(applyEntry, before)
  })
  // Read after the absent answer: a head at or below the trim number is no head.
  const anchor = await namedAnchor(ctx, log)
  if (anchor.trim < state.head) {
    // What follows on a part of it is not known to be free.
    if (failure === undefined) takeOver(log, look)
    return { read: state, entries, failure }
  }
  return { read: await readAnew(ctx, log, anchor), entries: undefined }
}

/** What a look has learned counts only once the head that it saw is confirmed: since when the next number is free, above all. */
function takeOver(log: LogContext, { free, storageTime }: LogContext): void {
  log.free = free
  log.storageTime = storageTime
}

/** The anchor, as long as it names this log. */
async function namedAnchor(ctx: ShardContext, log: LogContext): Promise<AnchorValue> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value !== undefined && equalBytes(value.logId, log.logId)) return value
  throw new TidemarkError(
    'NOT_FOUND',
    `Store "${ctx.store}" was destroyed${value ? ' and made anew' : ''}; call reopen() to look again.`,
  )
}

async function readAnew(ctx: ShardContext, log: LogContext, anchor: AnchorValue): Promise<ShardState> {
  let hint = anchor
  for (let tries = 0; tries < TRIES; tries++) {
    const look = { ...log }
    const state = await readHistory(ctx, look, hint, false)
    const confirmed = state && (await confirmHead(ctx, log, state))
    if (confirmed) {
      takeOver(log, look)
      return confirmed
    }
    hint = await namedAnchor(ctx, log)
  }
  throw overtaken(ctx)
}
