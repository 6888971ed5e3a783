/** Logs of stores that are yet to be created. Segments are copied to them before the first entry makes a store. */
import { equalBytes } from '../bytes/compare.js'
import { ID_BYTES } from '../log/entry.js'
import { comingPath, idOfBlob, segmentsPrefix } from '../manifest/listed-names.js'
import { logPath, shardPath } from '../manifest/names.js'
import { closeLog, openAnchor, openLog, type LogContext, type ShardContext } from '../engine/context.js'
import { listComing } from '../engine/open/lost-log.js'
import { condemnedIn, readEntry } from '../engine/history/past.js'
import type { ShardState } from '../engine/state.js'
import type { SegmentPlace } from '../segment/damage.js'
import { checkWhole } from '../segment/whole.js'
import { pagesOf } from '../storage/pages.js'
import { probe } from '../storage/probe.js'

/** The log of an interrupted transfer, so that its copies count, or a new one, which is noted. */
export async function prepareLog(ctx: ShardContext): Promise<{ log: LogContext; isNew: boolean }> {
  await probe(ctx.storage, shardPath(ctx.store), ctx.clock, ctx.probed)
  const [left] = await listComing(ctx)
  const logId = left ?? ctx.clock.random(ID_BYTES)
  if (left === undefined) await ctx.storage.blobs.put(comingPath(ctx.store, logId), new Uint8Array(0))
  return { log: openLog(ctx, openAnchor(ctx), logId), isNew: left === undefined }
}

/** The segments that are there, by length. Those that a collection has condemned are left out, as they may go at any time. */
export async function listUploads(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState | undefined,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<number, readonly string[]>> {
  const at = state?.carried.collectedAt ?? 0
  const condemned = new Set(at > 0 ? condemnedIn(await readEntry(ctx, log, at), log.path) : [])
  const prefix = segmentsPrefix(log.path)
  const uploads = new Map<number, string[]>()
  for await (const { items } of pagesOf(ctx.storage.blobs, prefix, { signal })) {
    for (const { name, size } of items) {
      if (!idOfBlob(prefix, name) || condemned.has(name)) continue
      uploads.set(size, [...(uploads.get(size) ?? []), name])
    }
  }
  return uploads
}

/** Whether an upload has arrived, and is what the manifest means. */
export function isWhole({ cache }: ShardContext, bytes: Uint8Array | undefined, place: SegmentPlace): Promise<boolean> {
  return checkWhole(cache.platform, bytes, place).then(
    () => true,
    () => false,
  )
}

/**
 * Deletes uploads after the storage had no room for more: the target may need theirs to go on. With `isNoted` the note of the
 * log is deleted as well, since nothing of that log is left.
 */
export async function takeBack(
  { storage: { blobs }, store }: ShardContext,
  log: LogContext | undefined,
  made: ReadonlySet<string>,
  isNoted: boolean,
): Promise<void> {
  if (made.size > 0) await blobs.delete([...made])
  if (!log || !isNoted) return
  const { items } = await blobs.list(`${log.path}/`, { limit: 1 })
  if (items.length === 0) await blobs.delete([comingPath(store, log.logId)])
}

/** Removes the leftovers of transfers that were to create this store. It has a log now, so theirs will never be named. */
export async function clearComing(ctx: ShardContext, own: Uint8Array): Promise<void> {
  for (const logId of await listComing(ctx)) {
    if (!equalBytes(logId, own)) await clearLog(ctx, logPath(ctx.store, logId))
    await ctx.storage.blobs.delete([comingPath(ctx.store, logId)])
  }
}

async function clearLog(ctx: ShardContext, path: string): Promise<void> {
  const log = ctx.storage.log(path)
  try {
    await log.destroy()
  } finally {
    await closeLog(ctx, { log })
  }
  for (;;) {
    const { items, more } = await ctx.storage.blobs.list(`${path}/`)
    if (items.length > 0) await ctx.storage.blobs.delete(items.map(({ name }) => name))
    if (!more) return
  }
}
