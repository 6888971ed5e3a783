/** Writes the parts of a segment that block.ts, index.ts and bloom.ts read. */
import { crc32 } from '../bytes/crc32.js'
import { mix32 } from '../bytes/hash.js'
import { ByteWriter } from '../bytes/writer.js'
import { isPromise } from '../callback.js'
import type { Platform } from '../storage/platform.js'
import { STEP } from './bloom.js'
import { DEFLATED, PUT, PUT_EXPIRING, STORED, TOMBSTONE } from './block.js'
import type { SegmentIndex } from './index.js'
import type { KeyedRecord } from './record.js'

export function writeRecord(w: ByteWriter, record: KeyedRecord): void {
  w.bytes(record.key)
  if (record.bytes === undefined) {
    w.u8(TOMBSTONE)
    return
  }
  if (record.expires === 0) w.u8(PUT)
  else {
    w.u8(PUT_EXPIRING)
    w.varint(record.expires)
  }
  w.bytes(record.bytes)
}

/** Packs records that `writeRecord` wrote; at once, where the platform compresses at once. */
export function packBlock(platform: Platform, raw: Uint8Array, level: number): Uint8Array | Promise<Uint8Array> {
  if (level === 0) return packed(raw, raw)
  const deflated = platform.deflate(raw, level)
  return isPromise(deflated) ? deflated.then((payload) => packed(raw, payload)) : packed(raw, deflated)
}

function packed(raw: Uint8Array, deflated: Uint8Array): Uint8Array {
  const payload = deflated.length < raw.length ? deflated : raw
  const w = new ByteWriter(payload.length + 5)
  w.u8(payload === raw ? STORED : DEFLATED)
  w.raw(payload)
  w.u32(crc32(w.finish()))
  return w.finish()
}

export function encodeIndex(index: SegmentIndex): Uint8Array {
  const w = new ByteWriter(64 + index.blocks.length * 24)
  w.varint(index.blocks.length)
  for (const block of index.blocks) {
    w.bytes(block.separator)
    w.varint(block.length)
    w.varint(block.rawLength)
  }
  w.varint(index.ranges.length)
  for (const range of index.ranges) {
    w.bytes(range.lower)
    w.bytes(range.upper)
  }
  w.u32(crc32(w.finish()))
  return w.finish()
}

/** `end` is where the blocks end in the object: all of them together must fill exactly what lies before it. */

/** The shortest byte string that is above `before` and not above `first`. */
export function separatorBetween(before: Uint8Array | undefined, first: Uint8Array): Uint8Array {
  if (before === undefined) return first.slice(0, 0)
  let i = 0
  while (i < before.length && before[i] === first[i]) i++
  return first.slice(0, i + 1)
}

export function buildBloom(hashes: readonly number[], bitsPerKey: number): Uint8Array {
  if (bitsPerKey <= 0 || hashes.length === 0) return new Uint8Array(0)
  const probes = Math.min(30, Math.max(1, Math.round(bitsPerKey * Math.LN2)))
  const filter = new Uint8Array(1 + Math.max(8, Math.ceil((hashes.length * bitsPerKey) / 8)))
  filter[0] = probes
  const bits = (filter.length - 1) * 8
  for (const hash of hashes) {
    const step = mix32(hash ^ STEP) | 1
    for (let i = 0, h = hash; i < probes; i++, h = (h + step) >>> 0) {
      const bit = h % bits
      filter[1 + (bit >>> 3)]! |= 1 << (bit & 7)
    }
  }
  return filter
}
