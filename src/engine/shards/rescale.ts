/**
 * Splits and merges shards while their owners go on: these are sealed, and what follows on them is made. No segment is written or copied. Anybody
 * may do it; an owner that meets the seal is `FENCED` and opens again.
 */
import { readAnchor } from '../../log/anchor.js'
import { ID_BYTES } from '../../log/entry.js'
import { encodeAnchor } from '../../log/raise.js'
import { decodeSealedEnd, encodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, warnLater, type ReadContext, type ShardContext } from '../context.js'
import { TidemarkError } from '../../errors.js'
import { rangeOf, type Ended, type Living, type Range } from './end.js'
import { closeAnchor } from './closing.js'
import { leaves, making } from './family.js'
import { blocksOf, rangesOf } from './plan.js'
import { sealLog } from './sealing.js'
import { successors } from './succession.js'

/** Brings the store to shards that begin at 0 and at the cuts, and resolves with them. */
export async function rescaleLogs(
  ctx: ShardContext,
  cutsOf: (partitions: number) => readonly number[],
): Promise<readonly Child[]> {
  const root = { ...ctx, shard: undefined }
  const all = await leaves(root, making)
  if (all === undefined) {
    throw new TidemarkError('NOT_FOUND', `There is no store "${ctx.store}" in this storage; check its name and place.`)
  }
  try {
    const living = all.flatMap((leaf) => (leaf.seal ? [] : [{ ...rangeOf(leaf.state), leaf }]))
    const wanted = rangesOf(cutsOf(1 + living.at(-1)!.last), 1 + living.at(-1)!.last)
    const blocks = blocksOf(living, wanted)
    const changed = blocks.flatMap(({ parents }) => parents)
    const made = await Promise.all(
      blocks.map(({ parents, children }) =>
        replace(
          parents.map(({ leaf }) => leaf),
          children,
        ),
      ),
    )
    const still = living.filter((each) => !changed.includes(each))
    const now = [...still.map(({ first, last, leaf }) => ({ logId: leaf.log.logId, first, last })), ...made.flat()]
    now.sort((a, b) => a.first - b.first)
    if (blocks.length > 0) await hint(root, now).catch((cause: unknown) => warnLater(ctx, 'Noting the shards', cause))
    return now
  } finally {
    for (const { context, log } of all) await closeLog(context, log)
  }
}

/** A plan for neighbouring logs. */
export function planFor(
  ctx: ShardContext,
  parents: readonly Uint8Array[],
  children: readonly Range[],
): (graceMs: number) => Seal {
  const plan = ctx.clock.random(ID_BYTES)
  const named = children.map((range) => ({ logId: ctx.clock.random(ID_BYTES), first: range.first, last: range.last }))
  return (graceMs) => ({ plan, parents, children: named, fallback: ctx.clock.random(ID_BYTES), graceMs })
}

async function replace(
  parents: readonly Living<ShardContext>[],
  children: readonly Range[],
): Promise<readonly Child[]> {
  const [first] = parents
  const make = planFor(
    first!.context,
    parents.map(({ log }) => log.logId),
    children,
  )
  // The first one begins the plan, and whoever meets its seal can finish it.
  const ended = [await sealLog(first!, make)]
  ended.push(...(await Promise.all(parents.slice(1).map((parent) => sealLog(parent, make)))))
  return succeed(ended)
}

/** Makes what follows on all of these, and notes it in their anchors. */
export async function succeed(ended: readonly Ended<ShardContext>[]): Promise<readonly Child[]> {
  const all = new Map<string, Child>()
  for (const end of ended) {
    const { children, born } = await successors(end, { known: ended })
    for (const { context, log } of born) await closeLog(context, log)
    for (const child of children) all.set(String(child.first), child)
  }
  for (const end of ended) {
    if (end.state)
      await closeAnchor(end, end.state).catch((cause: unknown) => warnLater(end.context, 'Closing a log', cause))
  }
  return [...all.values()].sort((a, b) => a.first - b.first)
}

const TRIES = 4

/**
 * Notes in the root's anchor which logs live. It is only a hint: whoever finds another one there, which others wrote, leaves it when the
 * swaps are lost.
 */
export async function hint(ctx: ReadContext, living: readonly Child[]): Promise<void> {
  const anchor = openAnchor(ctx)
  for (let tries = TRIES; tries > 0; tries--) {
    const { value, token } = await readAnchor(anchor, anchorName(ctx))
    if (value?.sealed === undefined) return
    const sealed = encodeSealedEnd({ ...decodeSealedEnd(value.sealed, anchorName(ctx)), living })
    const { outcome } = await anchor.swap(token, encodeAnchor({ ...value, sealed }), value.trim)
    if (outcome === 'committed') return
  }
}
