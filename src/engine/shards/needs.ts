/**
 * What the logs that came of a sealed one need of it: the names that all of their kept entries and all of their pins have (S7). Older
 * logs are read first, as segments go from older ones to younger ones: what a restore takes over is held in the older one until it is
 * in the younger one (S9).
 */
import { equalBytes } from '../../bytes/compare.js'
import { toHex } from '../../bytes/hex.js'
import { isDamage, isExpired } from '../../errors.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { closeLog, type ReadContext } from '../context.js'
import { contextOf, lookAt, type Range } from './end.js'
import { heirsOf } from './heirs.js'
import { offspring, type Offspring } from './offspring.js'

/** A log that was sealed by entry `n`, and its partitions. */
export interface Over extends Child {
  readonly n: number
  readonly seal: Seal
}

/** The logs that follow on a sealed one, and the number with which they begin; `undefined` while that can't be told. */
export type FindSuccessors = (over: Over) => Promise<Successors | undefined>

interface Successors {
  readonly first: number
  readonly children: readonly Child[]
}

/** Looks for them, and makes nothing. A seal is final, and so is what follows on it: what was found once is not looked for again. */
export function findSuccessors(ctx: ReadContext): FindSuccessors {
  const seals = new Map<string, number>()
  const found = new Map<string, Successors>()
  const sealOnce = async (logId: Uint8Array, range: Range): Promise<number | undefined> => {
    const key = toHex(logId)
    const n = seals.get(key) ?? (await sealOf(contextOf(ctx, logId), range))
    if (n !== undefined) seals.set(key, n)
    return n
  }
  return async ({ n, seal, ...child }) => {
    const key = toHex(child.logId)
    seals.set(key, n)
    const known = found.get(key)
    if (known) return known
    const heirs = await heirsOf({ context: ctx, log: child, seal, range: child })
    if (heirs === undefined) return undefined
    const others = heirs.parents.filter((logId) => !equalBytes(logId, child.logId))
    const numbers = await Promise.all(others.map((logId) => sealOnce(logId, child)))
    if (numbers.includes(undefined)) return undefined
    // Their numbers are above those of all parents (S3).
    const successors = { first: 1 + Math.max(n, ...(numbers as number[])), children: heirs.children }
    found.set(key, successors)
    return successors
  }
}

/** The number of the seal of another parent. */
async function sealOf(ctx: ReadContext, range: Range): Promise<number | undefined> {
  const look = await lookAt(ctx, range)
  if (look) await closeLog(look.context, look.log)
  return look?.seal && look.n
}

export interface Needs {
  /** The segments of the sealed log that others name. */
  readonly names: ReadonlySet<string>
  /** The logs that came of it and were not sealed. */
  readonly living: readonly Offspring[]
}

/**
 * What is named of the segments whose names begin with `prefix`. `undefined`: they may need everything, because one of them is not there
 * yet or can't be read.
 */
export async function needsOf(
  ctx: ReadContext,
  prefix: string,
  over: Over,
  successors: FindSuccessors,
): Promise<Needs | undefined> {
  try {
    return await survey(ctx, prefix, over, successors)
  } catch (error) {
    if (!isDamage(error) && !isExpired(error)) throw error
    ctx.warn(`Shards of store "${ctx.store}" could not be read; all that they may need is kept.`, error)
    return undefined
  }
}

async function survey(
  ctx: ReadContext,
  prefix: string,
  over: Over,
  successors: FindSuccessors,
): Promise<Needs | undefined> {
  const names = new Set<string>()
  const living: Offspring[] = []
  const seen = new Set<string>()
  const queue: { readonly child: Child; readonly first: number }[] = []
  for (let next: Over | undefined = over; next;) {
    const found = await successors(next)
    if (found === undefined) return undefined
    for (const child of found.children) {
      const key = toHex(child.logId)
      if (!seen.has(key)) queue.push({ child, first: found.first })
      seen.add(key)
    }
    next = undefined
    while (queue.length > 0 && next === undefined) {
      queue.sort((a, b) => a.first - b.first)
      const { child, first } = queue.shift()!
      const kept = await offspring(contextOf(ctx, child.logId), child.logId, first, prefix)
      if (kept === undefined) return undefined
      for (const name of kept.names) names.add(name)
      if (kept.seal) next = { ...child, n: kept.head, seal: kept.seal }
      else living.push(kept)
    }
  }
  return { names, living }
}
