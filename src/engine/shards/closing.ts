/** The sealed anchor: what a log's anchor says once it was sealed, and what follows on it is there (S6). */
import { readAnchor } from '../../log/anchor.js'
import { anchorAfter, encodeAnchor } from '../../log/raise.js'
import { encodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, openAnchor, type ReadContext, type ShardContext } from '../context.js'
import { logPath } from '../../manifest/names.js'
import { toHex } from '../../bytes/hex.js'
import { contextOf, type Ended } from './end.js'

const TRIES = 4

/**
 * Writes the seal into the anchor of its log, unless somebody has. It is quicker for who comes next, and no truth depends on it yet. `living`: the
 * logs that live now, for the anchor of the root.
 */
export async function closeAnchor(
  { context: ctx, log, n, seal, state, anchor }: Ended<ShardContext>,
  living: readonly Child[] = [],
): Promise<void> {
  // By its anchor it was sealed already.
  if (state === undefined) return
  const { keeps } = state.carried
  const end = encodeSealedEnd({ n, seal, keeps, collection: [], living: ctx.shard === undefined ? living : [] })
  let found = anchor
  for (let tries = TRIES; tries > 0; tries--, found = undefined) {
    const { value, token } = found ?? (await readAnchor(log.anchor, anchorName(ctx)))
    if (value === undefined) return sweep(ctx, [...seal.children, { logId: seal.fallback }])
    if (value.sealed) return
    const wanted = {
      ...anchorAfter(log.logId, state.carried),
      trim: Math.max(value.trim, state.carried.trim),
      sealed: end,
    }
    const { outcome } = await log.anchor.swap(token, encodeAnchor(wanted), wanted.trim)
    if (outcome === 'committed') return
  }
}

/**
 * The anchor of what came before is gone: the store may have been destroyed while these were made. Of one that has no log any more nobody
 * would find the anchor.
 */
export async function sweep(ctx: ReadContext, children: readonly Pick<Child, 'logId'>[]): Promise<void> {
  for (const { logId } of children) {
    const { paths } = await ctx.storage.logs(logPath(ctx.store, logId, toHex(logId)))
    if (paths.length === 0) await openAnchor(contextOf(ctx, logId)).remove()
  }
}
