/**
 * What follows on a log that was sealed, for who only reads: nothing is sealed or made here. Children are made only once it is decided
 * that their plan holds, and a fallback only once it does not (S5), so that which of them are there tells it.
 */
import { readAnchor } from '../../log/anchor.js'
import type { SealedEnd } from '../../log/sealed-anchor.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { shardPath } from '../../manifest/names.js'
import { anchorName, openAnchor, type ReadContext } from '../context.js'
import { contextOf, missingLog, type Ended, type Range } from './end.js'
import { overlaps } from './succession.js'

export interface Heirs {
  readonly children: readonly Child[]
  /** The ids of the logs in whose place they come. */
  readonly parents: readonly Uint8Array[]
}

/** A log that was sealed, as far as it has to be known here. */
export interface Sealed {
  readonly context: ReadContext
  readonly log: { readonly logId: Uint8Array }
  readonly seal: Seal
  readonly range: Range
  /** What its anchor says of the end: that is written only once what follows is there. */
  readonly sealed?: SealedEnd | undefined
}

/** `undefined` as long as not all of them are there that have any of the partitions `within`. */
export async function heirsOf(ended: Sealed, within?: Range): Promise<Heirs | undefined> {
  const { context, log, seal, range, sealed } = ended
  // Nobody asks for what the log has: nothing follows on it.
  if (within && !overlaps(range, within)) return { children: [], parents: [log.logId] }
  const isWanted = (child: Child): boolean => within === undefined || overlaps(child, within)
  const children = seal.children.filter(isWanted)
  if (await areThere(context, children)) return { children, parents: seal.parents }
  const alone = { logId: seal.fallback, ...range }
  if (seal.parents.length > 1 && (await areThere(context, [alone]))) return { children: [alone], parents: [log.logId] }
  if (sealed) for (const child of children) await assertNotLost(context, child)
  return undefined
}

/** A log that was there once and of which nothing is left is missing; one without its anchor goes on once somebody writes. */
async function assertNotLost(ctx: ReadContext, child: Child): Promise<void> {
  const own = contextOf(ctx, child.logId)
  if (await areThere(ctx, [child])) return
  const { paths } = await ctx.storage.logs(`${shardPath(own.store, own.shard)}/`)
  if (paths.length === 0) throw await missingLog(ctx, child.logId)
}

/** The same for a walk through the logs of a store. */
export function finding(within?: Range): (ended: Ended) => Promise<readonly Child[] | undefined> {
  return async (ended) => (await heirsOf(ended, within))?.children
}

async function areThere(ctx: ReadContext, children: readonly Child[]): Promise<boolean> {
  const found = await Promise.all(
    children.map(async ({ logId }) => {
      const own = contextOf(ctx, logId)
      return (await readAnchor(openAnchor(own), anchorName(own))).value !== undefined
    }),
  )
  return children.length > 0 && found.every(Boolean)
}
