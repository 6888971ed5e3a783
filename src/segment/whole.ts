/**
 * Segments read whole, one request each, their envelope and their hash checked: for those who read all of a run anyway and
 * must not push what others read out of the cache. One instance serves one run and keeps the segment that was last loaded.
 */
import { equalBytes } from '../bytes/compare.js'
import { ENVELOPE_TAIL, unseal } from '../bytes/envelope.js'
import { contentHash } from '../bytes/hash.js'
import { corrupt } from '../errors.js'
import type { Blobs } from '../storage/contract.js'
import { Block } from './block.js'
import type { SegmentParts } from './cache.js'
import type { SegmentPlace } from './damage.js'
import { inSegment, missingSegment } from './damage.js'
import { decodeIndex, type SegmentIndex } from './index.js'

export class WholeSegments implements SegmentParts {
  readonly #blobs: Blobs
  #name: string | undefined
  #bytes = new Uint8Array(0)
  #index: SegmentIndex | undefined

  constructor(blobs: Blobs) {
    this.#blobs = blobs
  }

  index(place: SegmentPlace): SegmentIndex | undefined {
    return this.#name === place.name ? this.#index : undefined
  }

  block(place: SegmentPlace, number: number): Block | undefined {
    const index = this.index(place)
    if (index === undefined) return undefined
    const { offset, length, rawLength } = index.blocks[number]!
    const bytes = this.#bytes.subarray(offset, offset + length)
    return inSegment(place, () => Block.unpack(bytes, rawLength, `Segment ${place.name}`))
  }

  async loadIndex(place: SegmentPlace): Promise<SegmentIndex> {
    const { bytes } = await this.#blobs.get(place.name)
    checkWhole(bytes, place)
    const end = place.length - ENVELOPE_TAIL - place.filterLength
    const at = end - place.indexLength
    this.#index = inSegment(place, () => decodeIndex(bytes.subarray(at, end), at, `Segment ${place.name}`))
    this.#bytes = bytes as Uint8Array<ArrayBuffer>
    this.#name = place.name
    return this.#index
  }

  async loadBlock(place: SegmentPlace, _: SegmentIndex, number: number): Promise<Block> {
    if (this.#name !== place.name) await this.loadIndex(place)
    return this.block(place, number)!
  }
}

/** Throws `CORRUPT` unless these are the bytes that the manifest means. */
export function checkWhole(bytes: Uint8Array | undefined, place: SegmentPlace): asserts bytes is Uint8Array {
  if (bytes === undefined) throw missingSegment(place)
  const what = `Segment ${place.name}`
  inSegment(place, () => {
    if (bytes.length !== place.length) {
      throw corrupt(`${what} is damaged: it has ${bytes.length} bytes, its manifest says ${place.length}.`)
    }
    unseal('segment', bytes, what)
    if (!equalBytes(contentHash(bytes), place.hash)) {
      throw corrupt(`${what} is damaged: its hash is not the one in its manifest.`)
    }
  })
}
