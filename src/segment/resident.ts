/** Keeps whole segments in the cache, whatever its budget: for stores that have everything in memory. */
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { Block } from './block.js'
import { indexOf, type SegmentCache } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { checked } from '../bytes/checked.js'
import { inSegment } from './damage.js'
import type { SegmentIndex } from './index.js'

/** Keeps all pieces of a segment, read whole and checked, until it is dropped; `pace` is asked between blocks. */
export async function keepResident(
  { resident, platform }: SegmentCache,
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
    // Copied, so that a small piece does not keep all of the segment in memory.
    const stored = bytes.slice(offset, offset + length)
    blocks.push(await inSegment(place, () => Block.unpack(platform, stored, rawLength, what)))
    await pace()
  }
  // All of it or nothing: what stood here in pieces could not be found again to be dropped.
  for (const [number, block] of blocks.entries()) resident.set(`${place.name}#${number}`, block)
  resident.set(`${place.name}#index`, index)
  resident.set(`${place.name}#filter`, bits)
}

/** Lets go of a segment that was kept. */
export function dropResident({ resident }: SegmentCache, place: SegmentPlace): void {
  const index = resident.get(`${place.name}#index`) as SegmentIndex | undefined
  const blocks = index?.blocks.map((_, number) => `${place.name}#${number}`) ?? []
  for (const key of [...blocks, `${place.name}#index`, `${place.name}#filter`]) resident.delete(key)
}
