/**
 * What the logs that came of a sealed one need of it: the names that all of their kept entries and all of their pins have (S7). Older
 * logs are read first, as segments go from older ones to younger ones: what a restore takes over is held in the older one until it is
 * in the younger one (S9).
 */
import { toHex } from '../../bytes/hex.js'
import { isDamage, isExpired } from '../../errors.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { segmentsPrefix } from '../../manifest/listed-names.js'
import type { ReadContext } from '../context.js'
import { keptLog, type KeptLog } from './kept-log.js'

/** A log that was sealed by entry `n`. */
export interface Ended {
  readonly logId: Uint8Array
  readonly n: number
  readonly seal: Seal
}

/** The logs that follow on a sealed one, and the number with which they begin; `undefined` while that can't be told, or not all are there. */
export type FindSuccessors = (
  ended: Ended,
) => Promise<{ readonly first: number; readonly children: readonly Child[] } | undefined>

export interface Needs {
  /** The segments of the sealed log that others name. */
  readonly names: ReadonlySet<string>
  /** The logs that came of it and were not sealed. */
  readonly living: readonly KeptLog[]
}

/** `undefined`: they may need everything, because one of them is not there yet or can't be read. */
export async function needsOf(
  ctx: ReadContext,
  path: string,
  ended: Ended,
  successors: FindSuccessors,
): Promise<Needs | undefined> {
  try {
    return await survey(ctx, segmentsPrefix(path), ended, successors)
  } catch (error) {
    if (!isDamage(error) && !isExpired(error)) throw error
    ctx.warn(`What came of ${path} could not be read; all that it has is kept.`, error)
    return undefined
  }
}

async function survey(
  ctx: ReadContext,
  prefix: string,
  ended: Ended,
  successors: FindSuccessors,
): Promise<Needs | undefined> {
  const names = new Set<string>()
  const living: KeptLog[] = []
  const seen = new Set<string>()
  const queue: { readonly logId: Uint8Array; readonly first: number }[] = []
  for (let next: Ended | undefined = ended; next;) {
    const found = await successors(next)
    if (found === undefined) return undefined
    for (const { logId } of found.children) {
      if (!seen.has(toHex(logId))) queue.push({ logId, first: found.first })
      seen.add(toHex(logId))
    }
    next = undefined
    while (queue.length > 0 && next === undefined) {
      queue.sort((a, b) => a.first - b.first)
      const { logId, first } = queue.shift()!
      const kept = await keptLog({ ...ctx, shard: toHex(logId) }, logId, first, prefix)
      if (kept === undefined) return undefined
      for (const name of kept.names) names.add(name)
      if (kept.seal) next = { logId, n: kept.head, seal: kept.seal }
      else living.push(kept)
    }
  }
  return { names, living }
}
