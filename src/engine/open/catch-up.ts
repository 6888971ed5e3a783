/**
 * Following a log beside those who write it: what they have appended since is read and applied, or the history is read
 * anew where so much was trimmed meanwhile that nothing follows on what is known here.
 */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, isExpired } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { segmentName } from '../../manifest/names.js'
import { Part } from '../../part.js'
import { anchorName, noteTime, type Held, type LogContext, type ShardContext } from '../context.js'
import type { EntryIndex } from '../gc/entry-index.js'
import { mayBeTrimmed } from '../moment.js'
import { applyEntry, type AppliedEntry, type ShardState } from '../state.js'
import { confirmHead, overtaken, readHistory, readOn } from './recovery.js'

const longReads = new Part('long reads', () => import('../history/reading-pin.js'))

/** The open shard that follows. */
interface Followed {
  readonly context: ShardContext
  readonly log: LogContext
  readonly state: ShardState
  refresh(): Promise<void>
}

export interface CaughtUp {
  /** The state as it was read … */
  readonly read: ShardState
  /** … and the one that `prepare` made of it. */
  readonly state: ShardState
  /** What was applied; `undefined` when the history was read anew. */
  readonly entries: readonly AppliedEntry[] | undefined
  /** Why it went no further: the next look goes on from there. */
  readonly failure?: unknown
}

/** How often the history is read anew before it is trimmed again meanwhile once too often. */
const TRIES = 4

/**
 * Reads what others have written, and makes it ready to be used by `prepare`. What `prepare` needs may be collected meanwhile:
 * then there is something newer, and that is read.
 */
export async function catchUp(
  ctx: ShardContext,
  log: LogContext,
  before: ShardState,
  prepare: (state: ShardState) => Promise<ShardState>,
): Promise<CaughtUp> {
  for (let tries = 1; ; tries++) {
    const found = await readNewest(ctx, log, before)
    try {
      return { ...found, state: await prepare(found.read) }
    } catch (error) {
      if (!isExpired(error) || tries === TRIES) throw error
    }
  }
}

async function readNewest(ctx: ShardContext, log: LogContext, before: ShardState): Promise<Omit<CaughtUp, 'state'>> {
  const entries: AppliedEntry[] = []
  // Judged below: what stands at a trimmed number may have been written late, and is no part of the history.
  const look = { ...log }
  let failure: unknown
  const state = await readOn(ctx, look, before, 1, (entry) => entries.push(entry)).catch((error: unknown) => {
    failure = error
    return entries.reduce(applyEntry, before)
  })
  // Read after the absent answer: a head at or below the trim number is no head.
  const anchor = await namedAnchor(ctx, log)
  if (anchor.trim < state.head) {
    // What follows on a part of it is not known to be free.
    if (failure === undefined) takeOver(log, look)
    return { read: state, entries, failure }
  }
  return { read: await readAnew(ctx, log, anchor), entries: undefined }
}

/** What a look has learned counts only once the head that it saw is confirmed: since when the next number is free, above all. */
function takeOver(log: LogContext, { free, storageTime }: LogContext): void {
  log.free = free
  log.storageTime = storageTime
}

/** The anchor, as long as it names this log. */
async function namedAnchor(ctx: ShardContext, log: LogContext): Promise<AnchorValue> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value !== undefined && equalBytes(value.logId, log.logId)) return value
  throw new TidemarkError(
    'NOT_FOUND',
    `Store "${ctx.store}" was destroyed${value ? ' and made anew' : ''}; call reopen() to look again.`,
  )
}

async function readAnew(ctx: ShardContext, log: LogContext, anchor: AnchorValue): Promise<ShardState> {
  let hint = anchor
  for (let tries = 0; tries < TRIES; tries++) {
    const look = { ...log }
    const state = await readHistory(ctx, look, hint, false)
    const confirmed = state && (await confirmHead(ctx, log, state))
    if (confirmed) {
      takeOver(log, look)
      return confirmed
    }
    hint = await namedAnchor(ctx, log)
  }
  throw overtaken(ctx)
}

/** Takes note of what others have written; `undefined`: of nobody knows what. */
export function noteOthers(
  { uploads }: ShardContext,
  { path }: LogContext,
  known: EntryIndex,
  entries: readonly AppliedEntry[] | undefined,
): void {
  if (entries === undefined) uploads.condemnAll()
  for (const applied of entries ?? []) {
    known.note(applied)
    for (const { ids } of applied.collection ?? []) uploads.condemn(ids.map((id) => segmentName(path, id)))
  }
}

/**
 * Catches up, unless nothing was written since. That takes one request, as long as the head was seen so lately that the log
 * can't have been trimmed beyond it; only the storage's own clock can tell that where it is not on this very machine.
 */
export async function confirm(shard: Followed): Promise<void> {
  const { context: ctx, log, state } = shard
  const { free } = log
  const { bytes, time } = await log.log.read(state.head + 1)
  noteTime(ctx, log, time)
  if (bytes === undefined && free !== undefined) {
    const now = { storage: time, local: ctx.clock.monotonic() }
    const isLocal = ctx.storage.capabilities.trim !== 'writer'
    if (isLocal ? now.local - free.local < ctx.graceMs / 2 : !mayBeTrimmed(free, now, ctx.graceMs)) return
  }
  await shard.refresh()
}

/** A step of what is read through an open handle: who else collects has to know of it before a grace period is over. */
export function tellReading({ context: ctx, log, state: present }: Followed, state: ShardState, own: Held): void {
  const { clock, graceMs } = ctx
  if (own.reading === undefined && clock.monotonic() - (own.keptAt?.local ?? 0) < graceMs / 4) return
  // Whoever may not write pins reads on without, and finds out later what was collected.
  longReads.use((part) => part.keep(ctx, log, present, state, own)).catch(() => undefined)
}

/** What was read is collected, and was the newest that the handle knows: it looks, so that what is read next is there. */
export async function outdated(
  { mode, followMs, name }: { readonly mode: string; readonly followMs: number; readonly name: string },
  cause: unknown,
  look: () => Promise<void>,
): Promise<void> {
  if (mode === 'exclusive') return
  // The program has not asked for it: what it read before still counts as read.
  if (mode === 'shared' || followMs > 0) return look()
  throw new TidemarkError(
    'VERSION_EXPIRED',
    `What this follower last saw of store "${name}" is no longer kept. Call refresh(), and read again.`,
    { cause },
  )
}

/** A fence of another mode among the entries ends the right to write (R21). */
export function assertShared(
  store: string,
  { carried }: ShardState,
  entries: readonly AppliedEntry[] | undefined,
): void {
  const isTaken = entries?.some(({ entry }) => entry.mode !== 'shared') ?? carried.mode !== 'shared'
  if (!isTaken) return
  throw new TidemarkError(
    'FENCED',
    `Store "${store}" was opened in exclusive mode by another writer, which ends writing it together. Call reopen() when that writer is gone.`,
  )
}
