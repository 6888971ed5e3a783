/**
 * What a log of a store has come to: it lives, or it was sealed. The anchor says so first (S6), else its last entry does. Nothing is
 * written here.
 */
import { fromHex, toHex } from '../../bytes/hex.js'
import { corrupt } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import { decodeSealedEnd, type SealedEnd } from '../../log/sealed-anchor.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { logPath } from '../../manifest/names.js'
import { anchorName, closeLog, openAnchor, openLog, type LogContext, type ReadContext } from '../context.js'
import { confirmHead, findStore, readHistory } from '../open/recovery.js'
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
}

export type Look<C extends ReadContext = ReadContext> = Living<C> | Ended<C>

const TRIES = 8

/** The surroundings of one of the logs of a store; left out: of the root. */
export function contextOf<C extends ReadContext>(ctx: C, logId?: Uint8Array): C {
  return { ...ctx, shard: logId && toHex(logId) }
}

/**
 * Looks at the log that begins the shard `ctx.shard`. `undefined` when there is none. Its range has to be known unless it is the root or
 * lives. The log has to be closed afterwards.
 */
export async function lookAt<C extends ReadContext>(ctx: C, range?: Range): Promise<Look<C> | undefined> {
  const anchor = openAnchor(ctx)
  for (let tries = TRIES; tries > 0; tries--) {
    const found = ctx.shard === undefined ? await findStore(ctx, anchor) : await readAnchor(anchor, anchorName(ctx))
    const { value } = found
    if (value === undefined) return undefined
    const log = openLog(ctx, anchor, value.logId)
    let look: Look<C> | undefined
    try {
      if (value.sealed) return (look = endedBy(ctx, log, value, range))
      const state = await readHistory(ctx, log, value, false)
      if (state?.seal) return (look = endedIn(ctx, log, state))
      const confirmed = state && (await confirmHead(ctx, log, state, 'isRebuilt' in value))
      if (confirmed) return (look = { context: ctx, log, state: confirmed })
    } finally {
      if (!look) await closeLog(ctx, log)
    }
  }
  throw corrupt(
    `Shard ${ctx.shard ?? 'of the root'} of store "${ctx.store}" was trimmed again and again while it was read; try again.`,
  )
}

/** The end that the anchor of a sealed log tells. */
export function endedBy<C extends ReadContext>(
  ctx: C,
  log: LogContext,
  { sealed }: AnchorValue,
  range?: Range,
): Ended<C> {
  const end = decodeSealedEnd(sealed!, anchorName(ctx))
  return {
    context: ctx,
    log,
    n: end.n,
    seal: end.seal,
    // Just these two, whatever else the argument has.
    range: range ? { first: range.first, last: range.last } : rangeBy(end.seal),
    sealed: end,
    state: undefined,
  }
}

/** The end of a log whose entries were read up to its seal. */
export function endedIn<C extends ReadContext>(ctx: C, log: LogContext, state: ShardState): Ended<C> {
  return { context: ctx, log, n: state.head, seal: state.seal!, range: rangeOf(state), sealed: undefined, state }
}

/** The partitions of the log that a state is of. */
export function rangeOf({ carried: { own }, manifest }: Pick<ShardState, 'carried' | 'manifest'>): Range {
  return own ?? { first: 0, last: manifest.config.partitions - 1 }
}

/** The root has all partitions, and so no neighbour to be merged with: its children have them all. */
function rangeBy({ children }: Seal): Range {
  return { first: children[0]!.first, last: children.at(-1)!.last }
}

/** The path of a log that came of others. */
export function pathOf(store: string, { logId }: Pick<Child, 'logId'>): string {
  return logPath(store, logId, toHex(logId))
}

/** The id of the log of a shard; `undefined` of the root, whose log has an id of its own. */
export function logIdOfShard(shard: string | undefined): Uint8Array | undefined {
  return shard === undefined ? undefined : fromHex(shard)
}
