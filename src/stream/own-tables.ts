/**
 * Tables of `consume` itself in the partitions of a shard. They are written in the first partition only; but a shard that was merged
 * has had several first ones.
 */
import { internalTable } from '../engine/slot.js'
import { recordedCodec, type ShardState } from '../engine/state.js'
import type { PartitionRange } from '../manifest/clip.js'

/** How many partitions are looked at side by side. */
const AT_ONCE = 16

/** Looks at the partitions that may have something in a table of `consume`, beside the first one of the shard. */
export async function eachPartition(
  state: ShardState,
  table: string,
  [first, last]: PartitionRange,
  look: (partition: number) => Promise<void>,
): Promise<void> {
  if (state.carried.own === undefined || recordedCodec(state, internalTable(table)) === undefined) return
  for (let from = first; from <= last; from += AT_ONCE) {
    const length = Math.min(AT_ONCE, last - from + 1)
    await Promise.all(Array.from({ length }, (_, i) => look(from + i)))
  }
}
