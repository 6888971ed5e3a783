/**
 * Stands in the anchor's place while a store is being destroyed: all of its numbers count as trimmed, so that nobody opens
 * what is left, and no writer can append where the storage looks at the trim number.
 */
import { equalBytes } from '../bytes/compare.js'
import { ALL_TRIMMED } from './anchor.js'
import { encodeAnchor } from './raise.js'
import { ID_BYTES } from './entry.js'

export const TOMBSTONE = {
  bytes: encodeAnchor({ logId: new Uint8Array(ID_BYTES), trim: ALL_TRIMMED, manifestAt: 1, covers: 0, time: 0 }),
  trim: ALL_TRIMMED,
}

export function isTombstone(bytes: Uint8Array | undefined): boolean {
  return bytes !== undefined && equalBytes(bytes, TOMBSTONE.bytes)
}
