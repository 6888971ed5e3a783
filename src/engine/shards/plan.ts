/** Which logs are to be sealed, and what they become, so that a store has the shards that are wanted: pure functions on ranges. */
import { invalid } from '../../errors.js'
import type { Range } from './end.js'

/** Neighbouring shards, and what they are to become. */
export interface Block<R extends Range = Range> {
  readonly parents: readonly R[]
  readonly children: readonly Range[]
}

/** The shards that are wanted, as `cuts`: where each but the first begins. Throws `INVALID_ARGUMENT` for impossible ones. */
export function rangesOf(cuts: readonly number[], partitions: number): readonly Range[] {
  const firsts = [0, ...cuts]
  const fine = cuts.every((cut, i) => Number.isInteger(cut) && cut > firsts[i]! && cut < partitions)
  if (!fine) throw invalid(`cuts: partitions from 1 to ${partitions - 1} are expected, ascending.`)
  return firsts.map((first, i) => ({ first, last: (firsts[i + 1] ?? partitions) - 1 }))
}

/** Cuts into so many shards of like size. */
export function evenCuts(shards: number, partitions: number): readonly number[] {
  if (!Number.isInteger(shards) || shards < 1 || shards > partitions) {
    throw invalid(`shards: a number from 1 to ${partitions} is expected, as a shard has a partition at least.`)
  }
  return Array.from({ length: shards - 1 }, (_, i) => Math.round(((i + 1) * partitions) / shards))
}

/** The smallest blocks of neighbours that have to change, by their partitions. Both lists tile the same partitions. */
export function blocksOf<R extends Range>(present: readonly R[], wanted: readonly Range[]): readonly Block<R>[] {
  const blocks: Block<R>[] = []
  let parents: R[] = []
  let children: Range[] = []
  const left = [...wanted]
  for (const parent of present) {
    parents.push(parent)
    while (left.length > 0 && left[0]!.last <= parent.last) children.push(left.shift()!)
    if (children.at(-1)?.last !== parent.last) continue
    if (parents.length > 1 || children.length > 1) blocks.push({ parents, children })
    parents = []
    children = []
  }
  return blocks
}
