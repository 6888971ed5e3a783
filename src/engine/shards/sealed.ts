/** The anchor of a log that was sealed: found, made where there is none yet, and swapped. Every swap keeps the seal (S6). */
import { equalBytes } from '../../bytes/compare.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { anchorAfter, encodeAnchor } from '../../log/raise.js'
import { decodeSealedEnd, encodeSealedEnd, type SealedEnd } from '../../log/sealed-anchor.js'
import { anchorName, noteTime, type LogContext, type ShardContext } from '../context.js'
import { findStore, readHistory } from '../open/recovery.js'
import { rangeOf } from './end.js'
import { heirsOf } from './heirs.js'

/** A sealed anchor as it was read. */
export interface SealedAnchor {
  readonly value: AnchorValue
  readonly token: string | undefined
  readonly end: SealedEnd
}

const TRIES = 4

/**
 * The anchor of a sealed log. When it does not say yet that the log was sealed, that is written there first, unless `isDry`: nothing is
 * removed before it is known (S6). `undefined` when the log was not sealed, or there is none.
 */
export async function sealedAnchor(
  ctx: ShardContext,
  log: LogContext,
  isDry: boolean,
): Promise<SealedAnchor | undefined> {
  const what = anchorName(ctx)
  for (let tries = TRIES; tries > 0; tries--) {
    const { value, token, time } = await readAnchor(log.anchor, what)
    noteTime(ctx, log, time)
    if (value && !equalBytes(value.logId, log.logId)) return undefined
    if (value?.sealed) return { value, token, end: decodeSealedEnd(value.sealed, what) }
    const hint = value ?? (await findStore(ctx, log.anchor)).value
    if (hint === undefined || !equalBytes(hint.logId, log.logId)) return undefined
    // One that was rebuilt says so already.
    if (hint.sealed) {
      if (isDry) return undefined
      await swapTo(log, token, hint, decodeSealedEnd(hint.sealed, what))
      continue
    }
    const state = await readHistory(ctx, log, hint, false)
    // It says something else by now.
    if (state === undefined) continue
    const { seal, head: n, carried } = state
    if (seal === undefined || isDry) return undefined
    // An anchor says that its log was sealed once what follows is there: so it is known when that gets lost.
    if ((await heirsOf({ context: ctx, log, seal, range: rangeOf(state) })) === undefined) return undefined
    const end = { n, seal, keeps: carried.keeps, collection: [], living: [] }
    // All its versions are kept as they were: the trim number stays as the anchor has it.
    await swapTo(log, token, { ...anchorAfter(log.logId, carried), trim: hint.trim }, end)
  }
  return undefined
}

/** Swaps a sealed anchor for one with another end; `false` when it has changed meanwhile, or nobody knows. */
export function swapSealed(
  log: LogContext,
  { value, token }: SealedAnchor,
  end: SealedEnd,
  trim = value.trim,
): Promise<boolean> {
  return swapTo(log, token, { ...value, trim }, end)
}

async function swapTo(
  log: LogContext,
  token: string | undefined,
  value: AnchorValue,
  end: SealedEnd,
): Promise<boolean> {
  const bytes = encodeAnchor({ ...value, sealed: encodeSealedEnd(end) })
  return (await log.anchor.swap(token, bytes, value.trim)).outcome === 'committed'
}
