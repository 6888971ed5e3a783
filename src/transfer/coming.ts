/** Logs of stores that are yet to be created: segments are copied before the first entry makes a store of them. */
import { equalBytes } from '../bytes/compare.js'
import { ID_BYTES } from '../log/entry.js'
import { comingPath, logPath, shardPath } from '../manifest/names.js'
import type { LogContext, ShardContext } from '../shard/context.js'
import { listComing } from '../shard/lost-log.js'
import { closeLog, openAnchor, openLog } from '../shard/recovery.js'
import { probe } from '../storage/probe.js'

/** The log of an interrupted transfer, so that what it has copied counts, or a new one. */
export async function prepareLog(ctx: ShardContext): Promise<LogContext> {
  await probe(ctx.storage, shardPath(ctx.store), ctx.clock, ctx.probed)
  const [left] = await listComing(ctx)
  const logId = left ?? ctx.clock.random(ID_BYTES)
  if (left === undefined) await ctx.storage.blobs.put(comingPath(ctx.store, logId), new Uint8Array(0))
  return openLog(ctx, openAnchor(ctx), logId)
}

/** Removes what transfers that were to create this store have left: the store has a log, another will never be named. */
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
