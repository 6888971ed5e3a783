/** Holds whole segments in the cache, whatever its budget: for stores that have everything in memory. */
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { Block } from './block.js'
import { indexOf, type SegmentCache } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { checked } from '../bytes/checked.js'
import { inSegment } from './damage.js'
import type { SegmentIndex } from './index.js'

/** Holds all parts of a segment, read whole and checked, until it is dropped; `pace` is asked between blocks. */
export async function holdSegment(
  { held, platform }: SegmentCache,
  place: SegmentPlace,
  bytes: Uint8Array,
  pace: () => Promise<void> | undefined,
): Promise<void> {
  const what = `Segment ${place.name}`
  const filterAt = place.length - ENVELOPE_TAIL - place.filterLength
  const at = filterAt - place.indexLength
  const index = await indexOf(place, bytes.slice(at, filterAt), at)
  const bits = await inSegment(place, () => checked(bytes.slice(filterAt, filterAt + place.filterLength), what))
  const blocks: Block[] = []
  for (const { offset, length, rawLength } of index.blocks) {
    // Copied, so that a small part does not hold all of the segment in memory.
    const stored = bytes.slice(offset, offset + length)
    blocks.push(await inSegment(place, () => Block.unpack(platform, stored, rawLength, what)))
    await pace()
  }
  // All of it or nothing: what stood here in part could not be found again to be dropped.
  for (const [number, block] of blocks.entries()) held.set(`${place.name}#${number}`, block)
  held.set(`${place.name}#index`, index)
  held.set(`${place.name}#filter`, bits)
}

/** Lets go of a segment that is held. */
export function dropSegment({ held }: SegmentCache, place: SegmentPlace): void {
  const index = held.get(`${place.name}#index`) as SegmentIndex | undefined
  const blocks = index?.blocks.map((_, number) => `${place.name}#${number}`) ?? []
  for (const key of [...blocks, `${place.name}#index`, `${place.name}#filter`]) held.delete(key)
}
