/** States of the past: any kept version is the newest manifest before it and the deltas after that. */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, corrupt } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import { anchorName, type LogContext, type ReadContext } from '../context.js'
import { applyEntry, emptyState, parseEntry, type AppliedEntry, type ShardState } from '../state.js'

const READ_AT_ONCE = 16

/** An entry that has to be there; what is missing was trimmed, or is lost. */
export async function readEntry(ctx: ReadContext, log: LogContext, n: number): Promise<AppliedEntry> {
  const { bytes } = await log.log.read(n)
  if (bytes === undefined) throw await missing(ctx, log, n)
  return parseEntry(log, n, bytes)
}

/** Entries from `first` to `last`: a few are read at once, and no more of them are held. */
export async function* eachEntry(
  ctx: ReadContext,
  log: LogContext,
  first: number,
  last: number,
): AsyncGenerator<AppliedEntry, void> {
  for (let n = first; n <= last; n += READ_AT_ONCE) {
    const length = Math.min(READ_AT_ONCE, last - n + 1)
    yield* await Promise.all(Array.from({ length }, (_, i) => readEntry(ctx, log, n + i)))
  }
}

/** The same, all of them: for the few that make up a state. */
export async function readEntries(
  ctx: ReadContext,
  log: LogContext,
  first: number,
  last: number,
): Promise<AppliedEntry[]> {
  const entries: AppliedEntry[] = []
  for await (const entry of eachEntry(ctx, log, first, last)) entries.push(entry)
  return entries
}

/** The state as entry `n` left it. `VERSION_EXPIRED` when it was collected meanwhile. */
export async function stateAt(ctx: ReadContext, log: LogContext, n: number): Promise<ShardState> {
  const { entry } = await readEntry(ctx, log, n)
  // Only a fence that was written blindly carries nothing, and it changes nothing either.
  if (entry.carried === undefined) return stateAt(ctx, log, n - 1)
  const { covers } = entry.carried
  const entries = await readEntries(ctx, log, covers + 1, n)
  const state = entries.reduce(applyEntry, emptyState(log.logId, covers))
  if (state.manifest.covers !== covers || state.carried.manifestAt !== entry.carried.manifestAt) {
    throw corrupt(`Version ${n} of store "${ctx.store}" is damaged: its manifest is not where its header says.`)
  }
  return state
}

/** The error for an entry or a blob that is not there: looked at again, it may have been collected (R39). */
async function missing(ctx: ReadContext, log: LogContext, n: number): Promise<TidemarkError> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value && equalBytes(value.logId, log.logId) && n <= value.trim) return expired(ctx.store, n)
  return corrupt(`Entry ${n} of the log of store "${ctx.store}" is missing. Restore the store from a backup.`)
}

export function expired(store: string, version: number | string): TidemarkError {
  return new TidemarkError(
    'VERSION_EXPIRED',
    `Version ${version} of store "${store}" is no longer kept; versions() and tags() list what is. Raise retain, or tag what has to stay.`,
  )
}
