/**
 * From a seal to what follows on it. The seal names the children, so whoever meets it makes what is missing, and all of them make the same
 * (S2). A plan holds when all of its parents carry its seal; a parent that is still open is sealed as well, and where that comes too
 * late each parent goes on by itself in its fallback (S5).
 */
import { equalBytes } from '../../bytes/compare.js'
import { corrupt } from '../../errors.js'
import { landed } from '../../log/append.js'
import { emptyCarried, ID_BYTES } from '../../log/entry.js'
import { anchorAfter, encodeAnchor } from '../../log/raise.js'
import { readAnchor } from '../../log/anchor.js'
import type { Child, Turn } from '../../log/shard-parts.js'
import {
  anchorName,
  closeLog,
  currentTime,
  moment,
  noteTime,
  openAnchor,
  openLog,
  type ShardContext,
} from '../context.js'
import { buildEntry } from '../entry-builder.js'
import { stateAt } from '../history/past.js'
import { applyEntry, emptyState, type ShardState } from '../state.js'
import { isLate, sendEntry } from '../write/send.js'
import { contextOf, lookAt, pathOf, rangeOf, type Ended, type Living, type Range } from './end.js'
import { sealLog } from './sealing.js'
import { sideBySide } from './side-by-side.js'
import { positionsOf } from './positions.js'

export interface Succession {
  /** What follows on the log, by their partitions; neighbours of the plan among them. */
  readonly children: readonly Child[]
  /** Those that this call has made. They are open, and may be owned as they are (S2), or are to be closed. */
  readonly born: readonly Living<ShardContext>[]
}

export interface SuccessionOptions {
  /** Logs of the plan whose end is known, by the hex of their ids. */
  readonly known?: readonly Ended<ShardContext>[]
  /** Whose turn it is to own children that are made. */
  readonly turn?: Turn | undefined
}

/** A parent of children, as its seal left it. */
interface Parent {
  readonly ended: Ended<ShardContext>
  readonly state: () => Promise<ShardState>
}

/** What follows on a log that was sealed; all of it is there afterwards. */
export async function successors(
  ended: Ended<ShardContext>,
  { known = [], turn }: SuccessionOptions = {},
): Promise<Succession> {
  const opened: Ended<ShardContext>[] = []
  const born: Living<ShardContext>[] = []
  try {
    const all = await parentsOf(ended, known, opened)
    const holds = all.every(({ seal }) => equalBytes(seal.plan, ended.seal.plan))
    const parents = (holds ? all : [ended]).map(parentOf)
    const children = holds ? ended.seal.children : [{ logId: ended.seal.fallback, ...ended.range }]
    // Numbers go on above all parents (S3).
    const n = 1 + Math.max(...parents.map((parent) => parent.ended.n))
    const made = await Promise.all(children.map((child) => makeChild(child, n, parents, turn)))
    born.push(...made.flatMap((living) => living ?? []))
    return { children, born }
  } finally {
    for (const { context, log } of opened) await closeLog(context, log)
  }
}

/** The ends of all parents of a plan, in its order; those that are open are sealed first. */
async function parentsOf(
  ended: Ended<ShardContext>,
  known: readonly Ended<ShardContext>[],
  opened: Ended<ShardContext>[],
): Promise<readonly Ended<ShardContext>[]> {
  const { context: ctx, seal } = ended
  const isOf = (logId: Uint8Array) => (end: Ended) => equalBytes(end.log.logId, logId)
  return Promise.all(
    seal.parents.map(async (logId) => {
      const there = [ended, ...known].find(isOf(logId))
      if (there) return there
      // The range of a parent that was sealed and trimmed is told by nobody here, nor does anybody ask.
      const look = await lookAt(contextOf(ctx, logId), ended.range)
      if (look === undefined)
        throw corrupt(`Log ${pathOf(ctx.store, { logId })} is missing. Restore the store from a backup.`)
      const end = look.seal ? look : await sealed(look, ended)
      opened.push(end)
      return end
    }),
  )
}

async function sealed(living: Living<ShardContext>, { seal }: Ended<ShardContext>): Promise<Ended<ShardContext>> {
  const { context: ctx } = living
  try {
    return await sealLog(living, (graceMs) => ({ ...seal, fallback: ctx.clock.random(ID_BYTES), graceMs }))
  } catch (error) {
    await closeLog(ctx, living.log)
    throw error
  }
}

function parentOf(ended: Ended<ShardContext>): Parent {
  let reading: Promise<ShardState> | undefined
  const read = (): Promise<ShardState> => stateAt(ended.context, ended.log, ended.n)
  return { ended, state: () => (reading ??= ended.state ? Promise.resolve(ended.state) : read()) }
}

/** Makes a child unless it is there: then, and when another one was first, `undefined`. A child is there once its anchor is. */
async function makeChild(
  child: Child,
  n: number,
  parents: readonly Parent[],
  turn: Turn | undefined,
): Promise<Living<ShardContext> | undefined> {
  const ctx = contextOf(parents[0]!.ended.context, child.logId)
  const anchor = openAnchor(ctx)
  const seen = { storage: undefined, local: ctx.clock.monotonic() }
  const there = await readAnchor(anchor, anchorName(ctx))
  if (there.value) return undefined
  const from = await Promise.all(parents.map(async ({ ended, state }) => ({ ended, state: await state() })))
  const mine = from.filter(({ state }) => overlaps(rangeOf(state), child))
  const log = openLog(ctx, anchor, child.logId)
  noteTime(ctx, log, there.time)
  let living: Living<ShardContext> | undefined
  try {
    log.free = { ...seen, storage: there.time }
    const begun = await beginningOf(ctx, child, n, mine, turn)
    const built = await buildEntry(log, begun.base, {
      ...begun.change,
      time: Math.max(begun.time, currentTime(ctx, log)),
    })
    const sent = moment(ctx, log)
    const made = landed(
      await sendEntry(ctx, log, n - 1, built),
      `store "${ctx.store}" was split or merged; look again.`,
    )
    const state = applyEntry(begun.base, built)
    const late = made !== undefined && isLate(ctx, log, made.time)
    const value = anchorAfter(child.logId, state.carried)
    const { outcome } = await anchor.swap(undefined, encodeAnchor(value), value.trim)
    if (outcome === 'unknown' && (await readAnchor(anchor, anchorName(ctx))).value === undefined)
      throw corrupt(`The anchor of log ${log.path} could not be written; try again.`)
    if (made && !late && outcome === 'committed') {
      noteTime(ctx, log, made.time)
      log.free = sent
      living = { context: ctx, log, state }
    }
    return living
  } finally {
    if (!living) await closeLog(ctx, log)
  }
}

/** The first entry of a child: the states of its parents side by side, and no segment of its own. */
async function beginningOf(
  ctx: ShardContext,
  { logId, first, last }: Child,
  n: number,
  parents: readonly { readonly ended: Ended; readonly state: ShardState }[],
  turn: Turn | undefined,
) {
  const sides = parents.map(({ state }) => ({ range: [rangeOf(state).first, rangeOf(state).last] as const, state }))
  const { manifest, memtable } = sideBySide(sides, [first, last])
  const positions = positionsOf(
    parents.map(({ state }) => ({ ...rangeOf(state), ...state.carried })),
    { first, last },
  )
  const carried = parents.map(({ state }) => state.carried)
  const { mode } = carried[0]!
  const base: ShardState = {
    ...emptyState(logId, n - 1, manifest.config),
    carried: { ...emptyCarried(mode), trim: n - 1 },
    headHash: undefined,
  }
  const own = { first, last, parents: parents.map(({ ended }) => ({ logId: ended.log.logId, n: ended.n })) }
  const change = {
    kind: 'reset',
    mode,
    memtable,
    ...positions,
    own,
    turn: turn ?? turnAfter(carried.flatMap((each) => each.turn ?? [])),
    reset: { manifest },
  } as const
  return { base, change, time: Math.max(...carried.map(({ time }) => time)) }
}

/** Nobody has the turn in a child that somebody else made; fences of older generations still yield (G7). */
function turnAfter(turns: readonly Turn[]): Turn | undefined {
  const [newest] = turns.toSorted((a, b) => b.generation - a.generation)
  return newest && { ...newest, isReleased: true, isTrial: false }
}

export function overlaps(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last
}
