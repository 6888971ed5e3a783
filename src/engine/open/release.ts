/**
 * The mode of a store is recorded for as long as somebody writes it. A writer leaves a mark when it closes the store: an empty blob
 * under its id. When all who have written since the newest fence have done so, another mode may take the store over.
 */
import { toHex } from '../../bytes/hex.js'
import { TidemarkError } from '../../errors.js'
import { closedPath, closedPrefix } from '../../manifest/listed-names.js'
import { pagesOf } from '../../storage/pages.js'
import { currentTime, type LogContext, type ShardContext } from '../context.js'
import { eachHead } from '../history/past.js'
import type { ShardState } from '../state.js'

/** Best effort: without the mark another mode takes `force`. */
export async function markClosed(ctx: ShardContext, log: LogContext, { carried }: ShardState): Promise<void> {
  const { blobs, capabilities } = ctx.storage
  // Where a handle lives as long as a request, a mark for each would double what they cost.
  if (carried.mode === 'shared' && capabilities.isRemote) return
  const put = blobs.put(closedPath(log.path, log.writerId), new Uint8Array(0))
  // The fence has put an end to whoever wrote before.
  const former = carried.mode === 'exclusive' && log.formerWriter
  const tidy = former && blobs.delete([closedPath(log.path, former)])
  await Promise.allSettled([put, tidy])
}

/** The writers of the newest fence and of the entries since, by their ids in hex, and when each wrote last. */
async function writersOf(
  ctx: ShardContext,
  log: LogContext,
  { carried: { trim, time }, head }: ShardState,
): Promise<ReadonlyMap<string, { readonly id: Uint8Array; readonly time: number }>> {
  const writers = new Map<string, { readonly id: Uint8Array; readonly time: number }>()
  for await (const { entry } of eachHead(ctx, log, trim + 1, head)) {
    const { n, kind, writerId: id, carried } = entry
    if (kind === 'fence') writers.clear()
    // A log that a fork, a push or an import has begun: its maker writes no more.
    if (n > 1 || kind !== 'reset') writers.set(toHex(id), { id, time: carried?.time ?? time })
  }
  return writers
}

/** Throws when somebody who has written in the recorded mode may still do so. */
export async function assertReleased(ctx: ShardContext, log: LogContext, state: ShardState): Promise<void> {
  const { mode } = state.carried
  const quiet = mode === 'shared' && ctx.storage.capabilities.isRemote ? currentTime(ctx, log) - ctx.graceMs : -Infinity
  for (const { id, time } of (await writersOf(ctx, log, state)).values()) {
    if (time < quiet || (await ctx.storage.blobs.get(closedPath(log.path, id))).bytes) continue
    throw new TidemarkError(
      'CONFLICT',
      `Store "${ctx.store}" is written in ${mode} mode, and a writer has not closed it. Open it in that mode, or with force: true when no such writer lives.`,
      { retryable: false },
    )
  }
}

/** So many marks may lie about. */
const MARKS = 64

/** Removes the marks that nobody asks for any more, once they are many. */
export async function tidyMarks(ctx: ShardContext, log: LogContext, state: ShardState): Promise<void> {
  const prefix = closedPrefix(log.path)
  const marks: string[] = []
  for await (const { items } of pagesOf(ctx.storage.blobs, prefix)) marks.push(...items.map(({ name }) => name))
  if (marks.length <= MARKS) return
  const writers = await writersOf(ctx, log, state)
  const old = marks.filter((name) => !writers.has(name.slice(prefix.length)))
  if (old.length > 0) await ctx.storage.blobs.delete(old)
}
