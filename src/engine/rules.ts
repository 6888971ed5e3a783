/**
 * The rules of the protocol without which something acknowledged is lost in a short interleaving (docs/architecture.md,
 * "Rules"). Programs keep all of them; the simulation leaves them out one at a time, and has to find that out.
 */
export interface Rules {
  /** A head counts only when the trim number, read after its successor was absent, is below it. */
  readonly headRule: boolean
  /** After a slow create the trim number is read again. */
  readonly rereadTrim: boolean
  /** What was created at a trimmed number may have been built upon: unknown, not lost. */
  readonly trimmedIsUnknown: boolean
  /** Slow is measured by the storage's clock: local ones miss suspends. */
  readonly storageClock: boolean
  /** What is to be deleted is first listed in an entry. */
  readonly collectEntry: boolean
  /** … and deleted only a grace period later. */
  readonly condemnFirst: boolean
  /** A fold is dropped unless the manifest still covers what it began at. */
  readonly foldStart: boolean
}

export const ALL_RULES: Rules = {
  headRule: true,
  rereadTrim: true,
  trimmedIsUnknown: true,
  storageClock: true,
  collectEntry: true,
  condemnFirst: true,
  foldStart: true,
}

/** A moment by the storage's clock as far as it was known, and by the local one. */
export interface Moment {
  readonly storage: number | undefined
  readonly local: number
}

/**
 * Whether so much time may have passed between the moment from which a number is known to be free and the answer to its
 * creation that the log may have been trimmed beyond it meanwhile.
 */
export function mayBeTrimmed(free: Moment | undefined, answered: Moment, graceMs: number, rules: Rules): boolean {
  if (!rules.rereadTrim) return false
  if (free === undefined) return true
  if (!rules.storageClock) return answered.local - free.local > graceMs / 2
  if (free.storage === undefined || answered.storage === undefined) return true
  return answered.storage - free.storage > graceMs / 2
}
