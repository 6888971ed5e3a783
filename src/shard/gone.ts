/** What it means that a segment is not there. */
import { TidemarkError, corrupt } from '../errors.js'
import { readAnchor } from '../log/anchor.js'
import type { Blobs } from '../storage/contract.js'
import type { ShardContext } from './context.js'
import { factsOf } from './facts.js'
import { readEntries } from './past.js'
import { listPins, manifestOfPin } from './pins.js'
import { anchorName, closeLog, openAnchor, openLog, overtaken, readLog } from './recovery.js'

/** Blobs for reading segments: one that is missing is an error, and which one is found out by a second look. */
export function segmentBlobs(blobs: Blobs, ctx: () => ShardContext): Blobs {
  return {
    ...blobs,
    async get(name, options) {
      const answer = await blobs.get(name, options)
      if (answer.bytes === undefined) throw await judgeMissing(ctx(), name)
      return answer
    },
  }
}

/**
 * Anchor and head are read again, and decide (PROTOCOL.md, section 4): what nothing kept names any more was collected, and
 * who still reads it has had the grace period for that.
 */
async function judgeMissing(ctx: ShardContext, name: string): Promise<TidemarkError> {
  const anchor = openAnchor(ctx)
  const { value } = await readAnchor(anchor, anchorName(ctx))
  const lost = corrupt(`Segment ${name} is missing from the storage.`)
  if (value === undefined) return lost
  const log = openLog(ctx, anchor, value.logId)
  try {
    const { head, carried } = await readLog(ctx, log, value)
    if (head < value.manifestAt) return overtaken(ctx)
    const entries = await readEntries(ctx, log, carried.trim + 1, head)
    const pins = await listPins(ctx.storage, log.path)
    const named = [
      ...entries.flatMap((entry) => factsOf(entry).names),
      ...pins.flatMap((pin) => manifestOfPin(pin, log.path).runs.flat()).map((segment) => segment.name),
    ]
    if (carried.keeps === 0 || named.includes(name)) return lost
    return new TidemarkError(
      'VERSION_EXPIRED',
      `What was being read of store "${ctx.store}" is no longer kept; look again from its newest version. Raise graceMs if readers need longer.`,
    )
  } finally {
    await closeLog(ctx, log)
  }
}
