/** Tells by sync points how the version that is pushed and the target are related (R56). */
import { equalBytes } from '../bytes/compare.js'
import { isExpired } from '../errors.js'
import type { SyncPoint } from '../log/entry.js'
import type { Run, SegmentRef } from '../manifest/manifest.js'
import type { Shard } from '../engine/shard.js'
import type { ShardState, TailEntry } from '../engine/state.js'
import { hashOf, stateOf } from '../engine/history/past.js'
import type { PastLog } from '../engine/shards/lineage.js'
import { logsOf } from '../store/log-past.js'
import type { Source } from './source.js'

/**
 * The relation of the target to the version that is pushed.
 *
 * - `same`: the target's newest version is this very one.
 * - `forward`: the source has, or has had, all that the target has.
 * - `diverged`: the target has versions of its own.
 */
export type Relation = 'same' | 'forward' | 'diverged'

export async function relate(source: Source, target: Shard): Promise<Relation> {
  const { version } = target.state.carried
  if (version === 0) return 'forward'
  const pushed = syncWith(source, target.state)
  if (pushed === undefined && (await wasSplitSince(source.shard, target.state))) return 'forward'
  if (pushed?.version === source.version && equalBytes(pushed.hash, source.state.headHash!)) return 'same'
  // All that the source has counts, not only the version that is pushed: an older one loses nothing at the target, either.
  const pulled = source.shard.state.carried.sync
  const descends =
    pulled !== undefined &&
    equalBytes(pulled.logId, target.log.logId) &&
    pulled.version === version &&
    (await holds(target, pulled))
  if (descends) return pulled.at === source.version ? 'same' : 'forward'
  return pushed && (await holds(source.shard, pushed)) ? 'forward' : 'diverged'
}

/** The version of the source that is the target's newest one; `undefined` when there is none. */
function syncWith(source: Source, target: ShardState): SyncPoint | undefined {
  const { sync, version } = target.carried
  return sync?.at === version && equalBytes(sync.logId, source.shard.log.logId) ? sync : undefined
}

/** Whether the store has just this version, or has had it and trimmed it. */
async function holds(shard: PastLog, { version, hash }: SyncPoint): Promise<boolean> {
  if (version > shard.state.head) return false
  try {
    return equalBytes(await hashOf(shard, version), hash)
  } catch (error) {
    if (isExpired(error)) return true
    throw error
  }
}

/** The state that the target is to have: runs, and a tail over them. */
export interface Wanted {
  readonly runs: readonly Run[]
  readonly tail: readonly TailEntry[]
}

/**
 * The state that the target is to have. When it has an earlier version of this log that stands on the same manifest, its part
 * of the tail is not sent again, so that a push moves about what is new.
 */
export async function wantedBy(source: Source, target: ShardState | undefined): Promise<Wanted> {
  const { state } = source
  const all = { runs: state.manifest.runs, tail: state.tail }
  const last = target && syncWith(source, target)
  if (target === undefined || last === undefined || source.isPinned || last.version >= source.version) return all
  // A fold or a reset since then has moved the beginning of the tail.
  if (last.version <= state.manifest.covers || last.version <= source.shard.state.carried.trim) return all
  let before: ShardState
  try {
    before = await stateOf(source.shard, last.version)
  } catch (error) {
    if (isExpired(error)) return all
    throw error
  }
  const { manifest, tail } = target
  const beneath = before.manifest.runs
  const isSame = beneath.every((run, i) => sameContent(run, manifest.runs[i]))
  // One of the two may have been repaired, and then stands on an older manifest than its header says.
  if (before.manifest.covers !== state.manifest.covers || !isSame) return all
  const since = state.tail.filter(({ n }) => n > last.version)
  return { runs: [...state.manifest.runs, ...manifest.runs.slice(beneath.length)], tail: [...tail, ...since] }
}

function sameContent(a: Run, b: Run | undefined): boolean {
  return b?.length === a.length && a.every((segment, i) => isSameContent(segment, b[i]!))
}

function isSameContent(a: SegmentRef, b: SegmentRef): boolean {
  return equalBytes(a.hash, b.hash) && a.clip?.[0] === b.clip?.[0] && a.clip?.[1] === b.clip?.[1]
}

/** Whether the target's newest version is one of a log that the source came of by splits and merges: then it has all of that. */
async function wasSplitSince(shard: Shard, { carried: { sync, version } }: ShardState): Promise<boolean> {
  if (sync?.at !== version || shard.state.carried.own === undefined) return false
  for (const { log } of await logsOf(shard)) {
    if (equalBytes(log.log.logId, sync.logId)) return holds(log, sync)
  }
  return false
}
