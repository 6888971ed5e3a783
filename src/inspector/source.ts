/**
 * The store as the inspector shows it, as whoever has it tells it. Keys and values are texts, and all of it is JSON, so that a
 * page can get it from a store of its own or from a server.
 */
export interface InspectorSource {
  /** How the store is now. */
  facts(): Promise<InspectorFacts>
  /** The newest versions that are kept, the oldest of them first. */
  versions(): Promise<InspectorVersion[]>
  /** A page of the keys of a range, with their values in two versions; from its beginning, or from where another page ended. */
  rows(range: InspectorRange, versions: VersionPair, from?: string): Promise<InspectorPage>
  /** The keys of a range whose values differ between two versions. */
  changes(range: InspectorRange, versions: VersionPair): Promise<InspectorChanges>
  /** How many keys of a table each partition has in a version. */
  counts(table: string, version: number): Promise<number[]>
  /** Puts a version back, as a new one. */
  restore(version: number): Promise<void>
  /** Keeps a version under a name. */
  tag(name: string, version: number): Promise<void>
  /** Calls back when there is something new to ask for. Returns a function that stops it. */
  watch(changed: () => void): () => void
}

/** The calls that only read, and those that write. A server offers the latter when it is told that it may. */
export const READING = ['facts', 'versions', 'rows', 'changes', 'counts'] as const
export const WRITING = ['restore', 'tag'] as const

/** A store as it is now. */
export interface InspectorFacts {
  readonly name: string
  readonly job?: string
  readonly mode: string
  /** When the store was created, in milliseconds since 1970. */
  readonly created: number
  /** The newest version; 0 in a new store. */
  readonly version: number
  readonly partitions: number
  /** Entries of the log that are in no segment yet, the newest at the end. */
  readonly tail: readonly InspectorEntry[]
  /** The segments, by runs: those of one age, in the order of their keys. The newest run stands first. */
  readonly runs: readonly (readonly InspectorSegment[])[]
  /** The tables; the name of the default one is empty. */
  readonly tables: readonly { readonly name: string; readonly codec: string }[]
  /** Whether all keys can be counted in a moment. */
  readonly isSmall: boolean
  readonly writable: boolean
  /** Totals since the store was opened here. */
  readonly totals: Readonly<Record<string, number>>
  /** The last trouble that the store told of. */
  readonly warning?: string
}

/** An entry of the log. */
export interface InspectorEntry {
  readonly entry: number
  /** The bytes of its changes. */
  readonly bytes: number
}

/** A segment. */
export interface InspectorSegment {
  readonly bytes: number
  /** Keys with a value, and keys that were deleted. */
  readonly records: number
  /** The partitions of its first and of its last key. */
  readonly partitions: readonly [first: number, last: number]
}

/** A commit or a reset that is kept. */
export interface InspectorVersion {
  readonly version: number
  /** In milliseconds since 1970. */
  readonly time: number
  readonly kind: string
  readonly label?: string
  readonly tags: readonly string[]
  /** The bytes of its changes. */
  readonly bytes: number
  /** Whether its entry carries a fold of the log into segments. */
  readonly folded: boolean
  readonly offsets: string
}

/** Keys of one table that begin with a text; with an empty one all of them. */
export interface InspectorRange {
  readonly table: string
  readonly prefix: string
}

/** Two versions that are compared. */
export type VersionPair = readonly [before: number, after: number]

/** A key with its values in two versions; a value is left out where there is none. */
export interface InspectorRow {
  readonly key: string
  readonly before?: string
  readonly after?: string
  /** Whether the two differ: what is long is cut, and cut texts may be the same. */
  readonly differs: boolean
}

/** A page of a table. */
export interface InspectorPage {
  readonly rows: readonly InspectorRow[]
  /** Where the next page begins; left out behind the last one. */
  readonly next?: string
}

/** What differs between two versions. */
export interface InspectorChanges {
  readonly rows: readonly InspectorRow[]
  /** Whether there is more. */
  readonly more: boolean
}
