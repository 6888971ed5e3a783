/**
 * What the inspector shows, as whoever has the store tells it. Keys and values are texts, and all of it is JSON, so that a page
 * can get it from a store of its own or from a server.
 */
export interface InspectorSource {
  /** How the store is now. */
  facts(): Promise<InspectorFacts>
  /** The newest versions that are kept, the oldest of them first. */
  versions(): Promise<InspectorVersion[]>
  /** A page of the keys of a range, with their values in two versions; from its beginning, or from where another page ended. */
  rows(range: InspectorRange, versions: VersionPair, from?: number): Promise<InspectorPage>
  /** The keys of a range whose values differ between two versions. */
  changes(range: InspectorRange, versions: VersionPair): Promise<InspectorChanges>
  /** How many keys of a table each partition has in a version. */
  counts(table: string, version: number): Promise<number[]>
  /** Puts a version back, as a new one. */
  restore(version: number): Promise<void>
  /** Keeps a version under a name. */
  tag(name: string, version: number): Promise<void>
  /** Calls back when there is a newer version. Returns a function that stops it. */
  watch(changed: () => void): () => void
}

/** A store as it is now. */
export interface InspectorFacts {
  readonly name: string
  readonly mode: string
  /** The newest version; 0 in a new store. */
  readonly version: number
  readonly partitions: number
  /** Entries of the log that no manifest covers yet. */
  readonly tail: number
  /** How many segments there are. */
  readonly segments: number
  /** The size of each segment in bytes, where it is known. */
  readonly sizes?: readonly number[]
  /** The tables that are known; the name of the default one is empty. */
  readonly tables: readonly string[]
  readonly writable: boolean
  /** Totals since the store was opened. */
  readonly totals: Readonly<Record<string, number>>
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
export interface InspectorChange {
  readonly key: string
  readonly before?: string
  readonly after?: string
}

/** A page of a table. */
export interface InspectorPage {
  readonly rows: readonly InspectorChange[]
  /** Where the next page begins; left out behind the last one. */
  readonly next?: number
}

/** What differs between two versions. */
export interface InspectorChanges {
  readonly changes: readonly InspectorChange[]
  /** Whether there is more. */
  readonly more: boolean
}
