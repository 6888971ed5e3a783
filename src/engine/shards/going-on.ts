/** Opening a store whose root was sealed: the way to the shard that was asked for. */
import { invalid } from '../../errors.js'
import { readAnchor, type AnchorValue } from '../../log/anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, openLog, type LogContext, type ShardContext } from '../context.js'
import type { ShardState } from '../state.js'
import { contextOf, endedBy, endedIn, type Ended } from './end.js'
import { leaves, making, rangeOfLeaf } from './family.js'

/**
 * The surroundings of the log that goes on from one that was sealed, for the partition `shard`; left out: of the only shard there is. By its
 * anchor it was not sealed.
 */
export async function goOn(
  ctx: ShardContext,
  log: LogContext,
  found: AnchorValue | ShardState,
  shard: number | undefined,
): Promise<ShardContext> {
  if (shard === undefined) return onlyOne(ctx)
  const ended = 'head' in found ? endedIn(ctx, log, found) : endedBy(ctx, log, found)
  const hinted = ended.sealed?.living.find(has(shard))
  const hint = hinted && (await beyond(ctx, hinted))
  if (hint === 'living') return contextOf(ctx, hinted!.logId)
  return descend(hint ?? ended, shard)
}

/** From seal to seal. */
async function descend(from: Ended<ShardContext>, shard: number): Promise<ShardContext> {
  const { context: ctx } = from
  for (let ended = from; ;) {
    let child: Child
    try {
      child = await childOf(ended, shard)
    } finally {
      if (ended !== from) await closeLog(ctx, ended.log)
    }
    const next = await beyond(ctx, child)
    if (next === 'living' || next === undefined) return contextOf(ctx, child.logId)
    ended = next
  }
}

async function childOf(ended: Ended<ShardContext>, shard: number): Promise<Child> {
  const children = await making(ended)
  const child = children!.find(has(shard))
  if (child) return child
  throw outside(ended.context.store, children!.at(-1)!.last, shard)
}

/** What the anchor of a child says: that it was sealed, or not. `undefined` when it has none. */
async function beyond(ctx: ShardContext, child: Child): Promise<Ended<ShardContext> | 'living' | undefined> {
  const own = contextOf(ctx, child.logId)
  const anchor = openAnchor(own)
  const { value } = await readAnchor(anchor, anchorName(own))
  if (value?.sealed === undefined) return value && 'living'
  return endedBy(own, openLog(own, anchor, child.logId), value, child)
}

function has(shard: number): (child: Child) => boolean {
  return ({ first, last }) => first <= shard && shard <= last
}

/** A store whose shards have become one again. */
async function onlyOne(ctx: ShardContext): Promise<ShardContext> {
  const all = (await leaves({ ...ctx, shard: undefined }, making)) ?? []
  for (const { context, log } of all) await closeLog(context, log)
  if (all.length === 1) return all[0]!.context
  const ranges = all.map((leaf) => rangeOfLeaf(leaf)).map(({ first, last }) => `${first}-${last}`)
  const shown = ranges.length > 5 ? [...ranges.slice(0, 4), '…'] : ranges
  throw invalid(
    `Store "${ctx.store}" has ${all.length} shards (${shown.join(', ')}): name one by shard, use mode "follower", or joinGroup().`,
  )
}

function outside(store: string, last: number, shard: number): Error {
  return invalid(`shard: store "${store}" has partitions 0 to ${last}, and no partition ${shard}.`)
}
