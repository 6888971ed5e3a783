/**
 * Segments read whole, one request each, their envelope and their hash checked: for those who read all of a run anyway and
 * must not push what others read out of the cache. One instance serves one run and keeps the segment that was last loaded.
 */
import { equalBytes } from '../bytes/compare.js'
import { ENVELOPE_TAIL, unseal } from '../bytes/envelope.js'
import { damaged } from '../errors.js'
import type { Storage } from '../storage/contract.js'
import { contentHash, platformOf, type Platform } from '../storage/platform.js'
import { Block } from './block.js'
import type { SegmentPieces } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { inSegment, missingSegment } from './damage.js'
import type { SegmentIndex } from './index.js'
import { decodeIndex } from './pieces.js'

export class WholeSegments implements SegmentPieces {
  readonly #storage: Pick<Storage, 'blobs' | 'capabilities'>
  #name: string | undefined
  #bytes: Uint8Array = new Uint8Array(0)
  #index: SegmentIndex | undefined

  constructor(storage: Pick<Storage, 'blobs' | 'capabilities'>) {
    this.#storage = storage
  }

  index(place: SegmentPlace): SegmentIndex | undefined {
    return this.#name === place.name ? this.#index : undefined
  }

  /** None is kept unpacked. */
  block(): undefined {}

  async loadIndex(place: SegmentPlace): Promise<SegmentIndex> {
    const bytes = await checkWhole(platformOf(this.#storage), (await this.#storage.blobs.get(place.name)).bytes, place)
    const end = place.length - ENVELOPE_TAIL - place.filterLength
    const at = end - place.indexLength
    this.#index = await inSegment(place, () => decodeIndex(bytes.subarray(at, end), at, `Segment ${place.name}`))
    this.#bytes = bytes
    this.#name = place.name
    return this.#index
  }

  async loadBlock(place: SegmentPlace, { blocks }: SegmentIndex, number: number): Promise<Block> {
    if (this.#name !== place.name) await this.loadIndex(place)
    const { offset, length, rawLength } = blocks[number]!
    const bytes = this.#bytes.subarray(offset, offset + length)
    const platform = platformOf(this.#storage)
    return inSegment(place, () => Block.unpack(platform, bytes, rawLength, `Segment ${place.name}`))
  }
}

/** The bytes. Throws `CORRUPT` unless they are those that the manifest means. */
export async function checkWhole(
  platform: Platform,
  bytes: Uint8Array | undefined,
  place: SegmentPlace,
): Promise<Uint8Array> {
  if (bytes === undefined) throw missingSegment(place)
  const what = `Segment ${place.name}`
  return inSegment(place, async () => {
    if (bytes.length !== place.length) {
      throw damaged(what, `it has ${bytes.length} bytes, not the ${place.length} that its manifest says`)
    }
    unseal('segment', bytes, what)
    if (!equalBytes(await contentHash(platform, bytes), place.hash)) {
      throw damaged(what, 'its hash is not the one in its manifest')
    }
    return bytes
  })
}
