/**
 * What a log of a store has come to: it lives, or it was sealed. The anchor says so first (S6), else its last entry does. Nothing is
 * written here.
 */
import { toHex } from '../../bytes/hex.js'
import { corrupt, TidemarkError } from '../../errors.js'
import { readAnchor, type AnchorReading } from '../../log/anchor.js'
import { decodeSealedEnd, type SealedEnd } from '../../log/sealed-anchor.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { isTombstone } from '../../log/tombstone.js'
import { logPath } from '../../manifest/names.js'
import { anchorName, closeLog, noteTime, openAnchor, openLog, type LogContext, type ReadContext } from '../context.js'
import type { Hint } from '../open/lost-log.js'
import { findStore, isHead, readHistory } from '../open/recovery.js'
import type { ShardState } from '../state.js'

/** The partitions from `first` to `last`. */
export interface Range {
  readonly first: number
  readonly last: number
}

/** A log that lives, as it was found. */
export interface Living<C extends ReadContext = ReadContext> {
  readonly context: C
  readonly log: LogContext
  readonly state: ShardState
  readonly seal?: undefined
  /** Its anchor, as it was read last. */
  readonly anchor?: AnchorReading | undefined
}

/** A log that was sealed. */
export interface Ended<C extends ReadContext = ReadContext> {
  readonly context: C
  readonly log: LogContext
  /** The number of its seal, and what that says. */
  readonly n: number
  readonly seal: Seal
  /** Its partitions. */
  readonly range: Range
  /** What its anchor says of the end, once it does. */
  readonly sealed: SealedEnd | undefined
  /** As the seal left it, if its entries were read. */
  readonly state: ShardState | undefined
  readonly anchor?: AnchorReading | undefined
}

export type Look<C extends ReadContext = ReadContext> = Living<C> | Ended<C>

const TRIES = 8

/** The surroundings of one of the logs of a store; left out: of the root. */
export function contextOf<C extends ReadContext>(ctx: C, logId?: Uint8Array): C {
  return { ...ctx, shard: logId && toHex(logId) }
}

/**
 * Looks at the log that begins the shard `ctx.shard`. `undefined` when there is none. Its range has to be known unless it is the root or
 * lives. The log has to be closed afterwards. `found` is its anchor, if that was read just now.
 */
export async function lookAt<C extends ReadContext>(
  ctx: C,
  range?: Range,
  found?: AnchorReading,
): Promise<Look<C> | undefined> {
  const anchor = openAnchor(ctx)
  const find = (): Promise<AnchorReading> =>
    ctx.shard === undefined ? findStore(ctx, anchor) : readAnchor(anchor, anchorName(ctx))
  for (let tries = TRIES, reading = found ?? (await find()); tries > 0; tries--, reading = await find()) {
    const { value } = reading
    if (value === undefined) return undefined
    const log = openLog(ctx, anchor, value.logId)
    noteTime(ctx, log, reading.time)
    let look: Look<C> | undefined
    try {
      look = value.sealed ? endedBy(ctx, log, reading, range) : await readThrough(ctx, log, value)
      if (look) return look
    } finally {
      if (!look) await closeLog(ctx, log)
    }
  }
  throw corrupt(
    `Shard ${ctx.shard ?? 'of the root'} of store "${ctx.store}" was trimmed again and again while it was read; try again.`,
  )
}

/** A log by its entries. Its head counts once the trim number is known to be below it, and so does a seal (R25). */
async function readThrough<C extends ReadContext>(ctx: C, log: LogContext, hint: Hint): Promise<Look<C> | undefined> {
  const state = await readHistory(ctx, log, hint, false)
  if (state === undefined) return undefined
  const anchor = await readAnchor(log.anchor, anchorName(ctx))
  if (!isHead(anchor.value, log, state, hint.isRebuilt)) return undefined
  return foundIn(ctx, log, state, anchor)
}

/** What a log has come to whose entries were read to the end. */
export function foundIn<C extends ReadContext>(
  ctx: C,
  log: LogContext,
  state: ShardState,
  anchor?: AnchorReading,
): Look<C> {
  return state.seal ? endedIn(ctx, log, state, anchor) : { context: ctx, log, state, anchor }
}

/** The end that the anchor of a sealed log tells. */
export function endedBy<C extends ReadContext>(
  ctx: C,
  log: LogContext,
  anchor: AnchorReading,
  range?: Range,
): Ended<C> {
  const sealed = decodeSealedEnd(anchor.value!.sealed!, anchorName(ctx))
  const { n, seal } = sealed
  // Just these two, whatever else the argument has.
  const own = range ? { first: range.first, last: range.last } : rangeBy(seal)
  return { context: ctx, log, n, seal, range: own, sealed, state: undefined, anchor }
}

/** The end of a log whose entries were read up to its seal. */
export function endedIn<C extends ReadContext>(
  ctx: C,
  log: LogContext,
  state: ShardState,
  anchor?: AnchorReading,
): Ended<C> {
  const { head: n, seal } = state
  return { context: ctx, log, n, seal: seal!, range: rangeOf(state), sealed: undefined, state, anchor }
}

/** The error for a log that has to be there and is not. */
export async function missingLog(ctx: ReadContext, logId: Uint8Array): Promise<TidemarkError> {
  const { bytes } = await openAnchor({ ...ctx, shard: undefined }).read()
  if (bytes && !isTombstone(bytes))
    return corrupt(`Log ${pathOf(ctx.store, { logId })} is missing. Restore the store from a backup.`)
  return new TidemarkError('NOT_FOUND', `Store "${ctx.store}" was destroyed meanwhile.`)
}

/** The partitions of the log that a state is of. */
export function rangeOf({ carried: { own }, manifest }: Pick<ShardState, 'carried' | 'manifest'>): Range {
  const { first, last } = own ?? { first: 0, last: manifest.config.partitions - 1 }
  return { first, last }
}

/** The root has all partitions, and so no neighbour to be merged with: its children have them all. */
function rangeBy({ children }: Seal): Range {
  return { first: children[0]!.first, last: children.at(-1)!.last }
}

/** The path of a log that came of others. */
function pathOf(store: string, { logId }: Pick<Child, 'logId'>): string {
  return logPath(store, logId, toHex(logId))
}
