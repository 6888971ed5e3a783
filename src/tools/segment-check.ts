/** Checks a segment: reads all of its bytes, and compares them with the facts in the manifest. */
import { compareBytes } from '../bytes/compare.js'
import { ENVELOPE_TAIL } from '../bytes/envelope.js'
import { keyHash } from '../bytes/hash.js'
import { decodeKey } from '../bytes/keys.js'
import { corrupt } from '../errors.js'
import type { SegmentRef } from '../manifest/manifest.js'
import { Block } from '../segment/block.js'
import { mayContain } from '../segment/bloom.js'
import { checked } from '../bytes/checked.js'
import { clipped } from '../segment/cursor.js'
import type { SegmentIndex } from '../segment/index.js'
import { decodeIndex } from '../segment/pieces.js'
import { EVERYTHING, isWithin, type KeyedRecord, type KeyRange } from '../segment/record.js'
import { checkWhole } from '../segment/whole.js'
import type { Platform } from '../storage/platform.js'

/** The first and the last key within the clip, for comparison with the segments beside it. `undefined`: there is no key. */
export interface Extent {
  readonly first: Uint8Array | undefined
  readonly last: Uint8Array | undefined
  /** The end of the last range delete, itself not deleted. */
  readonly end: Uint8Array | undefined
}

/** Throws `CORRUPT` at the first thing that is not as it should be. */
export async function checkSegment(
  platform: Platform,
  found: Uint8Array | undefined,
  ref: SegmentRef,
  partitions: number,
): Promise<Extent> {
  const bytes = await checkWhole(platform, found, ref)
  const what = `Segment ${ref.name}`
  const filterAt = ref.length - ENVELOPE_TAIL - ref.filterLength
  const indexAt = filterAt - ref.indexLength
  const index = decodeIndex(bytes.subarray(indexAt, filterAt), indexAt, what)
  const filter = checked(bytes.subarray(filterAt, ref.length - ENVELOPE_TAIL), what)
  const seen = new Seen(what, filter, partitions, clipped(ref, EVERYTHING))
  for (const [i, place] of index.blocks.entries()) {
    const stored = bytes.subarray(place.offset, place.offset + place.length)
    const block = await Block.unpack(platform, stored, place.rawLength, what)
    if (block.length === 0) seen.fail(`block ${i} is empty`)
    seen.separator(place.separator, block.key(0))
    for (let at = 0; at < block.length; at++) seen.record(block.record(at))
    seen.rawBytes += place.rawLength
  }
  checkRanges(index, seen)
  seen.compare(ref, index)
  const { first, last } = seen.counted
  const ranges = index.ranges.map((range) => clipped(ref, range)).filter((r) => compareBytes(r.lower, r.upper) < 0)
  const end = ranges.at(-1)?.upper
  const lowest = lesser(first, ranges[0]?.lower)
  const highest = greater(last, end)
  if (lowest === undefined || highest === undefined) {
    // A clip is made without looking into the segment, so that no key may be left.
    return ref.clip ? NOTHING : seen.fail('it says nothing about any key')
  }
  if (compareBytes(ref.lower, lowest) > 0 || compareBytes(ref.upper, highest) < 0)
    seen.fail('it has keys outside the bounds in its manifest')
  return { first: lowest, last, end }
}

const NOTHING: Extent = { first: undefined, last: undefined, end: undefined }

/** Counts the records that were met so far, for comparison with the manifest. */
class Seen {
  readonly #what: string
  readonly #filter: Uint8Array
  readonly #partitions: number
  readonly #counts: KeyRange
  /** The first and last key within the clip. */
  readonly counted: { first: Uint8Array | undefined; last: Uint8Array | undefined } = {
    first: undefined,
    last: undefined,
  }
  last: Uint8Array | undefined
  records = 0
  tombstones = 0
  rawBytes = 0
  expires = 0

  constructor(what: string, filter: Uint8Array, partitions: number, counts: KeyRange) {
    this.#counts = counts
    this.#what = what
    this.#filter = filter
    this.#partitions = partitions
  }

  fail(problem: string): never {
    throw corrupt(`${this.#what} is damaged: ${problem}.`)
  }

  /** Checks a separator: above every key of the block before, not above the first of its own; the first one is empty. */
  separator(separator: Uint8Array, first: Uint8Array): void {
    const before = this.last
    const fits = before === undefined ? separator.length === 0 : compareBytes(separator, before) > 0
    if (!fits || compareBytes(separator, first) > 0) this.fail('a separator in its index does not part its blocks')
  }

  record({ key, bytes, expires }: KeyedRecord): void {
    if (this.last !== undefined && compareBytes(this.last, key) >= 0) this.fail('its keys are not in order')
    this.#storedKey(key)
    if (!mayContain(this.#filter, keyHash(key))) this.fail('its filter leaves out a key')
    this.last = key
    if (isWithin(key, this.#counts)) {
      this.counted.first ??= key
      this.counted.last = key
    }
    this.records++
    if (bytes === undefined) this.tombstones++
    else if (expires > 0) this.expires = Math.min(this.expires || expires, expires)
  }

  #storedKey(key: Uint8Array): void {
    const [high = 0, low = 0, table] = key
    if (table === undefined || key.length < 3 + table || high * 256 + low >= this.#partitions)
      this.fail('a key of no partition and table')
    decodeKey(key.subarray(3 + table!))
  }

  compare(ref: SegmentRef, { ranges }: SegmentIndex): void {
    const { records, tombstones, rawBytes, expires } = this
    const found = { records, tombstones, rawBytes, expires, ranges: ranges.length }
    for (const field of ['records', 'tombstones', 'ranges', 'rawBytes', 'expires'] as const) {
      if (found[field] !== ref[field]) {
        this.fail(`its manifest says ${ref[field]} for ${NAMES[field]}, and it has ${found[field]}`)
      }
    }
  }
}

const NAMES = {
  records: 'records',
  tombstones: 'tombstones',
  ranges: 'range deletes',
  rawBytes: 'bytes of records',
  expires: 'the earliest expiry',
}

function checkRanges({ ranges }: SegmentIndex, seen: Seen): void {
  let end: Uint8Array | undefined
  for (const { lower, upper } of ranges) {
    const apart = end === undefined || compareBytes(end, lower) <= 0
    if (!apart || compareBytes(lower, upper) >= 0) seen.fail('its range deletes are not in order')
    end = upper
  }
}

function lesser(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  return a === undefined || (b !== undefined && compareBytes(b, a) < 0) ? b : a
}

function greater(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  return a === undefined || (b !== undefined && compareBytes(b, a) > 0) ? b : a
}

/** Throws `CORRUPT` unless the segments of a run lie one after another. */
export function checkNeighbours(before: Extent, after: Extent, name: string): void {
  const { first } = after
  if (first === undefined) return
  const overlaps = before.last !== undefined && compareBytes(before.last, first) >= 0
  if (overlaps || (before.end !== undefined && compareBytes(before.end, first) > 0))
    throw corrupt(
      `Segment ${name} is damaged, or its manifest is: the segment before it in its run has keys beyond its first one.`,
    )
}
