/**
 * The logs of a store that was split: from the root down to those that live. The hint in the root's anchor makes it quick; the seals are the
 * truth, and whoever meets one follows it.
 */
import { corrupt } from '../../errors.js'
import { decodeSealedEnd } from '../../log/sealed-anchor.js'
import { readAnchor } from '../../log/anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, type ReadContext, type ShardContext } from '../context.js'
import { contextOf, lookAt, rangeOf, type Ended, type Living, type Look, type Range } from './end.js'
import { overlaps, successors } from './succession.js'

/** Tells what follows on a log that was sealed, or `undefined` when it is not there yet and nothing may be written. */
export type Next<C extends ReadContext> = (ended: Ended<C>) => Promise<readonly Child[] | undefined>

/** A log that lives; or one that was sealed, as long as nothing follows on it. */
export type Leaf<C extends ReadContext = ReadContext> = Living<C> | (Ended<C> & { readonly isLast: true })

/** Makes what is missing. */
export const making: Next<ShardContext> = async (ended) => {
  const { children, born } = await successors(ended)
  for (const { context, log } of born) await closeLog(context, log)
  return children
}

/**
 * The leaves that have any of the partitions, by their partitions; all when none are named. Their logs are open, and are to be closed.
 * `undefined` when there is no store.
 */
export async function leaves<C extends ReadContext>(
  ctx: C,
  next: Next<C>,
  within?: Range,
): Promise<readonly Leaf<C>[] | undefined> {
  const found = new Map<string, Leaf<C>>()
  const visited = new Set<string>()
  const isWanted = (range: Range): boolean => within === undefined || overlaps(range, within)
  const visit = async (child: Child | undefined, isHint: boolean): Promise<boolean> => {
    const own = contextOf(ctx, child?.logId)
    const key = own.shard ?? ''
    if (visited.has(key)) return true
    visited.add(key)
    const look = await lookAt(own, child)
    if (look === undefined) {
      visited.delete(key)
      if (isHint || child === undefined) return false
      throw corrupt(`Shard ${key} of store "${ctx.store}" is missing. Restore the store from a backup.`)
    }
    if (!look.seal) {
      found.set(key, look)
      return true
    }
    return goOn(look)
  }
  const goOn = async (ended: Ended<C>): Promise<boolean> => {
    const key = ended.context.shard ?? ''
    try {
      const children = await next(ended)
      if (children === undefined) found.set(key, { ...ended, isLast: true as const })
      else await Promise.all(children.filter(isWanted).map((child) => visit(child, false)))
      return true
    } finally {
      if (!found.has(key)) await closeLog(ended.context, ended.log)
    }
  }
  try {
    const hint = await hintOf(ctx, within)
    const isFound = hint && (await Promise.all(hint.map((child) => visit(child, true))))
    const isWhole = isFound?.every(Boolean) && tiles([...found.values()].map(rangeOfLeaf), within)
    if (!isWhole && !(await visit(undefined, false))) return undefined
    return [...found.values()].sort((a, b) => rangeOfLeaf(a).first - rangeOfLeaf(b).first)
  } catch (error) {
    for (const { context, log } of found.values()) await closeLog(context, log)
    throw error
  }
}

/** The partitions of a leaf. */
export function rangeOfLeaf(leaf: Look): Range {
  return leaf.seal ? leaf.range : rangeOf(leaf.state)
}

/** The logs that the root's anchor says live, as far as they are wanted; `undefined` when it was not sealed. */
async function hintOf(ctx: ReadContext, within: Range | undefined): Promise<readonly Child[] | undefined> {
  const { value } = await readAnchor(openAnchor({ ...ctx, shard: undefined }), anchorName(ctx))
  const { living } = value?.sealed ? decodeSealedEnd(value.sealed, anchorName(ctx)) : { living: [] }
  return living.length > 0 ? living.filter((child) => within === undefined || overlaps(child, within)) : undefined
}

/** Whether ranges leave out none of the partitions, and have none twice. */
export function tiles(ranges: readonly Range[], within?: Range): boolean {
  const sorted = ranges.toSorted((a, b) => a.first - b.first)
  const isGapless = sorted.every(({ first }, i) => i === 0 || first === sorted[i - 1]!.last + 1)
  const [first, last] = [sorted[0]?.first ?? 1, sorted.at(-1)?.last ?? 0]
  if (within) return isGapless && first <= within.first && last >= within.last
  return isGapless && first === 0
}
