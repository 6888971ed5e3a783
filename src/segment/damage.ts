/** Which segment an error is about: reads meet damage in parts of segments, and repair wants to know which. */
import { corrupt, isTidemarkError, type TidemarkError } from '../errors.js'

/** Where the parts of a segment lie: the index and the filter stand at its end, in front of the envelope's checksum. */
export interface SegmentPlace {
  /** The blob's name. */
  readonly name: string
  readonly length: number
  readonly indexLength: number
  readonly filterLength: number
  /** The hash of the whole object. */
  readonly hash: Uint8Array
}

export interface Damage {
  readonly place: SegmentPlace
  /** The whole object is gone, which collection does, too. */
  readonly isMissing: boolean
}

// Beside the errors: what users see of them stays as it is.
const damages = new WeakMap<object, Damage>()

/** Runs what checks bytes of a segment; its `CORRUPT` is known to be about that segment afterwards. */
export async function inSegment<T>(place: SegmentPlace, check: () => T | Promise<T>): Promise<T> {
  try {
    return await check()
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'CORRUPT') damages.set(error, { place, isMissing: false })
    throw error
  }
}

export function missingSegment(place: SegmentPlace): TidemarkError {
  const error = corrupt(`Segment ${place.name} is missing from the storage.`)
  damages.set(error, { place, isMissing: true })
  return error
}

/** `undefined` for any error that is not about a damaged segment. */
export function damageOf(error: unknown): Damage | undefined {
  return typeof error === 'object' && error !== null ? damages.get(error) : undefined
}
