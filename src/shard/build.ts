/** Builds the next entry: a pure step from a state and a change to bytes, and to what they will make of the state. */
import { contentHash, HASH_BYTES } from '../bytes/hash.js'
import { encodeDelta } from '../log/delta.js'
import { encodeEntry, type Carried, type Entry, type EntryKind, type WriteMode } from '../log/entry.js'
import type { OffsetMap } from '../log/offsets.js'
import { applyEdit, type Edit } from '../manifest/edits.js'
import { encodeManifest, encodeReferences, type CodedRuns, type Manifest } from '../manifest/manifest.js'
import type { LogContext } from './context.js'
import { layerToDelta, type Layer } from './layer.js'
import type { AppliedEntry, ShardState } from './state.js'

export interface EntryChange {
  readonly kind: EntryKind
  readonly mode?: WriteMode
  readonly time: number
  readonly layer?: Layer | undefined
  /** The changes in segments, instead of a layer. */
  readonly references?: CodedRuns | undefined
  readonly offsets?: OffsetMap | undefined
  readonly label?: string | undefined
  readonly meta?: string | undefined
  /** Those that no longer fit are left out. */
  readonly edits?: readonly Edit[]
}

export interface BuiltEntry extends AppliedEntry {
  readonly bytes: Uint8Array
  /** The edits that the entry carries. */
  readonly carries: readonly Edit[]
}

export function buildEntry(log: LogContext, state: ShardState, change: EntryChange): BuiltEntry {
  const n = state.head + 1
  const before = state.carried
  const time = Math.max(before.time, change.time)
  const isVersion = change.kind === 'commit' || change.kind === 'reset'
  let manifest: Manifest = state.manifest
  const carries: Edit[] = []
  for (const edit of change.edits ?? []) {
    const edited = applyEdit(manifest, edit)
    if (edited === undefined) continue
    manifest = edited
    carries.push(edit)
  }
  const carried: Carried = {
    mode: change.mode ?? before.mode,
    time,
    version: isVersion ? n : before.version,
    versionTime: isVersion ? time : before.versionTime,
    offsets: change.offsets ?? before.offsets,
    manifestAt: carries.length > 0 ? n : before.manifestAt,
    covers: manifest.covers,
    trim: before.trim,
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
    delta: change.layer && !change.layer.empty ? encodeDelta(layerToDelta(change.layer)) : undefined,
    references: change.references && encodeReferences(change.references, log.path),
    manifest: carries.length > 0 ? encodeManifest(manifest, log.path) : undefined,
  }
  const bytes = encodeEntry(entry)
  return {
    entry,
    bytes,
    hash: contentHash(bytes),
    layer: entry.delta && change.layer,
    references: change.references,
    manifest: carries.length > 0 ? manifest : undefined,
    carries,
  }
}

/** A time to live counts from the put; it becomes a time when the entry is first built, so that repeating changes nothing. */
export function setExpiry(layer: Layer, time: number, monotonic: number): void {
  for (const { points } of layer.slots.values()) {
    for (const cell of points.values()) {
      if (cell.ttl > 0 && cell.expires === 0)
        cell.expires = Math.max(1, Math.ceil(time + cell.ttl - (monotonic - cell.putAt)))
    }
  }
}
