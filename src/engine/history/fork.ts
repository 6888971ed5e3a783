/**
 * Forks: a new log whose first entry is a reset to a version of another store, and names that one's segments. A pin there
 * holds them for as long as the fork names any (R10).
 */
import { invalid, isTidemarkError, type TidemarkError } from '../../errors.js'
import { ID_BYTES } from '../../log/entry.js'
import { logPath } from '../../manifest/names.js'
import { closeLog, currentTime, openAnchor, type ShardContext } from '../context.js'
import { createLog } from '../open/create.js'
import { findStore } from '../open/recovery.js'
import type { OpenLog } from '../state.js'
import { putPin, type PinRequest } from './pin-version.js'
import { stateOfPin } from './pins.js'

/**
 * Creates the store `name`. The hold comes first: a crash leaves one that nobody uses, and collection finds that out. Once
 * the first entry may be there, only collection may take the hold away.
 */
export async function createFork(
  shard: OpenLog,
  name: string,
  source: Pick<PinRequest, 'state' | 'from' | 'isHeld'>,
): Promise<void> {
  const { context: ctx, log } = shard
  const child: ShardContext = { ...ctx, store: name, shard: undefined }
  const anchor = openAnchor(child)
  if ((await findStore(child, anchor)).value !== undefined) throw exists(name)
  const logId = ctx.clock.random(ID_BYTES)
  const pin = await putPin(shard, { kind: 'fork', name: logPath(name, logId), ttlMs: 0, ...source })
  const { manifest, tail, carried } = await stateOfPin(log.platform, pin, log.path)
  const time = currentTime(ctx, log)
  const reset = { manifest, origin: { log: log.path, version: carried.version, partitions: [] } }
  const config = { ...manifest.config, created: time, parent: ctx.store }
  const change = {
    kind: 'reset',
    time,
    memtable: tail[0]?.memtable,
    offsets: carried.offsets,
    spans: carried.spans,
    reset,
  } as const
  let created
  let isBegun = false
  try {
    created = await createLog(child, anchor, logId, config, change, () => (isBegun = true))
  } catch (error) {
    // An error that no storage should throw may have changed something.
    if (!isBegun && isTidemarkError(error)) await ctx.storage.blobs.delete([pin.blob])
    throw error
  }
  if (created === undefined) {
    await ctx.storage.blobs.delete([pin.blob])
    throw exists(name)
  }
  await closeLog(child, created.log)
}

function exists(name: string): TidemarkError {
  return invalid(`Store "${name}" exists already; choose another name for the fork, or destroy it first.`)
}
