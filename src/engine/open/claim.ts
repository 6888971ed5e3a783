/**
 * The fence: an entry by which a writer takes the log over. It settles what the head was, for whoever wrote before can
 * append nothing behind it.
 */
import { TidemarkError, isFull, throwIfAborted } from '../../errors.js'
import { landed, type Resolution } from '../../log/append.js'
import type { WriteMode } from '../../log/entry.js'
import type { Edit } from '../../manifest/edits.js'
import { rewriting } from '../compaction/scheduler.js'
import { currentTime, moment, noteTime, ownAnchor, warnLater, type LogContext, type ShardContext } from '../context.js'
import { buildEntry } from '../entry-builder.js'
import { applyEntry, type ShardState } from '../state.js'
import { isLate, sendEntry } from '../write/send.js'
import { confirmHead, readOn } from './recovery.js'
import { CLAIM_TRIES, type ClaimRequest } from './request.js'

/**
 * The fold of a long tail, for the fence: one that was never folded, by a program that crashes or closes soon after opening, must
 * not grow for ever. It is no condition for opening either: without space, say, a store can still be read.
 */
async function foldLong(ctx: ShardContext, log: LogContext, state: ShardState): Promise<readonly Edit[]> {
  if (state.tail.length < ctx.checkpoint.entries) return []
  try {
    return [await rewriting.use(({ foldTail }) => foldTail(ctx, log, state, new AbortController().signal))]
  } catch (cause) {
    warnLater(ctx, 'Folding', cause)
    return []
  }
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
  let edits = request.folds ? await foldLong(ctx, log, state) : []
  for (let tries = CLAIM_TRIES; tries > 0; tries--) {
    const time = currentTime(ctx, log)
    const fence = await buildEntry(log, state, { kind: 'fence', mode, time, edits, turn: request.turn })
    throwIfAborted(request.signal)
    const sent = moment(ctx, log)
    // A read that fails is repeated below: it must not leave the claim alone.
    const reading = ownAnchor(ctx, log).catch(() => undefined)
    let resolution: Resolution
    try {
      resolution = await sendEntry(ctx, log, state.manifest.covers, fence)
    } catch (error) {
      if (edits.length === 0) throw error
      await rewriting.loaded!.dropUploads(ctx, rewriting.loaded!.writtenFor(edits), error)
      if (!isFull(error)) throw error
      // Without what was uploaded there may be room to open.
      edits = []
      continue
    }
    const read = await reading
    const claimed = landed(resolution, `store "${ctx.store}" was taken over; open it again.`)
    if (claimed) {
      noteTime(ctx, log, claimed.time)
      // The anchor as it was read counts only if little time has passed since the head was observed.
      const late = isLate(ctx, log, claimed.time)
      const anchor = read === undefined || late ? await ownAnchor(ctx, log) : read
      if (anchor === undefined) return undefined
      if (anchor.trim >= fence.entry.n) return undefined
      log.free = sent
      log.formerWriter = state.writer
      const next = applyEntry(state, fence)
      if (fence.manifest) {
        ctx.counters.folds += fence.carries.length
        ctx.emit('checkpoint', { version: next.carried.version, covers: fence.manifest.covers })
      }
      return next
    }
    const { head } = state
    state = await readOn(ctx, log, state, head + 1)
    if (state.seal) return undefined
    // Taken, and nothing is there: it was trimmed meanwhile, or the next claim settles it.
    if (state.head === head && !(await confirmHead(ctx, log, state))) return undefined
    await request.check(state)
    if (edits.length > 0 && state.head > head) edits = await foldLong(ctx, log, state)
  }
  throw new TidemarkError(
    'CONFLICT',
    `Store "${ctx.store}" was being written too fast to take it over; try again. Writers that are there at once open it in shared mode.`,
  )
}
