/** The logs of a group's shards: which of them live, and a handle on one. */
import { fromHex, toHex } from '../bytes/hex.js'
import { isDamage, isTidemarkError, TidemarkError } from '../errors.js'
import { readAnchor } from '../log/anchor.js'
import { ROOT } from '../manifest/names.js'
import { anchorName, closeLog, openAnchor, type ShardContext } from '../engine/context.js'
import { contextOf, lookAt } from '../engine/shards/end.js'
import { leaves, making, rangeOfLeaf, type Leaf } from '../engine/shards/family.js'
import { deadlines } from '../storage/deadlines.js'
import { shardContext } from '../store/context.js'
import { StoreHandle } from '../store/handle.js'
import { refuse } from '../store/identity.js'
import { isAsked, type ResolvedOptions } from '../store/open-options.js'
import type { Control } from './control.js'
import { inOrder, type GroupState, type LivingLog } from './state.js'
import { replaced } from './transitions.js'

/** The shards of a store, and the log with which it began. */
export interface Family {
  /** The id of that log. */
  readonly root: string
  readonly partitions: number
  readonly living: readonly LivingLog[]
  /** The highest generation that their logs know of. */
  readonly generation: number
}

/** The surroundings in which logs are looked at, and children of sealed ones are made. */
export function surroundings(options: ResolvedOptions, warn: ShardContext['warn']): ShardContext {
  const { timeoutMs, clock } = options
  const storage = deadlines(options.storage, { timeoutMs, clock, requests: { put: 0, get: 0, list: 0, delete: 0 } })
  const nothing = (): void => undefined
  return shardContext(options, storage, { warn, moved: nothing, committed: nothing, emit: nothing })
}

/** Creates the store unless it exists. Nobody is fenced. */
export async function ensureStore(ctx: ShardContext, options: ResolvedOptions): Promise<void> {
  if ((await readAnchor(openAnchor(ctx), anchorName(ctx))).value) return
  try {
    const handle = await StoreHandle.open({ ...options, mode: 'exclusive', create: true })
    await handle.close()
  } catch (error) {
    // Somebody else came first, or the anchor was lost.
    if (!isTidemarkError(error) || error.code !== 'INVALID_ARGUMENT') throw error
  }
}

/** The log with which the store began. A shard that is damaged keeps nobody from owning the others. */
export async function findRoot(ctx: ShardContext, options: ResolvedOptions): Promise<string> {
  try {
    return (await findFamily(ctx, options)).root
  } catch (error) {
    const value = isDamage(error) ? (await readAnchor(openAnchor(ctx), anchorName(ctx))).value : undefined
    if (value === undefined) throw error
    return toHex(value.logId)
  }
}

/**
 * The shards as the logs tell them; what is missing is made. It begins at the anchors, so that nobody writes down a log that they
 * do not name.
 */
export async function findFamily(ctx: ShardContext, options: ResolvedOptions): Promise<Family> {
  const found = await leaves(ctx, making)
  if (!found) throw new TidemarkError('NOT_FOUND', `There is no store "${ctx.store}" any more.`)
  try {
    const { value } = await readAnchor(openAnchor(ctx), anchorName(ctx))
    const states = found.flatMap(({ state }) => state ?? [])
    const [state] = states
    if (state && !isAsked(options, state)) refuse(options, state)
    const { partitions } = state!.manifest.config
    const root = toHex(value ? value.logId : state!.logId)
    const generation = Math.max(0, ...states.map(({ carried }) => carried.turn?.generation ?? 0))
    return { root, partitions, living: found.map(livingOf), generation }
  } finally {
    for (const { context, log } of found) await closeLog(context, log)
  }
}

function livingOf(leaf: Leaf): LivingLog {
  const { first, last } = rangeOfLeaf(leaf)
  return { id: toHex(leaf.log.logId), first, last }
}

/** A handle that follows the log of a shard, and no other. */
export function openFollower(options: ResolvedOptions, root: string, id: string): Promise<StoreHandle> {
  return StoreHandle.open({ ...options, mode: 'follower', create: undefined, folder: id === root ? ROOT : id })
}

/** Whether the log of a shard is no longer the one that a handle follows: it was sealed, or the store was made anew. */
export function hasEnded({ shard, state }: StoreHandle, id: string): boolean {
  return state.seal !== undefined || shard.together !== undefined || toHex(state.logId) !== id
}

/** Those of the shards whose logs were sealed. That is final, whatever else may have changed meanwhile. */
async function sealedOf(ctx: ShardContext, root: string, shards: Iterable<LivingLog>): Promise<Set<string>> {
  const sealed = new Set<string>()
  for (const { id, first, last } of shards) {
    const look = await lookAt(contextOf(ctx, id === root ? undefined : fromHex(id)), { first, last })
    if (look === undefined || look.seal) sealed.add(id)
    if (look) await closeLog(look.context, look.log)
  }
  return sealed
}

/** Puts what follows on logs that were sealed in their place in the control store; it is made where it is missing. */
export async function goOn(ctx: ShardContext, options: ResolvedOptions, control: Control): Promise<void> {
  const { root, living } = await findFamily(ctx, options)
  const isLiving = new Set(living.map(({ id }) => id))
  const others = [...control.state.shards.values()].filter(({ id }) => !isLiving.has(id))
  const sealed = await sealedOf(ctx, root, others)
  await control.transact((state) => reconciled(state, sealed, living))
}

/** The state with the logs that live in place of those that were sealed. */
function reconciled(state: GroupState, sealed: ReadonlySet<string>, living: readonly LivingLog[]): GroupState {
  const old = inOrder(state).filter(({ id }) => sealed.has(id))
  const isOld = (partition: number): boolean => old.some(({ first, last }) => first <= partition && partition <= last)
  const fresh = living
    .filter(({ id, first, last }) => !state.shards.has(id) && isOld(first) && isOld(last))
    .toSorted((a, b) => a.first - b.first)
  let next = state
  let parents: LivingLog[] = []
  let children: LivingLog[] = []
  for (const parent of old) {
    parents.push(parent)
    while (fresh[0] && fresh[0].last <= parent.last) children.push(fresh.shift()!)
    if (children.at(-1)?.last !== parent.last) continue
    const ids = parents.map(({ id }) => id)
    next = replaced(next, ids, children)
    parents = []
    children = []
  }
  return next
}
