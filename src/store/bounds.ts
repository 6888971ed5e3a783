/** Bounds of keys, and their place in a slot. */
import { compareBytes } from '../bytes/compare.js'
import type { KeyRange } from '../segment/record.js'
import { prefixed, type Slot } from '../engine/slot.js'

/** Bounds of key bytes without a slot's prefix; `upper` undefined: no bound above. */
export interface KeyBounds {
  readonly lower: Uint8Array
  readonly upper: Uint8Array | undefined
}

const NOTHING = new Uint8Array(0)

/** All keys of a slot. */
export const ALL_OF_SLOT: KeyBounds = { lower: NOTHING, upper: undefined }

/** Above every key in a slot: no key begins with 0xff. */
const ABOVE_ALL = Uint8Array.of(0xff)

export function slotRange(slot: Slot, { lower, upper }: KeyBounds): KeyRange {
  return { lower: prefixed(slot.prefix, lower), upper: prefixed(slot.prefix, upper ?? ABOVE_ALL) }
}

export function isEmptyRange({ lower, upper }: KeyBounds): boolean {
  return upper !== undefined && compareBytes(lower, upper) >= 0
}
