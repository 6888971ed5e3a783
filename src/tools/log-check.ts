/** Checks the entries of a log, each against the one before it. */
import { equalBytes } from '../bytes/compare.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { decodeKey, mapKeyBytes } from '../bytes/keys.js'
import { ByteWriter } from '../bytes/writer.js'
import { corrupt } from '../errors.js'
import { emptyCarried, type Carried } from '../log/entry.js'
import { writeOffsets } from '../log/write-offsets.js'
import type { Standing } from '../log/spans.js'
import { writeSpans } from '../log/write-shard-parts.js'
import type { Collection } from '../log/collection.js'
import type { Manifest } from '../manifest/manifest.js'
import { collectionIn } from '../engine/history/past.js'
import type { Memtable } from '../engine/memtable.js'
import type { AppliedEntry } from '../engine/state.js'
import type { Change, Pair } from './fold-check.js'

/** The facts that follow from the entries read so far; `undefined` where damage has hidden them. */
export interface Known {
  readonly hash: Uint8Array | undefined
  readonly carried: Carried | undefined
  readonly manifest: Manifest | undefined
  /** The entries after `since` that the manifest does not cover. */
  readonly tail: readonly (Change & { readonly n: number })[]
  /** The last entry that could not be read; 0 when all could. */
  readonly since: number
}

/** The facts before entry 1. */
export const NOTHING: Known = {
  hash: new Uint8Array(HASH_BYTES),
  carried: emptyCarried('exclusive'),
  manifest: undefined,
  tail: [],
  since: 0,
}

/** The facts after an entry n that could not be read, or was the last to be trimmed. */
export function unknownAfter(n: number): Known {
  return { hash: undefined, carried: undefined, manifest: undefined, tail: [], since: n }
}

/** Throws `CORRUPT` unless the entry follows from the one before. */
export function checkEntry({ entry, memtable, manifest }: AppliedEntry, before: Known): void {
  const { n, carried, parent, meta } = entry
  const fail = (problem: string): never => {
    throw corrupt(`Entry ${n} is damaged: ${problem}.`)
  }
  if (parent && before.hash && !equalBytes(parent, before.hash)) {
    throw corrupt(`Entry ${n} does not follow entry ${n - 1}: the hash of its parent does not match.`)
  }
  if (entry.kind === 'void') fail('it closes its log')
  if (carried && before.carried) {
    checkCarried(entry.kind, n, carried, before.carried, manifest, fail)
    checkCollected(n, carried, before.carried, collectionIn(n, entry.collection), fail)
  }
  // With such a one begins a log that came of others.
  const isBeginning = carried?.own !== undefined && before.carried === undefined
  if (entry.kind === 'reset' && (manifest?.covers !== n - 1 || !(entry.origin || isBeginning)))
    fail('it is a reset, and does not put another state in place of all before it')
  if (entry.kind !== 'reset' && entry.origin) fail('it says that it is a reset, too')
  const config = (manifest ?? before.manifest)?.config
  if (manifest && before.manifest && !sameConfig(manifest.config, before.manifest.config))
    fail('its manifest has another configuration than the one before')
  if (memtable && config) checkMemtable(memtable, config.partitions, fail)
  if (meta !== undefined && !isJson(meta)) fail('its meta is not JSON')
}

export function checkMemtable(memtable: Memtable, partitions: number, fail: (problem: string) => never): void {
  for (const { slot, points } of memtable.slots.values()) {
    if (slot.partition >= partitions) fail(`a change in partition ${slot.partition}, which there is not`)
    for (const key of points.keys()) decodeKey(mapKeyBytes(key))
  }
}

/** Checks the collection fields of a header against those before: only an entry with a collection changes them. */
function checkCollected(
  n: number,
  carried: Carried,
  before: Carried,
  collection: Collection | undefined,
  fail: (problem: string) => never,
): void {
  if (carried.collectedAt !== (collection ? n : before.collectedAt))
    fail(`it says that the newest collection is in entry ${carried.collectedAt}`)
  if (collection === undefined) {
    if (carried.keeps !== before.keeps || carried.trim !== before.trim) fail('it collects without saying what')
    return
  }
  if (carried.keeps < before.keeps || carried.keeps > carried.version)
    fail(`it says that versions are kept from ${carried.keeps} on`)
  const own = collection.at(-1)
  if (own?.time !== carried.time || own.trim !== carried.trim) fail('its header and its collection do not agree')
  const isSorted = collection.every((batch, i) => {
    const next = collection[i + 1]
    return next === undefined || (batch.time <= next.time && batch.trim <= next.trim)
  })
  if (!isSorted) fail('what it condemns is not in order')
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
  if (!isVersion && !equalBytes(offsetBytes(carried), offsetBytes(before))) fail('it changes offsets')
}

function sameConfig(a: Manifest['config'], b: Manifest['config']): boolean {
  return a.partitions === b.partitions && a.job === b.job && a.created === b.created
}

export function offsetBytes({ offsets, spans }: Standing): Uint8Array {
  const w = new ByteWriter(64)
  writeOffsets(w, offsets)
  writeSpans(w, spans)
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

/** Both sides of the fold in an entry; `undefined` when it folds nothing, or damage hides what it folds. */
export function foldOf({ entry, manifest }: AppliedEntry, before: Known): Pair | undefined {
  const old = before.manifest
  // A reset begins a state of its own.
  if (!manifest || !old || old.covers < before.since || entry.kind === 'reset') return undefined
  const changes = before.tail.filter(({ n }) => n > old.covers && n <= manifest.covers)
  const [one, other] = [
    { runs: old.runs, changes },
    { runs: manifest.runs, changes: [] },
  ]
  return { one, other, time: (entry.carried ?? before.carried)!.time }
}

export function knownAfter({ entry, hash, memtable, references, manifest }: AppliedEntry, before: Known): Known {
  const carried = entry.carried ?? (before.carried && { ...before.carried, mode: entry.mode })
  const kept = manifest ? before.tail.filter(({ n }) => n > manifest.covers) : before.tail
  const tail = [...kept, { n: entry.n, memtable, runs: references?.runs ?? [] }]
  return { hash, carried, manifest: manifest ?? before.manifest, tail, since: before.since }
}
