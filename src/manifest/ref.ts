/** Makes the reference by which a manifest names a segment that was just built. */
import type { BuiltSegment } from '../segment/writer.js'
import type { SegmentRef } from './manifest.js'
import { segmentName } from './names.js'

const MAX_BOUND_BYTES = 64

/** Uppermost bound that is not below `key`, in at most 64 bytes (R57). */
function cutUp(key: Uint8Array): Uint8Array {
  if (key.length <= MAX_BOUND_BYTES) return key
  const cut = key.slice(0, MAX_BOUND_BYTES)
  for (let i = cut.length - 1; i >= 0; i--) {
    if (cut[i]! < 0xff) {
      cut[i]!++
      return cut.subarray(0, i + 1)
    }
  }
  return key
}

export function refOf(built: BuiltSegment, log: string, id: Uint8Array): SegmentRef {
  return {
    id,
    log,
    name: segmentName(log, id),
    length: built.bytes.length,
    indexLength: built.indexLength,
    filterLength: built.filterLength,
    rawBytes: built.rawBytes,
    records: built.records,
    tombstones: built.tombstones,
    ranges: built.ranges,
    expires: built.expires,
    hash: built.hash,
    lower: built.lower.slice(0, MAX_BOUND_BYTES),
    upper: cutUp(built.upper),
    clip: undefined,
  }
}
