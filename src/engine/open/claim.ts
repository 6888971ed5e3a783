/**
 * The fence: an entry by which a writer takes the log over. It settles what the head was, for whoever wrote before can
 * append nothing behind it.
 */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, isFull, throwIfAborted } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import { landed, resolveAppend, type Resolution } from '../../log/append.js'
import type { WriteMode } from '../../log/entry.js'
import type { Edit } from '../../manifest/edits.js'
import { anchorName, currentTime, moment, noteTime, type LogContext, type ShardContext } from '../context.js'
import { buildEntry, type BuiltEntry } from '../entry-builder.js'
import { mayBeTrimmed } from '../moment.js'
import { applyEntry, recoveryStart, type ShardState } from '../state.js'
import { confirmHead, readOn } from './recovery.js'

/** How many numbers in a row may be lost (R22). */
export const CLAIM_TRIES = 8

export interface ClaimRequest {
  /** Ends the opening before it takes anything over. */
  readonly signal: AbortSignal | undefined
  /** Looks at what is there before it is taken over, and throws when this is not the store that was meant. */
  readonly check: (state: ShardState | undefined) => void
  /** Lets the fence carry a fold of a long tail. */
  readonly fold?: FenceFold | undefined
}

export interface FenceFold {
  write(log: LogContext, state: ShardState): Promise<readonly Edit[]>
  /** Takes back what was uploaded for a fence that was surely not written, because of `error`. */
  drop(edits: readonly Edit[], error: unknown): Promise<void>
}

/** Appends the fence; `undefined` when the log was trimmed or replaced meanwhile, and opening has to begin again. */
export async function claim(
  ctx: ShardContext,
  log: LogContext,
  found: ShardState,
  mode: WriteMode,
  request: ClaimRequest,
): Promise<ShardState | undefined> {
  let state = found
  const { fold } = request
  let edits = (await fold?.write(log, state)) ?? []
  for (let tries = CLAIM_TRIES; tries > 0; tries--) {
    const time = currentTime(ctx, log)
    const fence = await buildEntry(log, state, { kind: 'fence', mode, time, edits })
    throwIfAborted(request.signal)
    const sent = moment(ctx, log)
    // A look that fails is repeated below: it must not leave the claim alone.
    const looking = readAnchor(log.anchor, anchorName(ctx)).catch(() => undefined)
    let resolution: Resolution
    try {
      resolution = await sendClaim(ctx, log, state, fence)
    } catch (error) {
      if (edits.length === 0) throw error
      await fold!.drop(edits, error)
      if (!isFull(error)) throw error
      // Without what was uploaded there may be room to open.
      edits = []
      continue
    }
    const looked = await looking
    const claimed = landed(resolution, `store "${ctx.store}" was taken over; open it again.`)
    if (claimed) {
      noteTime(ctx, log, claimed.time)
      // The look at the anchor counts only if little time has passed since the head was observed.
      const late = isLate(ctx, log, claimed.time)
      const { value } = looked === undefined || late ? await readAnchor(log.anchor, anchorName(ctx)) : looked
      if (!value || !equalBytes(value.logId, log.logId)) return undefined
      if (value.trim >= fence.entry.n) return undefined
      log.free = sent
      const next = applyEntry(state, fence)
      if (fence.manifest) {
        ctx.counters.folds += fence.carries.length
        ctx.emit('checkpoint', { version: next.carried.version, covers: fence.manifest.covers })
      }
      return next
    }
    const { head } = state
    state = await readOn(ctx, log, state)
    // Taken, and nothing is there: it was trimmed meanwhile, or the next claim settles it.
    if (state.head === head && !(await confirmHead(ctx, log, state))) return undefined
    request.check(state)
    if (edits.length > 0 && state.head > head) edits = await fold!.write(log, state)
  }
  throw new TidemarkError('CONFLICT', `Store "${ctx.store}" was being written too fast to take it over; try again.`)
}

export function sendClaim(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState,
  fence: BuiltEntry,
): Promise<Resolution> {
  // On files the number may be taken by what nobody can read yet: the next claim settles that.
  const isLostSure = ctx.storage.capabilities.trim !== 'writer'
  const context = { log: log.log, clock: ctx.clock, timeoutMs: ctx.timeoutMs, isLostSure }
  const from = recoveryStart(state)
  return resolveAppend(context, fence.entry, () => log.log.claim(fence.entry.n, fence.bytes, from))
}

/** Whether the log may have been trimmed beyond the number that was created just now. */
function isLate(ctx: ShardContext, log: LogContext, time: number | undefined): boolean {
  if (ctx.storage.capabilities.trim !== 'writer') return false
  return mayBeTrimmed(log.free, { storage: time, local: ctx.clock.monotonic() }, ctx.graceMs)
}

/**
 * Where the storage does not look at the trim number itself, a create that took long may have landed on a number that was
 * trimmed. It may have been there before that, and have been built upon: its fate is unknown (R26, R28).
 */
export async function assertNotTrimmed(
  ctx: ShardContext,
  log: LogContext,
  n: number,
  time: number | undefined,
): Promise<void> {
  if (!isLate(ctx, log, time)) return
  let cause: unknown
  try {
    const { value } = await readAnchor(log.anchor, anchorName(ctx))
    if (value && equalBytes(value.logId, log.logId) && value.trim < n) return
  } catch (error) {
    cause = error
  }
  throw new TidemarkError(
    'UNKNOWN_OUTCOME',
    `Writing version ${n} of store "${ctx.store}" took so long that the log may have been trimmed beyond it. Call reopen() and look.`,
    { cause },
  )
}
