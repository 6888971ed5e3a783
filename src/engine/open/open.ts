/** Opening a shard: creating it, taking it over, or following it. */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, corrupt, invalid, isFull, throwIfAborted } from '../../errors.js'
import { raiseAnchor, readAnchor, type AnchorValue } from '../../log/anchor.js'
import { resolveAppend, type Resolution } from '../../log/append.js'
import type { WriteMode } from '../../log/entry.js'
import type { Edit } from '../../manifest/edits.js'
import type { StoreConfig } from '../../manifest/manifest.js'
import type { Anchor } from '../../storage/contract.js'
import { buildEntry, type BuiltEntry } from '../entry-builder.js'
import { currentTime, moment, noteTime, type LogContext, type ShardContext } from '../context.js'
import { creating, rewriting, settling } from '../parts.js'
import {
  anchorName,
  closeLog,
  endsEarly,
  locate,
  openAnchor,
  openLog,
  overtaken,
  readLog,
  readOn,
  type Found,
} from './recovery.js'
import { mayBeTrimmed } from '../rules.js'
import { applyEntry, type ShardState } from '../state.js'

export const CLAIM_TRIES = 8

export interface OpenRequest {
  readonly mode: WriteMode | 'follower'
  /** Ends the opening before it takes anything over. */
  readonly signal: AbortSignal | undefined
  /** True: it must not exist yet; false: it must exist. */
  readonly create: boolean | undefined
  /** Of a store that is to be created. */
  readonly config: () => StoreConfig
  /** Looks at what is there before it is taken over, and throws when this is not the store that was meant. */
  readonly check: (state: ShardState | undefined) => void
  /** Edits that a long tail calls for, to ride on the fence. */
  readonly fold: (log: LogContext, state: ShardState) => Promise<readonly Edit[]>
}

export interface OpenedShard {
  readonly log: LogContext
  readonly state: ShardState
}

export async function openShard(ctx: ShardContext, request: OpenRequest): Promise<OpenedShard> {
  const anchor = openAnchor(ctx)
  // A creator that loses the race opens what the winner made, and a reader that trimming overtook begins again.
  for (let tries = CLAIM_TRIES; ; tries--) {
    let opened: OpenedShard | TidemarkError
    const found = await locate(ctx, anchor)
    if (found.value) {
      if (request.create === true) throw invalid(`Store "${ctx.store}" exists already, and create: true was asked for.`)
      const { time: seenAt, isRebuilt } = found
      opened = await openExisting(ctx, anchor, { ...found.value, seenAt, isRebuilt }, request)
    } else {
      request.check(undefined)
      if (request.mode === 'follower' || request.create === false) throw notFound(ctx)
      throwIfAborted(request.signal)
      const { mode } = request
      opened =
        (await creating.use((part) => part.createStore(ctx, anchor, request.config(), mode, found.time))) ??
        overtaken(ctx)
    }
    if (!(opened instanceof TidemarkError)) return opened
    if (tries === 1) throw opened
  }
}

function notFound(ctx: ShardContext): TidemarkError {
  return new TidemarkError('NOT_FOUND', `There is no store "${ctx.store}" in this storage; check its name and place.`)
}

type Hint = AnchorValue & Pick<Found, 'isRebuilt'>

/** An error that is returned and not thrown says why to begin again from the anchor. */
async function openExisting(
  ctx: ShardContext,
  anchor: Anchor,
  hint: Hint & { readonly seenAt: number | undefined },
  request: OpenRequest,
): Promise<OpenedShard | TidemarkError> {
  const log = openLog(ctx, anchor, hint.logId)
  noteTime(ctx, log, hint.seenAt)
  try {
    const state = await readHistory(ctx, log, hint, request.mode)
    if (!(state instanceof TidemarkError)) {
      request.check(state)
      // Who writes together with others takes nothing over, unless it ends another mode.
      const { mode } = request
      const isFence = mode !== 'follower' && !(mode === 'shared' && state.carried.mode === mode)
      // Whoever comes first decides which log an anchor that was lost names.
      const isNamed = !hint.isRebuilt || mode === 'follower' || (await raiseAnchor(anchor, anchorName(ctx), hint))
      const claimed =
        isNamed &&
        (isFence ? await claim(ctx, log, state, mode, request) : await confirmHead(ctx, log, state, hint.isRebuilt))
      if (claimed) return { log, state: claimed }
    }
    await closeLog(ctx, log)
    return state instanceof TidemarkError ? state : overtaken(ctx)
  } catch (error) {
    await closeLog(ctx, log)
    throw error
  }
}

/** What is missing is judged by a second look: the anchor may have moved on, and files may be changing hands. */
export async function readHistory(
  ctx: ShardContext,
  log: LogContext,
  hint: Hint,
  mode: OpenRequest['mode'],
): Promise<ShardState | TidemarkError> {
  for (let tries = 1; ; tries++) {
    let state: ShardState
    try {
      state = await readLog(ctx, log, hint)
    } catch (error) {
      // An old hint may lead to what was written late at a number that is trimmed: that is no part of the history.
      if (await hasMoved(ctx, log, hint)) return overtaken(ctx)
      throw error
    }
    if (state.head >= hint.manifestAt) {
      if (state.carried.covers === state.manifest.covers) return state
      throw corrupt(
        `Store "${ctx.store}" is damaged: entry ${state.head} counts on a manifest that covers ${state.carried.covers}, the newest one covers ${state.manifest.covers}.`,
      )
    }
    if (await hasMoved(ctx, log, hint)) return endsEarly(ctx, state, hint)
    if (ctx.storage.capabilities.trim !== 'owner') throw endsEarly(ctx, state, hint)
    if (!(await settling.use((part) => part.settleHistory(ctx, log, hint, mode, tries))))
      throw endsEarly(ctx, state, hint)
  }
}

/** Whether the anchor says something else by now. */
async function hasMoved(ctx: ShardContext, log: LogContext, hint: Hint): Promise<boolean> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (!value) return !hint.isRebuilt
  return !equalBytes(value.logId, hint.logId) || value.manifestAt !== hint.manifestAt
}

/** The head counts only if the trim number, read after the absent answer, is below it. */
export async function confirmHead(
  ctx: ShardContext,
  log: LogContext,
  state: ShardState,
  isRebuilt = false,
): Promise<ShardState | undefined> {
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  // One that was gone before trims nothing; else the store was destroyed meanwhile.
  if (value === undefined) return isRebuilt ? state : undefined
  const isHead = !ctx.rules.headRule || value.trim < state.head
  return equalBytes(value.logId, log.logId) && isHead ? state : undefined
}

/** Whether the log may have been trimmed beyond the number that was created just now. */
function isLate(ctx: ShardContext, log: LogContext, time: number | undefined): boolean {
  if (ctx.storage.capabilities.trim !== 'writer') return false
  return mayBeTrimmed(log.free, { storage: time, local: ctx.clock.monotonic() }, ctx.graceMs, ctx.rules)
}

/**
 * Where the storage does not look at the trim number itself, a create that took long may have landed on a number that was
 * trimmed. It may have been there before that, and have been built upon: its fate is unknown (PROTOCOL.md, section 3).
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
    ctx.rules.trimmedIsUnknown ? 'UNKNOWN_OUTCOME' : 'FENCED',
    `Writing version ${n} of store "${ctx.store}" took so long that the log may have been trimmed beyond it. Call reopen() and look.`,
    { cause },
  )
}

/** Appends the fence; `undefined` when the log was trimmed or replaced meanwhile, and opening has to begin again. */
async function claim(
  ctx: ShardContext,
  log: LogContext,
  found: ShardState,
  mode: WriteMode,
  request: OpenRequest,
): Promise<ShardState | undefined> {
  let state = found
  let edits: readonly Edit[] = await request.fold(log, state)
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
      const part = rewriting.loaded!
      await part.dropUploads(ctx, part.writtenFor(edits), error)
      if (!isFull(error)) throw error
      // Without what was uploaded there may be room to open.
      edits = []
      continue
    }
    const looked = await looking
    switch (resolution.outcome) {
      case 'committed': {
        noteTime(ctx, log, resolution.time)
        // The look at the anchor counts only if little time has passed since the head was observed.
        const late = isLate(ctx, log, resolution.time)
        const { value } = looked === undefined || late ? await readAnchor(log.anchor, anchorName(ctx)) : looked
        if (!value || !equalBytes(value.logId, log.logId)) return undefined
        if (ctx.rules.headRule && value.trim >= fence.entry.n) return undefined
        log.free = sent
        const next = applyEntry(state, fence)
        if (fence.manifest) {
          ctx.counters.folds += fence.carries.length
          ctx.emit('checkpoint', { version: next.carried.version, covers: fence.manifest.covers })
        }
        if (fence.manifest || next.tail.length > READ_AGAIN_AT) await refreshAnchor(ctx, log, next)
        return next
      }
      case 'unknown':
        throw new TidemarkError(
          'UNKNOWN_OUTCOME',
          `It is not known whether store "${ctx.store}" was taken over; open it again.`,
          { cause: resolution.cause, retryable: true },
        )
      case 'lost': {
        const { head } = state
        state = await readOn(ctx, log, state)
        // Taken, and nothing is there: it was trimmed meanwhile, or the next claim settles it.
        if (state.head === head && !(await confirmHead(ctx, log, state))) return undefined
        request.check(state)
        if (edits.length > 0 && state.head > head) edits = await request.fold(log, state)
      }
    }
  }
  throw new TidemarkError('CONFLICT', `Store "${ctx.store}" was being written too fast to take it over; try again.`)
}

// A hint that leaves more than this many entries to read is worth a swap.
const READ_AGAIN_AT = 16

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

/** The lowest number that recovery needs: everything after what the manifest covers, its own entry among it. */
export function recoveryStart(state: ShardState): number {
  return state.manifest.covers + 1
}

/** Raises the anchor to the newest manifest; it is a hint, and so a failure is only worth a warning. */
export async function refreshAnchor(ctx: ShardContext, log: LogContext, state: ShardState): Promise<void> {
  try {
    // The anchor must not name what power loss could take back.
    if (ctx.durability === 'relaxed') await log.log.sync()
    const { trim, manifestAt, covers, time } = state.carried
    await raiseAnchor(log.anchor, anchorName(ctx), { logId: log.logId, trim, manifestAt, covers, time })
  } catch (cause) {
    ctx.warn(`The anchor of store "${ctx.store}" could not be refreshed; the next open reads more entries.`, cause)
  }
}
