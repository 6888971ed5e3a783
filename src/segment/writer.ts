/**
 * Writes segments from records in key order: blocks, then the index, then the bloom filter, in one envelope. A run is as
 * many segments as `segmentBytes` make of it; each is handed on as soon as it is full, so that memory holds one of them.
 */
import { compareBytes } from '../bytes/compare.js'
import { ByteWriter } from '../bytes/writer.js'
import { concat } from '../bytes/concat.js'
import { crc32 } from '../bytes/crc32.js'
import { ENVELOPE_HEAD, envelopeHead } from '../bytes/envelope.js'
import { keyHash } from '../bytes/hash.js'
import { isPromise } from '../callback.js'
import { contentHash, type Platform } from '../storage/platform.js'
import type { BlockPlace } from './index.js'
import { buildBloom, encodeIndex, packBlock, separatorBetween, writeRecord } from './pack.js'
import type { Cursor } from './cursor.js'
import type { KeyedRecord, KeyRange } from './record.js'

export interface SegmentOptions {
  /** Uncompressed bytes of a segment and of a block. */
  readonly segmentBytes: number
  readonly blockBytes: number
  readonly bloomBits: number
  readonly deflateLevel: number
}

/** A finished segment, and what the manifest says of it. */
export interface BuiltSegment {
  readonly bytes: Uint8Array
  readonly hash: Uint8Array
  readonly records: number
  readonly tombstones: number
  readonly ranges: number
  readonly rawBytes: number
  readonly indexLength: number
  readonly filterLength: number
  /** The first and the last key that it says anything about. */
  readonly lower: Uint8Array
  readonly upper: Uint8Array
  /** The earliest expiry in it, 0 when nothing expires. */
  readonly expires: number
}

/**
 * Hands each finished segment to `emit` and waits for it; `pace` is awaited after every block, so that a caller can give
 * the event loop its turn or stop the work. `ranges` are sorted and apart; each segment gets what of them lies between
 * its first key and that of the next, so that it alone answers for its keys.
 */
export async function writeSegments(
  platform: Platform,
  records: Cursor,
  ranges: readonly KeyRange[],
  options: SegmentOptions,
  emit: (segment: BuiltSegment) => Promise<void>,
  pace: () => Promise<void> | undefined,
): Promise<void> {
  let builder = new SegmentBuilder(platform, options)
  let rest = ranges
  for (;;) {
    // Awaiting only what has to be awaited: a turn of the event loop per record would cost more than the record.
    const step = records.next()
    if (step) await step
    const record = records.current
    if (record === undefined) break
    if (builder.full) {
      const [own, later] = splitRanges(rest, record.key)
      rest = later
      await emit(await builder.finish(own))
      builder = new SegmentBuilder(platform, options)
    }
    if (builder.add(record)) await pace()
  }
  if (!builder.empty || rest.length > 0) await emit(await builder.finish(rest))
}

/** Splits ranges at `key`: the parts below it, and those from it on. */
function splitRanges(ranges: readonly KeyRange[], key: Uint8Array): [KeyRange[], KeyRange[]] {
  const below: KeyRange[] = []
  const above: KeyRange[] = []
  for (const range of ranges) {
    if (compareBytes(range.lower, key) < 0) below.push({ lower: range.lower, upper: lesser(range.upper, key) })
    if (compareBytes(range.upper, key) > 0) above.push({ lower: greater(range.lower, key), upper: range.upper })
  }
  return [below, above]
}

function lesser(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) < 0 ? a : b
}

function greater(a: Uint8Array, b: Uint8Array): Uint8Array {
  return compareBytes(a, b) > 0 ? a : b
}

interface PackedBlock {
  readonly separator: Uint8Array
  readonly rawLength: number
  readonly stored: Uint8Array | Promise<Uint8Array>
}

class SegmentBuilder {
  readonly #platform: Platform
  readonly #options: SegmentOptions
  readonly #blocks: PackedBlock[] = []
  readonly #hashes: number[] = []
  #block: ByteWriter
  #blockSeparator: Uint8Array | undefined
  #rawBytes = 0
  #tombstones = 0
  #expires = 0
  #first: Uint8Array | undefined
  #last: Uint8Array | undefined

  constructor(platform: Platform, options: SegmentOptions) {
    this.#platform = platform
    this.#options = options
    this.#block = this.#newBlock()
  }

  get empty(): boolean {
    return this.#first === undefined
  }

  get full(): boolean {
    return this.#rawBytes >= this.#options.segmentBytes
  }

  /** Returns true when a block was closed. */
  add(record: KeyedRecord): boolean {
    const closes = this.#block.length >= this.#options.blockBytes
    if (closes) this.#closeBlock()
    this.#blockSeparator ??= separatorBetween(this.#last, record.key)
    const before = this.#block.length
    writeRecord(this.#block, record)
    this.#rawBytes += this.#block.length - before
    this.#hashes.push(keyHash(record.key))
    if (record.bytes === undefined) this.#tombstones++
    else if (record.expires > 0) this.#expires = Math.min(this.#expires || record.expires, record.expires)
    this.#first ??= record.key
    this.#last = record.key
    return closes
  }

  #closeBlock(): void {
    const raw = this.#block.finish()
    const stored = packBlock(this.#platform, raw, this.#options.deflateLevel)
    // Its failure is heard when the segment is put together.
    if (isPromise(stored)) stored.catch(() => undefined)
    this.#blocks.push({ separator: this.#blockSeparator!, rawLength: raw.length, stored })
    this.#block = this.#newBlock()
    this.#blockSeparator = undefined
  }

  /** With room for the record that ends it, mostly. */
  #newBlock(): ByteWriter {
    return new ByteWriter(this.#options.blockBytes + (4 << 10))
  }

  async finish(ranges: readonly KeyRange[]): Promise<BuiltSegment> {
    if (this.#block.length > 0) this.#closeBlock()
    const parts: Uint8Array[] = []
    const places: BlockPlace[] = []
    let offset = ENVELOPE_HEAD
    for (const { separator, rawLength, stored } of this.#blocks) {
      const part = isPromise(stored) ? await stored : stored
      parts.push(part)
      places.push({ separator, rawLength, offset, length: part.length })
      offset += part.length
    }
    const index = encodeIndex({ blocks: places, ranges })
    const bloom = buildBloom(this.#hashes, this.#options.bloomBits)
    const filter = new ByteWriter(bloom.length + 4)
    filter.raw(bloom)
    filter.u32(crc32(bloom))
    const body = concat([...parts, index, filter.finish()])
    const tail = new ByteWriter(4)
    tail.u32(crc32(body))
    const bytes = concat([envelopeHead('segment', body.length), body, tail.finish()])
    let lower = this.#first
    let upper = this.#last
    for (const range of ranges) {
      lower = lower === undefined ? range.lower : lesser(lower, range.lower)
      upper = upper === undefined ? range.upper : greater(upper, range.upper)
    }
    return {
      bytes,
      hash: await contentHash(this.#platform, bytes),
      records: this.#hashes.length,
      tombstones: this.#tombstones,
      ranges: ranges.length,
      rawBytes: this.#rawBytes,
      indexLength: index.length,
      filterLength: bloom.length + 4,
      lower: lower!,
      upper: upper!,
      expires: this.#expires,
    }
  }
}
