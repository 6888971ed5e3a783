/** The entries of a log, as far as collection has to know of them. */
import type { Carried } from '../../log/entry.js'
import type { EntryHead } from '../state.js'

export interface IndexedEntry {
  readonly n: number
  /** Undefined in a fence that was written blindly. There may be very many, so that no more is kept than is needed. */
  readonly carried: Pick<Carried, 'time' | 'manifestAt' | 'covers'> | undefined
  readonly isVersion: boolean
  readonly collection: Uint8Array | undefined
}

/** The names of the segments that an entry names. */
export function namesIn({ manifest, references }: EntryHead): string[] {
  return [...(manifest?.runs ?? []), ...(references?.runs ?? [])].flat().map(({ name }) => name)
}

/** Keeps what is known of the entries of a log, so that they need not be read again. */
export class EntryIndex {
  readonly entries = new Map<number, IndexedEntry>()
  /** The newest entry that names each segment. */
  readonly namedAt = new Map<string, number>()

  /** Drops all that is not after `trim`. */
  forget(trim: number): void {
    for (const n of this.entries.keys()) if (n <= trim) this.entries.delete(n)
    for (const [name, n] of this.namedAt) if (n <= trim) this.namedAt.delete(name)
  }

  note(applied: EntryHead): void {
    const { n, kind, collection, carried: all } = applied.entry
    const carried = all && { time: all.time, manifestAt: all.manifestAt, covers: all.covers }
    this.entries.set(n, { n, carried, isVersion: kind === 'commit' || kind === 'reset', collection })
    for (const name of namesIn(applied)) this.namedAt.set(name, Math.max(n, this.namedAt.get(name) ?? 0))
  }
}
