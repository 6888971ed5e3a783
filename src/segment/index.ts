/**
 * The index of a segment: where each block lies and from which key on (docs/format.md, "Segments").
 *
 *     varint number of blocks; per block: separator (varint length, bytes) · varint stored length · varint raw length
 *     varint number of range deletes; each: lower · upper (varint length, bytes)
 *     u32 CRC-32 of all before
 *
 * A separator is the shortest byte string above every key before the block and not above its first one. Blocks follow
 * one another without gaps from the end of the envelope's head.
 */
import { compareBytes, countInFront } from '../bytes/compare.js'
import type { KeyRange } from './record.js'

export interface BlockPlace {
  readonly separator: Uint8Array
  readonly offset: number
  readonly length: number
  readonly rawLength: number
}

export interface SegmentIndex {
  readonly blocks: readonly BlockPlace[]
  /** Ranges deleted by this segment's run; its own records win over them. */
  readonly ranges: readonly KeyRange[]
}

/** The number of the only block that can hold `key`; -1 when the key lies before all of them. */
export function blockFor(index: SegmentIndex, key: Uint8Array): number {
  return countInFront(index.blocks.length, (i) => compareBytes(index.blocks[i]!.separator, key) <= 0) - 1
}
