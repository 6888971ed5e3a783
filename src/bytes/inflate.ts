/** Raw deflate undone, to a length that is known before. */
import { inflateSync } from 'fflate'

/** Throws unless the payload inflates to exactly `length` bytes, which is all that is ever allocated. */
export function inflate(payload: Uint8Array, length: number): Uint8Array {
  // One byte of room more than announced shows what inflates to more.
  const raw = inflateSync(payload, { out: new Uint8Array(length + 1) })
  if (raw.length !== length)
    throw new Error(`It inflates to ${raw.length > length ? 'more' : raw.length} bytes, not to ${length}.`)
  return raw
}
