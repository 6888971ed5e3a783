/** What a log has beside its entries, for who collects it. */
import { idOfBlob, segmentsPrefix } from '../../manifest/listed-names.js'
import { pagesOf } from '../../storage/pages.js'
import { noteTime, type LogContext, type ShardContext } from '../context.js'
import { manifestOfPin, pinsOf, type StoredPin } from '../history/pins.js'

export interface BlobListing {
  /** The sizes of its segments, by their names. */
  readonly segments: ReadonlyMap<string, number>
  readonly pins: readonly StoredPin[]
  /** The names that its pins hold. */
  readonly held: Set<string>
}

/** Segments first, pins last: a pin that is made meanwhile is then seen, or its maker sees what condemns (R36). */
export async function listBlobs(ctx: ShardContext, log: LogContext): Promise<BlobListing> {
  const segments = new Map<string, number>()
  const prefix = segmentsPrefix(log.path)
  for await (const { items, time } of pagesOf(ctx.storage.blobs, prefix)) {
    noteTime(ctx, log, time)
    for (const { name, size } of items) if (idOfBlob(prefix, name)) segments.set(name, size)
  }
  // One that is over holds until it is gone (R37). One that can't be read may hold anything.
  const pins = await pinsOf({ context: ctx, log }, (error) => {
    throw error
  })
  const held = new Set<string>()
  for (const pin of pins) for (const { name } of manifestOfPin(pin, log.path).runs.flat()) held.add(name)
  return { segments, pins, held }
}
