/**
 * Following a log beside those who write it: what they have appended since is read and applied, or the history is read
 * anew where so much was trimmed meanwhile that nothing follows on what is known here.
 */
import { TidemarkError, isExpired } from '../../errors.js'
import type { AnchorValue } from '../../log/anchor.js'
import { decodeSealedEnd } from '../../log/sealed-anchor.js'
import { Part } from '../../part.js'
import { noteTime, type Held, type LogContext, type ShardContext } from '../context.js'
import { condemnedIn, namedAnchor } from '../history/past.js'
import { mayBeTrimmed } from '../moment.js'
import { applyEntry, type AppliedEntry, type OpenLog, type ShardState } from '../state.js'
import { sealed } from '../write/sealed.js'
import type { FollowedLog, Shown, Together } from './following.js'
import { confirmHead, overtaken, readHistory, readOn } from './recovery.js'

const shards = new Part(() => import('../shards/together.js'))
const longReads = new Part(() => import('../history/reading-pin.js'))

/** The open shard that follows. */
interface Followed extends OpenLog {
  refresh(): Promise<void>
}

interface Newest {
  readonly read: ShardState
  /** The entries that were applied; `undefined` when the history was read anew. */
  readonly entries: readonly AppliedEntry[] | undefined
  /** Why it went no further: the next call goes on from there. */
  readonly failure?: unknown
}

/** How often the history is read anew before it is trimmed again meanwhile once too often. */
const TRIES = 4

/** The handle that catches up, with all that it follows. */
interface Follower extends FollowedLog, Shown {
  together: Together | undefined
  /** The partition whose shard it follows; left out: all. */
  readonly partition: number | undefined
}

/** Applies what others have written. Who only reads goes on from a log that was sealed to what follows on it. */
export async function catchUp(shard: Follower): Promise<void> {
  if (shard.together === undefined) {
    await catchUpLog(shard)
    if (shard.state.seal === undefined || shard.compaction) return
    shard.together = await shards.use((part) => part.followOn(shard, shard.partition))
  }
  await shard.together.catchUp(catchUpLog)
}

/**
 * The same of one log. The state is made ready to be used before; what that needs may be collected meanwhile: then there is
 * something newer, and that is read.
 */
export async function catchUpLog(shard: FollowedLog): Promise<void> {
  const { context, log, state: before } = shard
  for (let tries = 1; ; tries++) {
    const { read, entries, failure } = await readNewest(context, log, before)
    try {
      const state = await shard.detector.prepared(read)
      if (state !== before && (read !== before || shard.state === before)) apply(shard, before, state, entries)
      if (failure !== undefined) throw failure
      return
    } catch (error) {
      if (error === failure || !isExpired(error) || tries === TRIES) throw error
    }
  }
}

/** Puts a newer state in place of the present one. Throws when the right to write has ended. */
function apply(shard: FollowedLog, before: ShardState, state: ShardState, entries: Newest['entries']): void {
  const { context, log, compaction, known } = shard
  shard.moveTo(state, entries)
  const { trim, version } = state.carried
  const isNewer = version !== before.carried.version
  if (compaction) {
    // Where nobody knows what others have written, they may have condemned everything.
    if (entries === undefined) context.uploads.condemn()
    for (const applied of entries ?? []) {
      known!.note(applied)
      context.uploads.condemn(condemnedIn(applied, log.path))
    }
    known!.forget(trim)
    compaction.met(state.manifest)
    if (isNewer) shard.met(before, entries?.some(({ entry }) => entry.kind === 'reset') ? undefined : entries)
  }
  context.moved()
  if (isNewer) context.emit('version', { version })
  if (compaction && !shard.hasEnded) {
    if (state.seal) throw sealed(context.store)
    assertShared(context.store, state, entries)
  }
}

async function readNewest(ctx: ShardContext, log: LogContext, before: ShardState): Promise<Newest> {
  const entries: AppliedEntry[] = []
  // Judged below: what stands at a trimmed number may have been written late, and is no part of the history.
  const copy = { ...log }
  let failure: unknown
  const state = await readOn(ctx, copy, before, undefined, (entry) => entries.push(entry)).catch((error: unknown) => {
    failure = error
    return entries.reduce(applyEntry, before)
  })
  // Read after the absent answer: a head at or below the trim number is no head.
  const anchor = await namedAnchor(ctx, log)
  if (anchor.trim < state.head) {
    // Entries that were read count only once their head is confirmed: that the next number is free since then, above all.
    if (failure === undefined) Object.assign(log, { free: copy.free, storageTime: copy.storageTime })
    return { read: state, entries, failure }
  }
  return { read: await readAnew(ctx, log, anchor, before), entries: undefined }
}

async function readAnew(
  ctx: ShardContext,
  log: LogContext,
  anchor: AnchorValue,
  before: ShardState,
): Promise<ShardState> {
  if (anchor.sealed) {
    const { n, seal } = decodeSealedEnd(anchor.sealed, `The anchor of store "${ctx.store}"`)
    // Nothing of it is left to be read: what follows on it has everything.
    if (anchor.trim >= n) return { ...before, seal }
  }
  let hint = anchor
  for (let tries = 0; tries < TRIES; tries++) {
    const copy = { ...log }
    const state = await readHistory(ctx, copy, hint, false)
    const confirmed = state && (await confirmHead(ctx, log, state))
    if (confirmed) {
      Object.assign(log, { free: copy.free, storageTime: copy.storageTime })
      return confirmed
    }
    hint = await namedAnchor(ctx, log)
  }
  throw overtaken(ctx)
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

/** The newest state that the handle knows was collected: it catches up, so that what is read next is there. */
export async function outdated(
  { mode, followMs, name }: { readonly mode: string; readonly followMs: number; readonly name: string },
  cause: unknown,
  catchUp: () => Promise<void>,
): Promise<void> {
  if (mode === 'exclusive') return
  // The program has not asked for it: what it read before still counts as read.
  if (mode === 'shared' || followMs > 0) return catchUp()
  throw new TidemarkError(
    'VERSION_EXPIRED',
    `What this follower last saw of store "${name}" is no longer kept. Call refresh(), and read again.`,
    { cause },
  )
}

/** A fence of another mode among the entries ends the right to write (R21). */
function assertShared(store: string, { carried }: ShardState, entries: Newest['entries']): void {
  const isTaken = entries?.some(({ entry }) => entry.mode !== 'shared') ?? carried.mode !== 'shared'
  if (!isTaken) return
  throw new TidemarkError(
    'FENCED',
    `Store "${store}" was opened in exclusive mode by another writer, which ends writing it together. Call reopen() when that writer is gone.`,
  )
}
