/**
 * The mode of a store is recorded for as long as somebody writes it. A writer leaves a mark when it closes the store: an empty blob
 * under its id. When all who have written since the newest fence have done so, another mode may take the store over.
 */
import { equalBytes } from '../../bytes/compare.js'
import { toHex } from '../../bytes/hex.js'
import { TidemarkError } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import type { Own } from '../../log/shard-parts.js'
import { closedPath, closedPrefix } from '../../manifest/listed-names.js'
import { pagesOf } from '../../storage/pages.js'
import {
  anchorName,
  closeLog,
  currentTime,
  openAnchor,
  openLog,
  type LogContext,
  type ShardContext,
} from '../context.js'
import { readHeads } from '../history/past.js'
import type { OpenRequest } from './request.js'
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

/** So many entries are read at once in the end: twice as many each time. */
const READ_AT_ONCE = 16

/** A writer by its id in hex, and when it wrote last. */
interface Writer {
  readonly key: string
  readonly id: Uint8Array
  readonly time: number
  /** The path of the log in which it wrote. */
  readonly path: string
}

/**
 * The writers of the newest fence and of the entries since, whoever wrote last first. No entry says who has written before it, so
 * that all of these are read, from the newest one back: what is older than the fence does not count. Where nobody has fenced a log that
 * came of others, those who wrote these may still come to it.
 */
async function* writersOf(
  ctx: ShardContext,
  log: LogContext,
  { carried, head }: Pick<ShardState, 'carried' | 'head'>,
): AsyncGenerator<Writer, void> {
  const { trim } = carried
  const seen = new Set<string>()
  let first = head + 1
  for (let count = 1; first > trim + 1; count = Math.min(2 * count, READ_AT_ONCE)) {
    const last = first - 1
    first = Math.max(trim + 1, first - count)
    for (const { entry } of await readHeads(ctx, log, first, last)) {
      const { n, kind, writerId: id, carried: { time, trim, own } = carried } = entry
      const key = toHex(id)
      // A log that a fork, a push, an import, a split or a merge has begun: its maker writes no more.
      const isBegun = kind === 'reset' && n === trim + 1
      if (!seen.has(key) && !isBegun) yield { key, id, time, path: log.path }
      seen.add(key)
      if (kind === 'fence') return
      if (isBegun) for (const parent of own?.parents ?? []) yield* writersBefore(ctx, parent, carried)
    }
  }
}

/** Those who wrote a log that was sealed by entry n, as far as it is still there. */
async function* writersBefore(
  context: ShardContext,
  { logId, n }: Own['parents'][number],
  carried: ShardState['carried'],
): AsyncGenerator<Writer, void> {
  for (const shard of [toHex(logId), undefined]) {
    const ctx = { ...context, shard }
    const anchor = openAnchor(ctx)
    const { value } = await readAnchor(anchor, anchorName(ctx))
    if (!value || !equalBytes(value.logId, logId)) continue
    const log = openLog(ctx, anchor, logId)
    try {
      yield* writersOf(ctx, log, { head: n - 1, carried: { ...carried, trim: value.trim } })
    } finally {
      await closeLog(ctx, log)
    }
    return
  }
}

/** Throws when somebody who has written in another mode, or a member of a group, may still do so. */
export async function assertReleased(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState,
  wanted: Pick<OpenRequest, 'mode' | 'turn'>,
): Promise<void> {
  const { mode, turn } = state.carried
  if (turn && !turn.isReleased && !wanted.turn) {
    throw new TidemarkError(
      'CONFLICT',
      `A member of a group owns this shard of store "${ctx.store}". Write through the group, or open it with force: true when no member lives.`,
      { retryable: false },
    )
  }
  if (mode === wanted.mode) return
  const quiet = mode === 'shared' && ctx.storage.capabilities.isRemote ? currentTime(ctx, log) - ctx.graceMs : -Infinity
  for await (const { id, time, path } of writersOf(ctx, log, state)) {
    // Nor has anybody who wrote before it, as times never go back (R8).
    if (time < quiet) return
    if ((await ctx.storage.blobs.get(closedPath(path, id))).bytes) continue
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
  const writers = new Set<string>()
  for await (const { key } of writersOf(ctx, log, state)) writers.add(key)
  const old = marks.filter((name) => !writers.has(name.slice(prefix.length)))
  if (old.length > 0) await ctx.storage.blobs.delete(old)
}
