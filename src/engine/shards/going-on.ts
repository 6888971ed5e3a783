/** Opening a store whose root was sealed: the way to the shard that was asked for, one log after another. */
import { invalid } from '../../errors.js'
import { readAnchor, type AnchorReading } from '../../log/anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, type LogContext, type ShardContext } from '../context.js'
import type { Found } from '../open/lost-log.js'
import { confirmHead } from '../open/recovery.js'
import type { OpenedShard } from '../open/following.js'
import type { ShardState } from '../state.js'
import { contextOf, endedBy, endedIn, type Ended, type Range } from './end.js'
import { leaves, making, rangeOfLeaf } from './family.js'

/** A log that is to be opened. */
export interface Place {
  readonly context: ShardContext
  /** Its partitions, and the log that led to it, unless it is the root. */
  readonly range?: Range
  readonly from?: Place
}

/** Opens the log of an anchor that was read. `undefined` when something has changed meanwhile. */
type Open = (place: Place, found: Found) => Promise<OpenedShard | undefined>

/**
 * Opens what follows on a log that was sealed, as its anchor or its entries say, for the partition `shard`; left out: for all of them.
 * `undefined` when something has changed meanwhile.
 */
export async function goOn(
  place: Place,
  log: LogContext,
  end: AnchorReading | ShardState,
  shard: number | undefined,
  open: Open,
): Promise<OpenedShard | undefined> {
  const { context: ctx, range } = place
  // A seal counts as the head that it is (R25).
  if ('head' in end && !(await confirmHead(ctx, log, end))) return undefined
  const ended = 'head' in end ? endedIn(ctx, log, end) : endedBy(ctx, log, end, range)
  const chosen = (children: readonly Child[] = []): Child | undefined =>
    shard !== undefined ? children.find(has(shard)) : children.length === 1 ? children[0] : undefined
  // Children are made only when their plan holds (S5): one that is there need not be asked where it comes from.
  for (const child of [chosen(ended.sealed?.living), chosen(ended.seal.children)]) {
    const found = child && (await readAnchor(openAnchor(contextOf(ctx, child.logId)), anchorName(ctx)))
    if (found?.value) return openNext(place, child!, found, open)
  }
  const child = chosen((await making(ended))!) ?? (await onlyOne(ended, shard))
  return openNext(place, child, await readAnchor(openAnchor(contextOf(ctx, child.logId)), anchorName(ctx)), open)
}

async function openNext(from: Place, child: Child, found: Found, open: Open): Promise<OpenedShard | undefined> {
  const context = contextOf(from.context, child.logId)
  // Seals lead from older logs to younger ones, and never in a circle.
  for (let past: Place | undefined = from; past; past = past.from) {
    if (past.context.shard === context.shard) return undefined
  }
  return found.value && open({ context, range: child, from }, found)
}

function has(shard: number): (child: Child) => boolean {
  return ({ first, last }) => first <= shard && shard <= last
}

/** The log of a store whose shards have become one again. */
async function onlyOne({ context: ctx, seal }: Ended<ShardContext>, shard: number | undefined): Promise<Child> {
  const last = seal.children.at(-1)!.last
  if (shard !== undefined)
    throw invalid(`shard: store "${ctx.store}" has partitions 0 to ${last}, and no partition ${shard}.`)
  const all = (await leaves(ctx, making)) ?? []
  for (const { context, log } of all) await closeLog(context, log)
  const ranges = all.map(rangeOfLeaf)
  if (all.length === 1) return { logId: all[0]!.log.logId, ...ranges[0]! }
  const names = ranges.map((range) => `${range.first}-${range.last}`)
  const shown = names.length > 5 ? [...names.slice(0, 4), '…'] : names
  throw invalid(
    `Store "${ctx.store}" has ${all.length} shards (${shown.join(', ')}): name one by shard, use mode "follower", or joinGroup().`,
  )
}
