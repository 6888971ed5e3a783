/** Builds the next entry: a pure step from a state and a change to bytes, and to what they will make of the state. */
import { HASH_BYTES } from '../bytes/hash.js'
import { encodeEntry } from '../log/encode.js'
import type { Carried, Entry, EntryKind, Origin, SyncPoint, WriteMode } from '../log/entry.js'
import type { OffsetMap } from '../log/offsets.js'
import type { Own, Seal, Turn } from '../log/shard-parts.js'
import type { Spans } from '../log/spans.js'
import type { Edit } from '../manifest/edits.js'
import type { CodedRuns, Manifest } from '../manifest/manifest.js'
import { Part } from '../part.js'
import { contentHash } from '../storage/platform.js'
import type { LogContext } from './context.js'
import type { Memtable } from './memtable.js'
import type { AppliedEntry, ShardState } from './state.js'
import { storedDelta } from './stored-delta.js'

/** Entries with a manifest or with references need it besides. */
export const manifests = new Part(() => import('../manifest/edits.js'))

export interface EntryChange {
  readonly kind: EntryKind
  readonly mode?: WriteMode
  readonly time: number
  readonly memtable?: Memtable | undefined
  /** The changes in segments, instead of a memtable. */
  readonly references?: CodedRuns | undefined
  readonly offsets?: OffsetMap | undefined
  readonly label?: string | undefined
  readonly meta?: string | undefined
  /** Those that no longer fit are left out. */
  readonly edits?: readonly Edit[]
  /** Another state in place of the one before; `memtable` holds what changed after its manifest. */
  readonly reset?: Reset | undefined
  readonly collect?: CollectPlan | undefined
  /** The log ends with this entry, a fence. */
  readonly seal?: Seal | undefined
  /** The partitions of a log that begins with this entry. */
  readonly own?: Own | undefined
  readonly turn?: Turn | undefined
  readonly spans?: Spans | undefined
}

/** The state that a reset puts in place of the one before it. */
export interface Reset {
  readonly manifest: Manifest
  /** Left out in the first entry of a log that came of others. */
  readonly origin?: Origin | undefined
  /** Left out: that of the entry before. */
  readonly sync?: Omit<SyncPoint, 'at'> | undefined
}

/** The work of a collection that the next entry is to announce. */
export interface CollectPlan {
  /** The newest reset of the state in which it was found. */
  readonly resetAt: number | undefined
  /** The oldest version that is kept from now on. */
  readonly keeps: number
  /** Entries up to it are no longer needed. */
  readonly trim: number
  /** Ids of the segments that it condemns. */
  readonly ids: readonly Uint8Array[]
  /** The collection of an entry of that time, which trims up to there: what it condemns, and what was condemned before. */
  readonly encode: (time: number, trim: number) => Uint8Array
}

export interface BuiltEntry extends AppliedEntry {
  readonly bytes: Uint8Array
  /** The edits that the entry carries. */
  readonly carries: readonly Edit[]
}

export async function buildEntry(log: LogContext, state: ShardState, change: EntryChange): Promise<BuiltEntry> {
  const n = state.head + 1
  const before = state.carried
  const time = Math.max(before.time, change.time)
  const isVersion = change.kind === 'commit' || change.kind === 'reset'
  const { reset, collect, references, edits = [] } = change
  const making = reset || references || edits.length > 0 ? (manifests.loaded ?? (await manifests.load())) : undefined
  // The manifest of a reset covers all before it: nothing of that shows through (R4).
  let manifest: Manifest = reset ? { ...reset.manifest, config: state.manifest.config, covers: n - 1 } : state.manifest
  let carries: Edit[] = []
  for (const edit of reset ? [] : edits) {
    const edited = making!.applyEdit(manifest, edit)
    if (edited === undefined) continue
    manifest = edited
    carries.push(edit)
  }
  // Only a reset covers less than the entry before (R3): the merge of a repaired state waits for the fold that heals it.
  if (!reset && manifest.covers < before.covers) {
    carries = []
    manifest = state.manifest
  }
  const isNew = reset !== undefined || carries.length > 0
  const carried: Carried = {
    mode: change.mode ?? before.mode,
    time,
    version: isVersion ? n : before.version,
    versionTime: isVersion ? time : before.versionTime,
    offsets: change.offsets ?? before.offsets,
    // A state that was repaired stands on an older manifest than the one that the log names.
    manifestAt: isNew ? n : before.manifestAt,
    covers: isNew ? manifest.covers : before.covers,
    trim: Math.max(before.trim, collect?.trim ?? 0),
    keeps: Math.max(before.keeps, collect?.keeps ?? 0),
    collectedAt: collect ? n : before.collectedAt,
    sync: reset?.sync ? { ...reset.sync, at: n } : before.sync,
    own: change.own ?? before.own,
    turn: change.turn ?? before.turn,
    spans: change.spans ?? before.spans,
  }
  const entry: Entry = {
    n,
    kind: change.kind,
    logId: log.logId,
    writerId: log.writerId,
    write: log.writes++,
    parent: state.headHash ?? new Uint8Array(HASH_BYTES),
    mode: carried.mode,
    carried,
    label: change.label,
    meta: change.meta,
    delta: change.memtable && (await storedDelta(log, change.memtable)),
    references: references && making!.encodeReferences(references, log.path),
    manifest: isNew ? making!.encodeManifest(manifest, log.path) : undefined,
    origin: reset?.origin,
    collection: collect?.encode(time, carried.trim),
    seal: change.seal,
  }
  const bytes = encodeEntry(entry)
  return {
    entry,
    bytes,
    hash: await contentHash(log.platform, bytes),
    memtable: entry.delta && change.memtable,
    references,
    manifest: isNew ? manifest : undefined,
    carries,
  }
}

/** A time to live counts from the put; it becomes a time when the entry is first built, so that repeating changes nothing. */
export function setExpiry(memtable: Memtable, time: number, monotonic: number): void {
  for (const { points } of memtable.slots.values()) {
    for (const point of points.values()) {
      if (point.due > 0 && point.expires === 0) point.expires = Math.max(1, Math.ceil(time + point.due - monotonic))
    }
  }
}
