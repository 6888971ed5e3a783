/** Keeps whole segments in the cache, whatever its budget: for stores that have everything in memory. */
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { Block } from './block.js'
import { indexOf, type SegmentCache } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { checked } from '../bytes/checked.js'
import { inSegment } from './damage.js'

/** Keeps all pieces of a segment, read whole and checked, until it is dropped; `pace` is asked between blocks. */
export async function keepResident(
  cache: SegmentCache,
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
    blocks.push(await inSegment(place, () => Block.unpack(cache.platform, stored, rawLength, what)))
    await pace()
  }
  // All of it or nothing: pieces could not be found again to be dropped.
  cache.keepWhole(place.name, [['index', index], ['filter', bits], ...blocks.entries()])
}
