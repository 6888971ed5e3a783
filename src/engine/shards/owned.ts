/**
 * Splits and merges by the owner: it seals its logs at their turn among its commits, and owns what follows on them without a fence, because
 * it has made that itself (S2). They are closed for two round trips: the seals, and the first entries.
 */
import type { Turn } from '../../log/shard-parts.js'
import { allOf } from '../../async.js'
import { moment, warnLater, type LogContext, type ShardContext } from '../context.js'
import type { ShardState } from '../state.js'
import type { MakeChange } from '../write/requests.js'
import { closeAnchor } from './closing.js'
import { contextOf, endedIn, type Ended, type Range } from './end.js'
import { hint, planFor } from './rescale.js'
import { sealOf } from './sealing.js'
import { successors, type Succession } from './succession.js'

/** A log that is open for writing. */
export interface Owned {
  readonly context: ShardContext
  readonly log: LogContext
  readonly state: ShardState
  readonly writer: { append(make: MakeChange): Promise<unknown> }
}

/**
 * Puts shards of these ranges in the place of neighbouring ones that are owned here, in the order of their partitions. Whatever fails on its way is
 * finished by whoever meets the seals.
 * @returns what follows on them; those that are `born` are owned, and the others were made by somebody else, who came first
 */
export async function replaceOwned(
  owned: readonly Owned[],
  children: readonly Range[],
  turn: Turn | undefined,
): Promise<Succession> {
  const { context, log: firstLog } = owned[0]!
  const make = planFor(
    context,
    owned.map(({ log }) => log.logId),
    children,
  )
  const since = moment(context, firstLog)
  const sealing = owned.map(async (shard): Promise<Ended<ShardContext>> => {
    const { context: ctx, log } = shard
    await shard.writer.append((state, signal) => sealOf(ctx, log, state, make(ctx.graceMs), signal))
    return endedIn(ctx, log, shard.state)
  })
  // When one fails the plan is begun all the same, and whoever comes by ends it.
  const ended = await allOf(sealing)
  const succession = await successors(ended[0]!, { known: ended, turn, since })
  noteChildren(ended, succession).catch((cause: unknown) => warnLater(context, 'Noting the shards', cause))
  return succession
}

/** In the root's anchor, beside what is done with the children meanwhile: who comes next is led to them at once. */
async function noteChildren(ended: readonly Ended<ShardContext>[], { named, children }: Succession): Promise<void> {
  await named()
  const root = ended.find(({ context }) => context.shard === undefined)
  await (root ? closeAnchor(root, children) : hint(contextOf(ended[0]!.context), children))
}
