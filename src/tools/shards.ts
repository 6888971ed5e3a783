/** The shards of a store, for tools: all that its seals name, however far they have come. */
import { toHex } from '../bytes/hex.js'
import { isDamage } from '../errors.js'
import { closeLog, openAnchor, openLog, anchorName, type ReadContext } from '../engine/context.js'
import { readLog } from '../engine/open/recovery.js'
import { finding } from '../engine/shards/heirs.js'
import { leaves, rangeOfLeaf } from '../engine/shards/family.js'
import { readAnchor } from '../log/anchor.js'
import { decodeSealedEnd } from '../log/sealed-anchor.js'
import type { Seal } from '../log/shard-parts.js'

/**
 * The shards `from` which a walk begins (`undefined`: the root), and all that their seals name, those that never came about among them. A
 * log whose end cannot be read leads to none.
 */
export async function namedShards(ctx: ReadContext, from: readonly (string | undefined)[]): Promise<string[]> {
  const queue = [...from]
  const seen = new Set(from)
  for (const shard of queue) {
    const seal = await sealOf({ ...ctx, shard })
    for (const logId of seal ? [...seal.children.map((child) => child.logId), seal.fallback] : []) {
      const named = toHex(logId)
      if (!seen.has(named)) queue.push(named)
      seen.add(named)
    }
  }
  return queue.filter((shard) => shard !== undefined)
}

/** The seal of a shard's log, by its anchor or by its last entry. */
async function sealOf(ctx: ReadContext): Promise<Seal | undefined> {
  const anchor = openAnchor(ctx)
  try {
    const { value } = await readAnchor(anchor, anchorName(ctx))
    if (value === undefined) return undefined
    if (value.sealed) return decodeSealedEnd(value.sealed, anchorName(ctx)).seal
    const log = openLog(ctx, anchor, value.logId)
    try {
      return (await readLog(ctx, log, value)).seal
    } finally {
      await closeLog(ctx, log)
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    return undefined
  }
}

/** The first partitions of the shards that live; `[0]` where that cannot be read. */
export async function firstsOf(ctx: ReadContext): Promise<readonly number[]> {
  try {
    const found = (await leaves(ctx, finding())) ?? []
    for (const { context, log } of found) await closeLog(context, log)
    const firsts = found.map((leaf) => rangeOfLeaf(leaf).first)
    return firsts.length > 0 ? [...new Set(firsts)] : [0]
  } catch (error) {
    if (!isDamage(error)) throw error
    return [0]
  }
}
