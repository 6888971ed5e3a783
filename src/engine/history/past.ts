/** States of the past: any kept version is the newest manifest before it and the deltas after that. */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, corrupt, damaged } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { decodeCollection, type Collection } from '../../log/collection.js'
import { segmentName } from '../../manifest/names.js'
import { anchorName, ownAnchor, type LogContext, type ReadContext } from '../context.js'
import type { Lazy } from '../../part.js'
import {
  applyEntry,
  emptyState,
  parseEntry,
  parseHead,
  type AppliedEntry,
  type EntryHead,
  type OpenLog,
  type ShardState,
} from '../state.js'

const READ_AT_ONCE = 16

/** An entry that has to be there; what is missing was trimmed, or is lost. */
export async function readEntry(ctx: ReadContext, log: LogContext, n: number): Promise<AppliedEntry> {
  return parseEntry(log, n, await readBytes(ctx, log, n))
}

async function readBytes(ctx: ReadContext, log: LogContext, n: number): Promise<Uint8Array> {
  const { bytes } = await log.log.read(n)
  if (bytes === undefined) throw await missing(ctx, log, n)
  return bytes
}

/** Entries from `first` to `last` without their changes: some are read at once, and no more of them are held. */
export async function* eachHead(
  ctx: ReadContext,
  log: LogContext,
  first: number,
  last: number,
): AsyncGenerator<EntryHead, void> {
  for (let n = first; n <= last;) {
    const some = await readSome(ctx, log, n, last)
    for (const entry of some) yield parseHead(log, entry.n, entry.bytes)
    n += some.length
  }
}

/** The same of a few, newest first. */
export async function readHeads(ctx: ReadContext, log: LogContext, first: number, last: number): Promise<EntryHead[]> {
  const numbers = Array.from({ length: last - first + 1 }, (_, i) => last - i)
  return Promise.all(numbers.map(async (n) => parseHead(log, n, await readBytes(ctx, log, n))))
}

/** Entry n and those behind it up to `last`, as many as are read at once. */
async function readSome(
  ctx: ReadContext,
  log: LogContext,
  n: number,
  last: number,
): Promise<readonly { readonly n: number; readonly bytes: Uint8Array }[]> {
  if (!log.log.readTail || n === last) {
    const numbers = Array.from({ length: Math.min(READ_AT_ONCE, last - n + 1) }, (_, i) => n + i)
    return Promise.all(numbers.map(async (at) => ({ n: at, bytes: await readBytes(ctx, log, at) })))
  }
  const { entries } = await log.log.readTail(n)
  // Behind a hole the numbers run ahead.
  const whole = entries.filter((entry, i) => entry.n === n + i && entry.n <= last)
  if (whole.length === 0) throw await missing(ctx, log, n)
  return whole
}

/** All entries from `first` to `last`: for the few that make up a state. */
export async function readEntries(
  ctx: ReadContext,
  log: LogContext,
  first: number,
  last: number,
): Promise<AppliedEntry[]> {
  const entries: AppliedEntry[] = []
  for (let n = first; n <= last;) {
    const some = await readSome(ctx, log, n, last)
    n += some.length
    entries.push(...(await Promise.all(some.map((entry) => parseEntry(log, entry.n, entry.bytes)))))
  }
  return entries
}

/** The collection that entry `n` carries. */
export function collectionIn(n: number, bytes: Uint8Array | undefined): Collection | undefined {
  return bytes && decodeCollection(bytes, `The collection of entry ${n}`)
}

/** The names of the segments that an entry of the log at `path` condemns. */
export function condemnedIn({ entry: { n, collection } }: EntryHead, path: string): string[] {
  return condemnedBy(collectionIn(n, collection) ?? [], path)
}

export function condemnedBy(collection: Collection, path: string): string[] {
  return collection.flatMap(({ ids }) => ids.map((id) => segmentName(path, id)))
}

/** The state as entry `n` left it. `VERSION_EXPIRED` when it was collected meanwhile. */
export async function stateAt(ctx: ReadContext, log: LogContext, n: number): Promise<ShardState> {
  // Its changes are read and checked with those before it.
  const { entry } = parseHead(log, n, await readBytes(ctx, log, n))
  // Only a fence that was written blindly carries nothing, and it changes nothing either.
  if (entry.carried === undefined) return stateAt(ctx, log, n - 1)
  const { covers } = entry.carried
  const entries = await readEntries(ctx, log, covers + 1, n)
  const state = entries.reduce(applyEntry, emptyState(log.logId, covers))
  if (state.manifest.covers !== covers || state.carried.manifestAt !== entry.carried.manifestAt) {
    throw damaged(`Version ${n} of store "${ctx.store}"`, 'its manifest is not where its header says')
  }
  return state
}

/** A log with what is known of damage in it. */
export interface RepairedLog extends OpenLog {
  readonly detector: { readonly repairer: Pick<Lazy<{ soundest(state: ShardState): Promise<ShardState> }>, 'loaded'> }
}

/** An equal state that lists nothing damaged, or the state as it is where it can't be repaired. */
export async function soundest({ detector }: Pick<RepairedLog, 'detector'>, state: ShardState): Promise<ShardState> {
  return detector.repairer.loaded?.soundest(state) ?? state
}

/** The state as version `n` left it, sound as far as that can be. */
export async function stateOf(shard: RepairedLog, n: number): Promise<ShardState> {
  const { context, log, state } = shard
  // Entries of indexes make no version, and change the state all the same.
  const isPresent = n === state.carried.version && !state.hasIndexes
  return soundest(shard, isPresent ? await newestOf(shard) : await stateAt(context, log, n))
}

/**
 * Without indexes the newest version is the present state: entries after a version change nothing (R11). So nobody who copies or
 * keeps it needs what a fold has given up since, which may be damaged.
 */
async function newestOf(shard: OpenLog): Promise<ShardState> {
  const { state } = shard
  const { version } = state.carried
  return state.head === version ? state : { ...state, head: version, headHash: await hashOf(shard, version) }
}

/** The hash of entry `n`, which is not above the head. The entry after it says it, too, and after the newest version that is a small one. */
export async function hashOf({ context, log, state }: OpenLog, n: number): Promise<Uint8Array> {
  if (n === state.head) return state.headHash!
  const [next] = await readHeads(context, log, n + 1, n + 1)
  return next!.entry.parent ?? (await readEntry(context, log, n)).hash
}

/** The anchor, which has to name this log. */
export async function namedAnchor(ctx: ReadContext, log: LogContext): Promise<AnchorValue> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value && equalBytes(value.logId, log.logId)) return value
  throw new TidemarkError(
    'NOT_FOUND',
    `Store "${ctx.store}" was destroyed${value ? ' and made anew' : ''}; call reopen() to look again.`,
  )
}

/** The error for an entry or a blob that is not there: looked at again, it may have been collected (R39). */
async function missing(ctx: ReadContext, log: LogContext, n: number): Promise<TidemarkError> {
  const anchor = await ownAnchor(ctx, log)
  if (anchor && n <= anchor.trim) return expired(ctx.store, n)
  return corrupt(`Entry ${n} of the log of store "${ctx.store}" is missing. Restore the store from a backup.`)
}

export function expired(store: string, version: number | string): TidemarkError {
  return new TidemarkError(
    'VERSION_EXPIRED',
    `Version ${version} of store "${store}" is no longer kept; versions() and tags() list what is. Raise retain, or tag what has to stay.`,
  )
}
