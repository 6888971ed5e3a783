/**
 * The logs of a store that was split: from the root down to those that live. The hint in the root's anchor makes it quick; the seals are the
 * truth, and whoever meets one follows it.
 */
import { allOf } from '../../async.js'
import { readAnchor, type AnchorReading } from '../../log/anchor.js'
import { decodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, warnLater, type ReadContext, type ShardContext } from '../context.js'
import { closeAnchor } from './closing.js'
import { overtaken } from '../open/recovery.js'
import { contextOf, lookAt, missingLog, rangeOf, type Ended, type Living, type Look, type Range } from './end.js'
import { overlaps, successors } from './succession.js'

/** How often others may split and merge while all is looked at. */
const TRIES = 16

/** Tells what follows on a log that was sealed, or `undefined` when it is not there yet and nothing may be written. */
export type Next<C extends ReadContext> = (ended: Ended<C>) => Promise<readonly Child[] | undefined>

/** A log that lives; or one that was sealed, as long as nothing follows on it. */
export type Leaf<C extends ReadContext = ReadContext> = Living<C> | (Ended<C> & { readonly isLast: true })

/** Makes what is missing, and notes in the anchor that it is there. */
export const making: Next<ShardContext> = async (ended) => {
  const { children, born, named } = await successors(ended)
  for (const { context, log } of born) await closeLog(context, log)
  await named()
  await closeAnchor(ended).catch((cause: unknown) => warnLater(ended.context, 'Closing a log', cause))
  return children
}

/**
 * The leaves that have any of the partitions, by their partitions; all when none are named. Their logs are open, and are to be closed.
 * `undefined` when there is no store. `root` is the root's anchor, if that was read just now.
 */
export async function leaves<C extends ReadContext>(
  ctx: C,
  next: Next<C>,
  within?: Range,
  root?: AnchorReading,
): Promise<readonly Leaf<C>[] | undefined> {
  const own = contextOf(ctx)
  let reading: AnchorReading | undefined = root ?? (await readAnchor(openAnchor(own), anchorName(own)))
  const hint = hintIn(own, reading).filter((child) => isWithin(child, within))
  let from = hint.map((child): Place<C> => ({ context: contextOf(ctx, child.logId), range: child }))
  for (let tries = TRIES; tries > 0; tries--) {
    const isHinted = from.length > 0
    if (!isHinted) from = [{ context: own, range: undefined, found: reading?.value && reading }]
    const walk = new Walk(next, within)
    const found = await walk.from(from)
    // Others may have merged what was looked at before with what was looked at after that.
    if (found && (found.length === 0 || tiles(found.map(rangeOfLeaf), within ?? wholeOf(found)))) return found
    if (!found && !isHinted) return undefined
    await walk.close()
    from = []
    reading = undefined
  }
  throw overtaken(ctx)
}

/** All partitions, as far as that is known. */
function wholeOf(found: readonly Leaf[]): Range | undefined {
  const partitions = found.find(({ state }) => state)?.state!.manifest.config.partitions
  return partitions === undefined ? undefined : { first: 0, last: partitions - 1 }
}

/** A log to be looked at. */
interface Place<C extends ReadContext> {
  readonly context: C
  readonly range: Range | undefined
  readonly found?: AnchorReading | undefined
}

/** From some logs down to the leaves. */
class Walk<C extends ReadContext> {
  readonly #next: Next<C>
  readonly #within: Range | undefined
  readonly #visited = new Set<string>()
  readonly #leaves: Leaf<C>[] = []

  constructor(next: Next<C>, within: Range | undefined) {
    this.#next = next
    this.#within = within
  }

  /** `undefined` when one of these is not there. */
  async from(places: readonly Place<C>[]): Promise<readonly Leaf<C>[] | undefined> {
    try {
      const isThere = await allOf(places.map((place) => this.#visit(place)))
      if (isThere.every(Boolean)) return this.#leaves.sort((a, b) => rangeOfLeaf(a).first - rangeOfLeaf(b).first)
    } catch (error) {
      await this.close()
      throw error
    }
    return undefined
  }

  async close(): Promise<void> {
    for (const { context, log } of this.#leaves) await closeLog(context, log)
  }

  /** Resolves with whether there is such a log. */
  async #visit({ context, range, found }: Place<C>): Promise<boolean> {
    const { shard = '' } = context
    // What several parents lead to is looked at once.
    if (this.#visited.has(shard)) return true
    this.#visited.add(shard)
    const look = await lookAt(context, range, found)
    if (look === undefined) return false
    if (look.seal) await this.#goOn(look)
    else this.#leaves.push(look)
    return true
  }

  async #goOn(ended: Ended<C>): Promise<void> {
    const { context } = ended
    let leaf: Leaf<C> | undefined
    let children: readonly Child[] = []
    try {
      const found = await this.#next(ended)
      if (found) children = found
      else this.#leaves.push((leaf = { ...ended, isLast: true }))
    } finally {
      if (!leaf) await closeLog(context, ended.log)
    }
    const wanted = children.filter((child) => isWithin(child, this.#within))
    const visit = async (child: Child): Promise<void> => {
      const isThere = await this.#visit({ context: contextOf(context, child.logId), range: child })
      if (!isThere) throw await missingLog(context, child.logId)
    }
    await allOf(wanted.map(visit))
  }
}

function isWithin(range: Range, within: Range | undefined): boolean {
  return within === undefined || overlaps(range, within)
}

/** The partitions of a leaf. */
export function rangeOfLeaf(leaf: Look): Range {
  return leaf.seal ? leaf.range : rangeOf(leaf.state)
}

/** The logs that the root's anchor says live; none when it was not sealed. */
function hintIn(ctx: ReadContext, { value }: AnchorReading): readonly Child[] {
  return value?.sealed ? decodeSealedEnd(value.sealed, anchorName(ctx)).living : []
}

/** Whether ranges leave out none of the partitions, and have none twice. */
export function tiles(ranges: readonly Range[], within?: Range): boolean {
  const sorted = ranges.toSorted((a, b) => a.first - b.first)
  const isGapless = sorted.every(({ first }, i) => i === 0 || first === sorted[i - 1]!.last + 1)
  const [first, last] = [sorted[0]?.first ?? 1, sorted.at(-1)?.last ?? 0]
  if (within) return isGapless && first <= within.first && last >= within.last
  return isGapless && first === 0
}
