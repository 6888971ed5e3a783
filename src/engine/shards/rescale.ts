/**
 * Splits and merges shards while their owners go on: these are sealed, and what follows on them is made. No segment is written or copied. Anybody
 * may do it; an owner that meets the seal is `FENCED` and opens again.
 */
import { allOf } from '../../async.js'
import { equalBytes } from '../../bytes/compare.js'
import { readAnchor, type AnchorReading } from '../../log/anchor.js'
import { ID_BYTES } from '../../log/entry.js'
import { encodeAnchor } from '../../log/raise.js'
import { decodeSealedEnd, encodeSealedEnd } from '../../log/sealed-anchor.js'
import type { Child, Seal } from '../../log/shard-parts.js'
import { anchorName, closeLog, moment, openAnchor, warnLater, type ReadContext, type ShardContext } from '../context.js'
import { TidemarkError } from '../../errors.js'
import type { Moment } from '../moment.js'
import { contextOf, rangeOf, type Ended, type Living, type Range } from './end.js'
import { closeAnchor, sweep } from './closing.js'
import { leaves, making, type Leaf } from './family.js'
import { blocksOf, rangesOf } from './plan.js'
import { sealLog } from './sealing.js'
import { overlaps, successors } from './succession.js'

/** How often others may split and merge at once before this gives way. */
const TRIES = 8

/** Brings the store to shards that begin at 0 and at the cuts, and resolves with them. */
export async function rescaleLogs(
  ctx: ShardContext,
  cutsOf: (partitions: number) => readonly number[],
): Promise<readonly Child[]> {
  const root = contextOf(ctx)
  for (let tries = TRIES; tries > 0; tries--) {
    const anchor = await readAnchor(openAnchor(root), anchorName(root))
    const all = await leaves(root, making, undefined, anchor)
    if (all === undefined) {
      throw new TidemarkError(
        'NOT_FOUND',
        `There is no store "${ctx.store}" in this storage; check its name and place.`,
      )
    }
    try {
      const now = await rescaleFrom(root, anchor, all, cutsOf)
      if (now) return now
    } finally {
      for (const { context, log } of all) await closeLog(context, log)
    }
  }
  throw new TidemarkError('CONFLICT', `Others split and merge store "${ctx.store}" at the same time; try again.`, {
    retryable: true,
  })
}

/** `undefined` when others did so at once, and what there is has to be looked at anew. */
async function rescaleFrom(
  root: ShardContext,
  anchor: AnchorReading,
  all: readonly Leaf<ShardContext>[],
  cutsOf: (partitions: number) => readonly number[],
): Promise<readonly Child[] | undefined> {
  const living = all.flatMap((leaf) => (leaf.seal ? [] : [{ ...rangeOf(leaf.state), leaf }]))
  const partitions = 1 + living.at(-1)!.last
  const blocks = blocksOf(living, rangesOf(cutsOf(partitions), partitions))
  const changed = blocks.flatMap(({ parents }) => parents)
  const replaced = await allOf(
    blocks.map(({ parents, children }) => {
      const logs = parents.map(({ leaf }) => leaf)
      return replace(logs, children)
    }),
  )
  const still = living.filter((each) => !changed.includes(each))
  const made = replaced.flatMap(({ children }) => children)
  const now = [...still.map(({ first, last, leaf }) => ({ logId: leaf.log.logId, first, last })), ...made]
  now.sort((a, b) => a.first - b.first)
  const done = replaced.every(({ isAsPlanned }) => isAsPlanned)
  const ended = replaced.flatMap((each) => each.ended)
  await noteEnds(root, anchor, ended, done ? now : [])
  return done ? now : undefined
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

interface Replaced {
  readonly ended: readonly Ended<ShardContext>[]
  readonly children: readonly Child[]
  readonly isAsPlanned: boolean
}

async function replace(parents: readonly Living<ShardContext>[], children: readonly Range[]): Promise<Replaced> {
  const [first, ...others] = parents
  const make = planFor(
    first!.context,
    parents.map(({ log }) => log.logId),
    children,
  )
  const { plan } = make(0)
  const since = moment(first!.context, first!.log)
  // The first one begins the plan, and whoever meets its seal can finish it.
  const begun = await sealLog(first!, make)
  if (!equalBytes(begun.seal.plan, plan)) return succeed([begun], plan, undefined)
  return succeed([begun, ...(await allOf(others.map((parent) => sealLog(parent, make))))], plan, since)
}

/** Makes what follows on all of these. */
async function succeed(
  ended: readonly Ended<ShardContext>[],
  plan: Uint8Array,
  since: Moment | undefined,
): Promise<Replaced> {
  const children: Child[] = []
  let isAsPlanned = true
  for (const end of ended) {
    const isOwn = equalBytes(end.seal.plan, plan)
    const {
      born,
      holds,
      children: next,
      named,
    } = await successors(end, { known: ended, since: isOwn ? since : undefined })
    for (const { context, log } of born) await closeLog(context, log)
    await named()
    children.push(...next)
    isAsPlanned &&= isOwn && holds
    // All of them have the same children.
    if (isAsPlanned) break
  }
  return { ended, children, isAsPlanned }
}

/** Notes in the anchors what has ended, and in that of the root what lives. What fails here only takes who comes next longer. */
async function noteEnds(
  root: ShardContext,
  anchor: AnchorReading,
  ended: readonly Ended<ShardContext>[],
  living: readonly Child[],
): Promise<void> {
  const isRoot = ended.some(({ context }) => context.shard === undefined)
  const noting = ended.map((end) => closeAnchor(end, living))
  if (!isRoot && living.length > 0 && ended.length > 0) noting.push(hint(root, living, anchor))
  for (const { reason } of (await Promise.allSettled(noting)).filter((each) => each.status === 'rejected')) {
    warnLater(root, 'Noting the shards', reason)
  }
}

const HINT_TRIES = 4

/**
 * Notes in the root's anchor that these logs live, in the place of those whose partitions they have. It is only a hint: when others come
 * first each time, theirs stays.
 */
export async function hint(ctx: ReadContext, children: readonly Child[], seen?: AnchorReading): Promise<void> {
  const anchor = openAnchor(ctx)
  for (let tries = HINT_TRIES, found = seen; tries > 0; tries--, found = undefined) {
    const { value, token } = found ?? (await readAnchor(anchor, anchorName(ctx)))
    if (value === undefined) return sweep(ctx, children)
    if (value.sealed === undefined) return
    const end = decodeSealedEnd(value.sealed, anchorName(ctx))
    const others = end.living.filter((other) => !children.some((child) => overlaps(other, child)))
    const living = [...others, ...children].sort((a, b) => a.first - b.first)
    const sealed = encodeSealedEnd({ ...end, living })
    const { outcome } = await anchor.swap(token, encodeAnchor({ ...value, sealed }), value.trim)
    if (outcome === 'committed') return
  }
}
