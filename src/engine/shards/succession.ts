/**
 * From a seal to what follows on it. The seal names the children, so whoever meets it makes what is missing, and all of them make the same
 * (S2). A plan holds when all of its parents carry its seal; a parent that is still open is sealed as well, and where that comes too
 * late each parent goes on by itself in its fallback (S5).
 */
import { allOf } from '../../async.js'
import { equalBytes } from '../../bytes/compare.js'
import { isExpired } from '../../errors.js'
import { landed, unknownOutcome } from '../../log/append.js'
import { emptyCarried, ID_BYTES } from '../../log/entry.js'
import { anchorAfter, encodeAnchor, raiseAnchor } from '../../log/raise.js'
import { readAnchor } from '../../log/anchor.js'
import type { Child, Seal, Turn } from '../../log/shard-parts.js'
import {
  anchorName,
  closeLog,
  currentTime,
  moment,
  noteTime,
  openAnchor,
  openLog,
  type LogContext,
  type ShardContext,
} from '../context.js'
import { buildEntry } from '../entry-builder.js'
import { expired, stateAt } from '../history/past.js'
import { findStore } from '../open/recovery.js'
import { applyEntry, emptyState, type ShardState } from '../state.js'
import type { Moment } from '../moment.js'
import { isLate, sendEntry } from '../write/send.js'
import { contextOf, lookAt, missingLog, rangeOf, type Ended, type Living, type Range } from './end.js'
import { sealLog } from './sealing.js'
import { sideBySide } from './side-by-side.js'
import { standingOf } from './spans.js'

export interface Succession {
  /** What follows on the log, by their partitions; neighbours of the plan among them. */
  readonly children: readonly Child[]
  /** Those that this call has made. They are open, and may be owned as they are (S2), or are to be closed. */
  readonly born: readonly Living<ShardContext>[]
  /** All parents carry the seal; else this log goes on by itself. */
  readonly holds: boolean
  /** Waits until all of it can be found. Those that are born may be written before. */
  readonly named: () => Promise<unknown>
}

export interface SuccessionOptions {
  /** Logs of the plan whose end is known; they are of the caller, who closes them. */
  readonly known?: readonly Ended<ShardContext>[]
  /** Whose turn it is to own children that are made. */
  readonly turn?: Turn | undefined
  /** The caller has planned it at that moment: nobody else can have made anything before, nor is it looked for. */
  readonly since?: Moment | undefined
}

/** A parent of children, as its seal left it. */
interface Parent {
  readonly ended: Ended<ShardContext>
  readonly state: () => Promise<ShardState>
}

/** What follows on a log that was sealed; what is missing is made. */
export async function successors(
  ended: Ended<ShardContext>,
  { known = [], turn, since }: SuccessionOptions = {},
): Promise<Succession> {
  const opened: Ended<ShardContext>[] = []
  const born: Living<ShardContext>[] = []
  const naming: Promise<unknown>[] = []
  try {
    const all = await allOf(ended.seal.parents.map((logId) => endOf(logId, ended, known, opened)))
    const holds = all.every(({ seal }) => equalBytes(seal.plan, ended.seal.plan))
    const parents = (holds ? all : [ended]).map(parentOf)
    const children = holds ? ended.seal.children : [{ logId: ended.seal.fallback, ...ended.range }]
    // Numbers go on above all parents (S3).
    const n = 1 + Math.max(...parents.map((parent) => parent.ended.n))
    const make = async (child: Child): Promise<void> => {
      if (!since && (await isThere(ended.context, child))) return
      if (!since && parents.every((parent) => parent.ended.sealed)) {
        // Made anew it would be as it was at the seal, and nobody would know what is lost.
        if (!(await isFound(ended.context, child))) throw await missingLog(ended.context, child.logId)
        return
      }
      const living = await makeChild({ child, n, parents, turn, since }, note)
      if (living) born.push(living)
    }
    const note = (swap: Promise<unknown>): void => {
      naming.push(swap)
      // Who does not wait for it need not hear of it.
      swap.catch(() => undefined)
    }
    await allOf(children.map(make))
    return { children, born, holds, named: () => allOf(naming) }
  } catch (error) {
    for (const { context, log } of born) await closeLog(context, log)
    throw error
  } finally {
    for (const { context, log } of opened) await closeLog(context, log)
  }
}

/** A child is there once its anchor is. */
async function isThere(ctx: ShardContext, { logId }: Child): Promise<boolean> {
  const { value } = await readAnchor(openAnchor(contextOf(ctx, logId)), anchorName(ctx))
  return value !== undefined
}

/**
 * Whether a child that has no anchor was there and has lost it: it is written anew then, as of any log (R29). It is asked when the anchors
 * of its parents say that they were followed.
 */
async function isFound(context: ShardContext, { logId }: Child): Promise<boolean> {
  const ctx = contextOf(context, logId)
  const anchor = openAnchor(ctx)
  const { value } = await findStore(ctx, anchor)
  return value !== undefined && (await raiseAnchor(anchor, anchorName(ctx), value)) !== undefined
}

/** The end of a parent of the plan; one that is open is sealed (S5). */
async function endOf(
  logId: Uint8Array,
  ended: Ended<ShardContext>,
  known: readonly Ended<ShardContext>[],
  opened: Ended<ShardContext>[],
): Promise<Ended<ShardContext>> {
  const { context: ctx, seal } = ended
  const there = [ended, ...known].find(({ log }) => equalBytes(log.logId, logId))
  if (there) return there
  // Nobody asks for the range of another parent than this one, nor is it told once that was trimmed.
  const look = await lookAt(contextOf(ctx, logId), ended.range)
  if (look === undefined) throw await missingLog(ctx, logId)
  const sealFor = (graceMs: number): Seal => ({
    ...seal,
    fallback: ctx.clock.random(ID_BYTES),
    graceMs: Math.max(graceMs, seal.graceMs),
  })
  try {
    const end = look.seal ? look : await sealLog(look, sealFor)
    opened.push(end)
    return end
  } catch (error) {
    await closeLog(ctx, look.log)
    throw error
  }
}

function parentOf(ended: Ended<ShardContext>): Parent {
  let reading: Promise<ShardState> | undefined
  return { ended, state: () => (reading ??= stateOf(ended)) }
}

/** The state of a log at its seal. It has to end in that: what was removed may be written anew by who comes late (S6). */
async function stateOf({ context: ctx, log, n, seal, state }: Ended<ShardContext>): Promise<ShardState> {
  const read = state ?? (await stateAt(ctx, log, n))
  if (read.seal && equalBytes(read.seal.plan, seal.plan)) return read
  throw expired(ctx.store, n)
}

const SWAP_TRIES = 8

/** What a child is made of. */
interface Making extends Pick<SuccessionOptions, 'turn' | 'since'> {
  readonly child: Child
  /** The number with which it begins. */
  readonly n: number
  readonly parents: readonly Parent[]
}

/**
 * Makes a child, unless another one was first: then `undefined`. When its first entry was slow, the anchor tells whether it counts (R26):
 * whoever swaps that first knows that nothing of the child was trimmed before. `naming` is told of the swap.
 */
async function makeChild(
  { child, n, parents, turn, since }: Making,
  naming: (swap: Promise<unknown>) => void,
): Promise<Living<ShardContext> | undefined> {
  const { context, log: parentLog } = parents[0]!.ended
  const ctx = contextOf(context, child.logId)
  const log = openLog(ctx, openAnchor(ctx), child.logId)
  log.storageTime = parentLog.storageTime
  log.free = since
  let living: Living<ShardContext> | undefined
  try {
    const all = await allOf(parents.map(async ({ ended, state }) => ({ ended, state: await state() })))
    // Where power loss could take a seal back, it must not have been followed.
    if (ctx.durability === 'relaxed') await allOf(parents.map(({ ended }) => ended.log.log.sync()))
    const { base, change } = await beginningOf(ctx, log, child, n, all, turn)
    const built = await buildEntry(log, base, change)
    const sent = moment(ctx, log)
    const what = `store "${ctx.store}" was split or merged; look again.`
    const made = landed(await sendEntry(ctx, log, n - 1, built), what)
    const state = applyEntry(base, built)
    const isFirst = nameChild(log, state, anchorName(ctx))
    naming(isFirst)
    const isSure = made && since && !isLate(ctx, log, made.time)
    if (isSure || ((await isFirst) && made)) {
      noteTime(ctx, log, made.time)
      log.free = sent
      living = { context: ctx, log, state }
    }
    return living
  } catch (error) {
    // The entries of the parents go only when all that follows on them is there.
    if (isExpired(error) && (await isThere(ctx, child))) return undefined
    throw error
  } finally {
    if (!living) await closeLog(ctx, log)
  }
}

/** Writes the anchor of a child, and tells whether it was this call that did. */
async function nameChild({ anchor, logId, path }: LogContext, { carried }: ShardState, what: string): Promise<boolean> {
  const value = anchorAfter(logId, carried)
  for (let tries = SWAP_TRIES; tries > 0; tries--) {
    const { outcome } = await anchor.swap(undefined, encodeAnchor(value), value.trim)
    if (outcome === 'committed') return true
    // Of unknown outcome, it may be our own that is found; then it is as if another one had made it.
    if ((await readAnchor(anchor, what)).value) return false
  }
  throw unknownOutcome(`the log ${path} was begun; look again.`)
}

/** The first entry of a child: the states of its parents side by side, and no segment of its own. */
async function beginningOf(
  ctx: ShardContext,
  log: LogContext,
  child: Child,
  n: number,
  all: readonly { readonly ended: Ended; readonly state: ShardState }[],
  turn: Turn | undefined,
) {
  const { logId, first, last } = child
  const parents = all.filter(({ state }) => overlaps(rangeOf(state), child))
  const sides = parents.map(({ state }) => ({ range: [rangeOf(state).first, rangeOf(state).last] as const, state }))
  const { manifest, memtable } = sideBySide(sides, [first, last])
  const standing = standingOf(
    sides.map(({ range, state }) => ({ range, standing: state.carried })),
    [first, last],
  )
  const carried = parents.map(({ state }) => state.carried)
  const { mode } = carried[0]!
  const base: ShardState = {
    ...emptyState(logId, n - 1, manifest.config),
    carried: { ...emptyCarried(mode), trim: n - 1 },
    headHash: undefined,
  }
  // Of all, so that it can be told with which number the log began.
  const own = { first, last, parents: all.map(({ ended }) => ({ logId: ended.log.logId, n: ended.n })) }
  const change = {
    kind: 'reset',
    mode,
    time: Math.max(...carried.map(({ time }) => time), currentTime(ctx, log)),
    memtable,
    ...standing,
    own,
    turn: turn ?? turnAfter(carried.flatMap((each) => each.turn ?? [])),
    reset: { manifest },
  } as const
  return { base, change }
}

/** Nobody has the turn in a child that somebody else made; fences of older generations still yield (G7). */
function turnAfter(turns: readonly Turn[]): Turn | undefined {
  const [newest] = turns.toSorted((a, b) => b.generation - a.generation)
  return newest && { ...newest, isReleased: true, isTrial: false }
}

export function overlaps(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last
}
