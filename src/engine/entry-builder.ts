/** Builds the next entry: a pure step from a state and a change to bytes, and to what they will make of the state. */
import { HASH_BYTES } from '../bytes/hash.js'
import { encodeCollection, type Collection } from '../log/collection.js'
import {
  encodeEntry,
  type Carried,
  type Entry,
  type EntryKind,
  type Origin,
  type SyncPoint,
  type WriteMode,
} from '../log/entry.js'
import type { OffsetMap } from '../log/offsets.js'
import { applyEdit, type Edit } from '../manifest/edits.js'
import { encodeManifest, encodeReferences, type CodedRuns, type Manifest } from '../manifest/manifest.js'
import { contentHash } from '../storage/platform.js'
import type { LogContext } from './context.js'
import { encodeDelta, type Memtable } from './memtable.js'
import type { AppliedEntry, ShardState } from './state.js'

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
}

/** What a reset puts in place of the state before it. */
export interface Reset {
  readonly manifest: Manifest
  readonly origin: Origin
  /** Left out: that of the entry before. */
  readonly sync?: Omit<SyncPoint, 'at'> | undefined
}

export interface CollectPlan {
  /** The oldest version that is kept from now on. */
  readonly keeps: number
  readonly trim: number
  /** What earlier collections condemned and nobody has deleted yet. */
  readonly pending: Collection
  /** Ids of the segments that this one condemns. */
  readonly ids: readonly Uint8Array[]
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
  const { reset, collect } = change
  // What a reset puts in place covers all before it: nothing of that shows through (R4).
  let manifest: Manifest = reset ? { ...reset.manifest, config: state.manifest.config, covers: n - 1 } : state.manifest
  let carries: Edit[] = []
  for (const edit of reset ? [] : (change.edits ?? [])) {
    const edited = applyEdit(manifest, edit)
    if (edited === undefined) continue
    manifest = edited
    carries.push(edit)
  }
  // What is covered never grows less but by a reset: a merge of what was repaired waits for the fold that heals it (R3).
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
  }
  const collection = collect && [...collect.pending, { time, trim: carried.trim, ids: collect.ids }]
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
    delta: change.memtable && !change.memtable.empty ? encodeDelta(change.memtable) : undefined,
    references: change.references && encodeReferences(change.references, log.path),
    manifest: isNew ? encodeManifest(manifest, log.path) : undefined,
    origin: reset?.origin,
    collection: collection && encodeCollection(collection),
  }
  const bytes = encodeEntry(entry)
  return {
    entry,
    bytes,
    hash: await contentHash(log.platform, bytes),
    memtable: entry.delta && change.memtable,
    references: change.references,
    manifest: isNew ? manifest : undefined,
    collection,
    carries,
  }
}

/** A time to live counts from the put; it becomes a time when the entry is first built, so that repeating changes nothing. */
export function setExpiry(memtable: Memtable, time: number, monotonic: number): void {
  for (const { points } of memtable.slots.values()) {
    for (const point of points.values()) {
      if (point.ttl > 0 && point.expires === 0)
        point.expires = Math.max(1, Math.ceil(time + point.ttl - (monotonic - point.putAt)))
    }
  }
}
