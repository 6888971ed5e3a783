/** What collection has to know of the entries of a log. */
import type { Collection } from '../../log/collection.js'
import type { Carried } from '../../log/entry.js'
import type { AppliedEntry } from '../state.js'

/** Entries after which it is looked for what to collect. */
export const COLLECT_EVERY = 64

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

/** What is known of the entries of a log without reading them again. */
export class EntryIndex {
  readonly facts = new Map<number, Omit<EntryFacts, 'names'>>()
  /** The newest entry that names each segment. */
  readonly namedAt = new Map<string, number>()

  /** What is not after `trim`. */
  forget(trim: number): void {
    for (const n of this.facts.keys()) if (n <= trim) this.facts.delete(n)
    for (const [name, n] of this.namedAt) if (n <= trim) this.namedAt.delete(name)
  }

  note(applied: AppliedEntry): void {
    const { names, ...facts } = factsOf(applied)
    this.facts.set(facts.n, facts)
    for (const name of names) if ((this.namedAt.get(name) ?? 0) < facts.n) this.namedAt.set(name, facts.n)
  }
}
