/**
 * The logs that the shards of a handle came of, from the root down: those that were sealed, as far as they have any of its partitions.
 * Sealed anchors stay until the store is destroyed, so that these are found when nothing but an anchor, or a tag, is left of them.
 */
import { emptyCarried } from '../../log/entry.js'
import type { StoreConfig } from '../../manifest/manifest.js'
import { closeLog, moment, type ShardContext } from '../context.js'
import { stateAt, type RepairedLog } from '../history/past.js'
import type { Shown } from '../open/following.js'
import { DamageDetector } from '../repair/detector.js'
import { emptyState, type KeptLog, type ShardState } from '../state.js'
import { contextOf, lookAt, rangeOf, type Ended, type Range } from './end.js'
import { heirsOf } from './heirs.js'
import { overlaps } from './succession.js'

/** A log whose versions are looked for. */
export type PastLog = RepairedLog & KeptLog

/** A log among those that others came of. */
export interface Kin extends Range {
  /** The number of its seal; `undefined` in one of the handle's own. */
  readonly sealedAt: number | undefined
  /** The logs that it came of. */
  readonly parents: Kin[]
  /** As its seal left it. What is kept of it, its anchor says. */
  open(): Promise<PastLog>
}

/** The handle whose past is looked into. */
export type Descendant = PastLog & Pick<Shown, 'others'>

/** The logs of a handle: its own, or those that it follows. */
export function ownLogs(shard: PastLog): readonly PastLog[] {
  return shard.state.of?.parts.map(({ of }) => of as PastLog) ?? [shard]
}

/** Whether there can be anything before the logs of a handle. */
export function hasParents({ state }: PastLog): boolean {
  return state.of !== undefined || state.carried.own !== undefined
}

/** The logs of a handle with all that they came of, by their partitions. */
export async function lineageOf(shard: Descendant): Promise<readonly Kin[]> {
  const own = ownLogs(shard).map((log): Kin => {
    return { ...rangeOf(log.state), sealedAt: undefined, parents: [], open: () => Promise.resolve(log) }
  })
  const within = { first: own[0]!.first, last: own.at(-1)!.last }
  const known = new Map(
    ownLogs(shard).map((log, at) => [log.context.shard ?? '', Promise.resolve<Kin | undefined>(own[at]!)]),
  )
  const { config } = shard.state.manifest
  const visit = (ctx: ShardContext, range?: Range): Promise<Kin | undefined> => {
    const key = ctx.shard ?? ''
    const found = known.get(key) ?? look(ctx, range)
    known.set(key, found)
    return found
  }
  const look = async (ctx: ShardContext, range?: Range): Promise<Kin | undefined> => {
    const ended = await endOf(shard, ctx, range)
    if (ended === undefined) return undefined
    const kin: Kin = { ...ended.range, sealedAt: ended.n, parents: [], open: once(() => openPast(ended, config)) }
    const children = (await heirsOf(ended, within))?.children ?? []
    for (const child of children) {
      const heir = await visit(contextOf(ctx, child.logId), child)
      if (heir && overlaps(child, ended.range)) heir.parents.push(kin)
    }
    return kin
  }
  await visit({ ...shard.context, shard: undefined })
  return own
}

/** All of them, each once. */
export function allOf(own: readonly Kin[]): readonly Kin[] {
  const all = new Set(own)
  for (const kin of all) for (const parent of kin.parents) all.add(parent)
  return [...all]
}

/** A log that was sealed; `undefined` of one that lives. It stays open until the handle is closed. */
async function endOf(
  shard: Descendant,
  ctx: ShardContext,
  range: Range | undefined,
): Promise<Ended<ShardContext> | undefined> {
  const local = ctx.clock.monotonic()
  const found = await lookAt(ctx, range)
  if (!found?.seal) {
    if (found) await closeLog(ctx, found.log)
    return undefined
  }
  const before = shard.others.get(found.log.path)
  if (before) await closeLog(ctx, found.log)
  else shard.others.set(found.log.path, { context: ctx, log: found.log })
  const log = before?.log ?? found.log
  // Since then what the anchor says of it is known to be kept.
  log.free = { ...moment(ctx, log), local }
  return { ...found, log }
}

async function openPast(ended: Ended<ShardContext>, config: StoreConfig): Promise<PastLog> {
  const { context, log, seal } = ended
  const state = { ...(await stateOfEnd(ended, config)), seal }
  const past = { context, log, state, replace: () => undefined }
  return { ...past, detector: new DamageDetector(past) }
}

async function stateOfEnd(
  { context, log, n, range, sealed, state }: Ended<ShardContext>,
  config: StoreConfig,
): Promise<ShardState> {
  if (sealed && sealed.keeps > n) {
    const carried = { ...emptyCarried('exclusive'), version: n, keeps: n + 1, trim: n, own: { ...range, parents: [] } }
    return { ...emptyState(log.logId, n, config), carried }
  }
  const last = state ?? (await stateAt(context, log, n))
  const { carried } = last
  return { ...last, carried: { ...carried, keeps: Math.max(carried.keeps, sealed?.keeps ?? 0) } }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
