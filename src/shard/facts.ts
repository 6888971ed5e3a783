/** What collection has to know of the entries of a log, and what follows from a store's retention. */
import type { Collection } from '../log/collection.js'
import type { Carried } from '../log/entry.js'
import type { AppliedEntry } from './state.js'

/** What collection has to know of an entry. */
export interface EntryFacts {
  readonly n: number
  /** Undefined in a fence that was written blindly. */
  readonly carried: Pick<Carried, 'time' | 'manifestAt' | 'covers'> | undefined
  readonly isVersion: boolean
  /** Names of the segments that it names. */
  readonly names: readonly string[]
  readonly collection: Collection | undefined
}

export function factsOf({ entry, manifest, references, collection }: AppliedEntry): EntryFacts {
  const { carried } = entry
  const runs = [...(manifest?.runs ?? []), ...(references?.runs ?? [])]
  return {
    n: entry.n,
    // No more than is needed: there may be very many.
    carried: carried && { time: carried.time, manifestAt: carried.manifestAt, covers: carried.covers },
    isVersion: entry.kind === 'commit' || entry.kind === 'reset',
    names: [...new Set(runs.flat().map(({ name }) => name))],
    collection,
  }
}

/** The oldest version to keep, and up to where entries may go: what it needs stays, with one fold more for repairs. */
export function retained(
  facts: readonly Omit<EntryFacts, 'names'>[],
  retain: { readonly versions: number; readonly ageMs: number },
  now: number,
  before: { readonly keeps: number; readonly trim: number },
): { keeps: number; trim: number } {
  const versions = facts.filter(({ isVersion, n }) => isVersion && n >= before.keeps)
  const oldest = versions.at(-retain.versions)
  if (oldest === undefined) return before
  // Of a span of time also the version with which it began.
  const first = versions.findLast(({ carried }) => carried!.time <= now - retain.ageMs)
  if (retain.ageMs > 0 && first === undefined) return before
  const kept = retain.ageMs > 0 && first!.n < oldest.n ? first! : oldest
  const spare = facts.findLast(({ n, carried }) => n < kept.carried!.manifestAt && carried !== undefined)
  return { keeps: Math.max(before.keeps, kept.n), trim: Math.max(before.trim, spare?.carried?.covers ?? 0) }
}
