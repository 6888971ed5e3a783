/** Walks a log from its first entry to its last, and holds each against the one before it. */
import { equalBytes } from '../bytes/compare.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { decodeKey, mapKeyBytes } from '../bytes/keys.js'
import { ByteWriter } from '../bytes/writer.js'
import { corrupt } from '../errors.js'
import { emptyCarried, type Carried } from '../log/entry.js'
import { writeOffsets, type OffsetMap } from '../log/offsets.js'
import type { Manifest } from '../manifest/manifest.js'
import type { AppliedEntry } from '../shard/state.js'
import type { Change, Fold } from './fold-check.js'

/** What is known after the entries that were read; `undefined` where damage has hidden it. */
export interface Known {
  readonly hash: Uint8Array | undefined
  readonly carried: Carried | undefined
  readonly manifest: Manifest | undefined
  /** The entries that the manifest does not cover, as far as they come after `since`. */
  readonly tail: readonly (Change & { readonly n: number })[]
  /** The last entry that could not be read; 0 when all could. */
  readonly since: number
}

/** Before entry 1. */
export const NOTHING: Known = {
  hash: new Uint8Array(HASH_BYTES),
  carried: emptyCarried('exclusive'),
  manifest: undefined,
  tail: [],
  since: 0,
}

/** After entry n could not be read, or was the last to be trimmed. */
export function unknownAfter(n: number): Known {
  return { hash: undefined, carried: undefined, manifest: undefined, tail: [], since: n }
}

/** Throws `CORRUPT` unless the entry follows from the one before. */
export function checkEntry({ entry, layer, manifest }: AppliedEntry, before: Known): void {
  const { n, carried, parent, meta } = entry
  const fail = (problem: string): never => {
    throw corrupt(`Entry ${n} is damaged: ${problem}.`)
  }
  if (parent && before.hash && !equalBytes(parent, before.hash)) {
    throw corrupt(`Entry ${n} does not follow entry ${n - 1}: the hash of its parent does not match.`)
  }
  if (carried && before.carried) checkCarried(entry.kind, n, carried, before.carried, manifest, fail)
  const config = (manifest ?? before.manifest)?.config
  if (manifest && before.manifest && !sameConfig(manifest.config, before.manifest.config))
    fail('its manifest has another configuration than the one before')
  if (layer && config) {
    for (const { slot, points } of layer.slots.values()) {
      if (slot.partition >= config.partitions) fail(`a change in partition ${slot.partition}, which there is not`)
      for (const key of points.keys()) decodeKey(mapKeyBytes(key))
    }
  }
  if (meta !== undefined && !isJson(meta)) fail('its meta is not JSON')
}

function checkCarried(
  kind: string,
  n: number,
  carried: Carried,
  before: Carried,
  manifest: Manifest | undefined,
  fail: (problem: string) => never,
): void {
  const isVersion = kind === 'commit' || kind === 'reset'
  if (carried.time < before.time) fail('its time is before that of the entry before')
  if (carried.version !== (isVersion ? n : before.version)) fail(`it says that the version is ${carried.version}`)
  if (carried.versionTime !== (isVersion ? carried.time : before.versionTime)) fail('it gives its version another time')
  if (carried.manifestAt !== (manifest ? n : before.manifestAt))
    fail(`it says that the manifest is in entry ${carried.manifestAt}`)
  const covers = manifest ? manifest.covers : before.covers
  if (carried.covers !== covers) fail(`it says that its manifest covers ${carried.covers}`)
  if (covers < before.covers && kind !== 'reset') fail('its manifest covers less than the one before')
  if (carried.trim < before.trim || carried.trim > carried.covers) fail(`it says that ${carried.trim} is trimmed`)
  if (carried.mode !== before.mode && kind !== 'fence') fail('it changes the mode')
  if (!isVersion && !equalBytes(offsetBytes(carried.offsets), offsetBytes(before.offsets))) fail('it changes offsets')
}

function sameConfig(a: Manifest['config'], b: Manifest['config']): boolean {
  return a.partitions === b.partitions && a.job === b.job && a.created === b.created
}

function offsetBytes(offsets: OffsetMap): Uint8Array {
  const w = new ByteWriter(64)
  writeOffsets(w, offsets)
  return w.finish()
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The fold that the entry carries; `undefined` when it carries none, or damage hides what it folds. */
export function foldOf({ entry, manifest }: AppliedEntry, before: Known): Fold | undefined {
  const old = before.manifest
  // A reset is a state of its own.
  if (!manifest || !old || old.covers < before.since || entry.kind === 'reset') return undefined
  const changes = before.tail.filter(({ n }) => n > old.covers && n <= manifest.covers)
  return { before: old.runs, changes, after: manifest.runs, time: (entry.carried ?? before.carried)!.time }
}

export function knownAfter({ entry, hash, layer, references, manifest }: AppliedEntry, before: Known): Known {
  const carried = entry.carried ?? (before.carried && { ...before.carried, mode: entry.mode })
  const kept = manifest ? before.tail.filter(({ n }) => n > manifest.covers) : before.tail
  const tail = [...kept, { n: entry.n, layer, runs: references?.runs ?? [] }]
  return { hash, carried, manifest: manifest ?? before.manifest, tail, since: before.since }
}
