/**
 * Recovery, in the order of its steps: find the store, replay its history from the anchor's hint to the head, judge what
 * is missing, and confirm the head. Nothing is written here, but for what settles entries in doubt on files.
 */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { tailOf } from '../../log/tail.js'
import { Part } from '../../part.js'
import type { Anchor } from '../../storage/contract.js'
import { anchorName, moment, noteTime, type LogContext, type ReadContext } from '../context.js'
import { applyEntry, emptyState, parseEntry, type AppliedEntry, type ShardState } from '../state.js'
import type { Found, Hint } from './lost-log.js'

/** Looks into what may be lost of a log. */
const losing = new Part(() => import('./lost-log.js'))

/** The anchor, or what the entries say of it when there is none; without a value when there is no store. */
export async function findStore(ctx: ReadContext, anchor: Anchor): Promise<Found> {
  const found = await readAnchor(anchor, anchorName(ctx))
  return found.value ? found : losing.use((part) => part.findWithoutAnchor(ctx, anchor))
}

/**
 * Replays the history and judges it. What is missing is looked at a second time: the anchor may have moved on, and files may
 * be changing hands. `undefined` when the anchor says something else by now.
 */
export async function readHistory(
  ctx: ReadContext,
  log: LogContext,
  hint: Hint,
  isWriter: boolean,
): Promise<ShardState | undefined> {
  for (let tries = 1; ; tries++) {
    let failure: unknown
    const state = await readLog(ctx, log, hint).catch((error: unknown) => void (failure = error))
    if (state && state.head >= hint.manifestAt && state.carried.covers === state.manifest.covers) return state
    // An old hint may lead to what was written late at a number that is trimmed: that is no part of the history.
    if (await losing.use((part) => part.hasMoved(ctx, log, hint))) return undefined
    if (!state) throw failure
    await losing.use((part) => part.settleHistory(ctx, log, state, hint, isWriter, tries))
  }
}

/**
 * Reads from the anchor's hint to the head; the manifest that counts is the newest one on the way. When the log ends before
 * the one that the anchor names, the state is short: its head is below `hint.manifestAt`.
 */
export function readLog(ctx: ReadContext, log: LogContext, { covers, manifestAt }: AnchorValue): Promise<ShardState> {
  return readOn(ctx, log, emptyState(log.logId, covers), manifestAt)
}

/** Applies what the log has after `from`, to its end. Up to `known` entries are known to be there. */
export async function readOn(
  ctx: ReadContext,
  log: LogContext,
  from: ShardState,
  known?: number,
  applied?: (entry: AppliedEntry) => void,
): Promise<ShardState> {
  let state = from
  /** Resolves with whether a number was left out. */
  const meetsHole = async (): Promise<boolean> => {
    for await (const { entries, time } of tailOf(log.log, state.head + 1, known)) {
      noteTime(ctx, log, time)
      for (const { n, bytes } of entries) {
        if (n !== state.head + 1) return true
        const entry = await parseEntry(log, n, bytes)
        state = applyEntry(state, entry)
        applied?.(entry)
        // What stands behind a seal does not count (S1).
        if (state.seal) return false
      }
    }
    return false
  }
  for (;;) {
    const sent = moment(ctx, log)
    if ((await meetsHole()) && !(await losing.use((part) => part.isTrimmed(ctx, log, state.head + 1)))) continue
    log.free = sent
    return state
  }
}

/** The head counts only if the trim number, read after the absent answer, is below it. */
export async function confirmHead(
  ctx: ReadContext,
  log: LogContext,
  state: ShardState,
  isRebuilt = false,
): Promise<ShardState | undefined> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  return isHead(value, log, state, isRebuilt) ? state : undefined
}

/** Whether the anchor, as it was read after a head, lets that count. */
export function isHead(
  value: AnchorValue | undefined,
  { logId }: Pick<LogContext, 'logId'>,
  { head }: Pick<ShardState, 'head'>,
  isRebuilt = false,
): boolean {
  // One that was gone before trims nothing; else the store was destroyed meanwhile.
  if (value === undefined) return isRebuilt
  return equalBytes(value.logId, logId) && value.trim < head
}

/** The error for a head that the trim number has overtaken: what was read is no longer the history. */
export function overtaken(ctx: Pick<ReadContext, 'store'>): TidemarkError {
  return new TidemarkError('CONFLICT', `Store "${ctx.store}" was trimmed while it was being read; try again.`)
}
