/** Reads the pieces of a segment from the storage, and checks them: its index, its filter, a block. It is loaded with the first. */
import { checked } from '../bytes/checked.js'
import { compareBytes } from '../bytes/compare.js'
import { ENVELOPE_HEAD, ENVELOPE_TAIL } from '../bytes/envelope.js'
import { ByteReader } from '../bytes/reader.js'
import { damaged } from '../errors.js'
import type { Blobs } from '../storage/contract.js'
import type { Platform } from '../storage/platform.js'
import { Block } from './block.js'
import { inSegment, missingSegment, type SegmentPlace } from './damage.js'
import type { BlockPlace, SegmentIndex } from './index.js'
import type { KeyRange } from './record.js'

export function decodeIndex(bytes: Uint8Array, end: number, what: string): SegmentIndex {
  const body = checked(bytes, what)
  const r = new ByteReader(body, what)
  const blocks: BlockPlace[] = []
  let offset = ENVELOPE_HEAD
  for (let left = r.count(3); left > 0; left--) {
    const separator = r.bytes()
    const length = r.varint()
    const rawLength = r.varint()
    const before = blocks.at(-1)
    if (before && compareBytes(before.separator, separator) >= 0) r.fail('blocks out of order')
    blocks.push({ separator, offset, length, rawLength })
    offset += length
  }
  if (offset !== end) r.fail('blocks out of order')
  const ranges: KeyRange[] = []
  for (let left = r.count(2); left > 0; left--) ranges.push({ lower: r.bytes(), upper: r.bytes() })
  r.end()
  return { blocks, ranges }
}

/** The same of a segment, whose bytes may be damaged. */
export function indexOf(place: SegmentPlace, bytes: Uint8Array, at: number): Promise<SegmentIndex> {
  return inSegment(place, () => decodeIndex(bytes, at, `Segment ${place.name}`))
}

/** The index, and by the same request the filter, if it is wanted. */
export async function readIndex(
  blobs: Blobs,
  place: SegmentPlace,
  withFilter: boolean,
): Promise<{ readonly index: SegmentIndex; readonly filter: Uint8Array | undefined }> {
  const { indexLength, filterLength } = place
  const at = place.length - ENVELOPE_TAIL - filterLength - indexLength
  const bytes = await readRange(blobs, place, at, indexLength + (withFilter ? filterLength : 0))
  const index = await indexOf(place, bytes.subarray(0, indexLength), at)
  const bits = (): Uint8Array => checked(bytes.subarray(indexLength), `Segment ${place.name}`)
  return { index, filter: withFilter ? await inSegment(place, bits) : undefined }
}

export async function readBlock(
  blobs: Blobs,
  platform: Platform,
  place: SegmentPlace,
  { offset, length, rawLength }: BlockPlace,
): Promise<Block> {
  const bytes = await readRange(blobs, place, offset, length)
  return inSegment(place, () => Block.unpack(platform, bytes, rawLength, `Segment ${place.name}`))
}

/** The same in this very turn; `undefined` where that cannot be, or fails: to read it in turn fails as well, and says why. */
export function readBlockNow(
  blobs: Blobs,
  platform: Platform,
  { name }: SegmentPlace,
  { offset, length, rawLength }: BlockPlace,
): Block | undefined {
  try {
    const stored = blobs.getNow?.(name, { offset, length })
    const block = stored && Block.unpack(platform, stored, rawLength, '')
    if (block instanceof Block) return block
    block?.catch(() => undefined)
  } catch {
    // See above.
  }
  return undefined
}

async function readRange(blobs: Blobs, place: SegmentPlace, offset: number, length: number): Promise<Uint8Array> {
  const { bytes } = await blobs.get(place.name, { range: { offset, length } })
  if (bytes === undefined) throw missingSegment(place)
  return inSegment(place, () => {
    if (bytes.length === length) return bytes
    throw damaged(`Segment ${place.name}`, `it ends before byte ${offset + length}`)
  })
}
