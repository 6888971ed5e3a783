/** A moment by the storage's clock as far as it was known, and by the local one. */
export interface Moment {
  readonly storage: number | undefined
  readonly local: number
}

/**
 * Whether so much time may have passed between the moment from which a number is known to be free and the answer to its
 * creation that the log may have been trimmed beyond it meanwhile. The storage's clock tells: local ones miss suspends (R27).
 */
export function mayBeTrimmed(free: Moment | undefined, answered: Moment, graceMs: number): boolean {
  if (free?.storage === undefined || answered.storage === undefined) return true
  return answered.storage - free.storage > graceMs / 2
}
