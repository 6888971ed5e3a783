/** The logs of a store that was split: those that live, and the family from which they come. Nothing is written. */
import { systemClock } from '../clock.js'
import { isDamage, TidemarkError } from '../errors.js'
import { toHex } from '../bytes/hex.js'
import { readAnchor } from '../log/anchor.js'
import type { Child, Turn } from '../log/shard-parts.js'
import { anchorName, closeLog, openAnchor, type ReadContext } from '../engine/context.js'
import { stateAt } from '../engine/history/past.js'
import { segmentsOf, tailBytes, type ShardState } from '../engine/state.js'
import { contextOf, lookAt } from '../engine/shards/end.js'
import { leaves, rangeOfLeaf, type Leaf } from '../engine/shards/family.js'
import { finding, heirsOf } from '../engine/shards/heirs.js'
import { checkPlace, type StorePlace } from './place.js'
import { deadlines } from '../storage/deadlines.js'

/** A shard of a store: a run of neighbouring partitions, and the log that has them. */
export interface ShardLog {
  /** Its first partition. */
  readonly first: number
  /** Its last partition. */
  readonly last: number
  /** Its newest version; 0 when nothing was committed. */
  readonly version: number
  /** The id of its log, in hex digits. */
  readonly log: string
  /** The ids of the logs that it came of; none of the log with which the store began. */
  readonly parents: readonly string[]
  /** It was split or merged at this entry, and what follows on it was not made yet: the next writer does. */
  readonly sealed?: number
}

/** A shard, with what it holds. */
export interface FullShard {
  readonly shard: ShardLog
  readonly tail: { readonly entries: number; readonly bytes: number }
  /** Bytes of segments that lie in its own log, and of those that lie in others, of which some partitions may count. */
  readonly segments: { readonly own: number; readonly borrowed: number }
  readonly turn: Turn | undefined
}

/** A log of the family: one that lives, or that was sealed. */
export interface FamilyLog {
  readonly first: number
  readonly last: number
  readonly log: string
  /** The number of its seal; `undefined` when it lives. */
  readonly sealed: number | undefined
  /** The ids of the logs that follow on it, as far as they are there. */
  readonly children: readonly string[]
}

/**
 * Lists the shards of a store, by their partitions. A store that was never split has one.
 *
 * @throws `NOT_FOUND` when there is no such store, `STORAGE_UNAVAILABLE` when the storage does not answer, `CORRUPT` when
 *   it is damaged
 * @example
 *     for (const { first, last, version } of await listShards({ storage, name: 'orders' })) console.log(first, last, version)
 */
export async function listShards(place: StorePlace): Promise<ShardLog[]> {
  checkPlace('listShards', place)
  return (await fullShards(place)).map(({ shard }) => shard)
}

/** Whether a store was split, as its anchor says: one read, and no error where that is damaged or missing. */
export async function wasSplit(place: StorePlace): Promise<boolean> {
  const ctx = readContext(place)
  try {
    return (await readAnchor(openAnchor(ctx), anchorName(ctx))).value?.sealed !== undefined
  } catch (error) {
    if (!isDamage(error)) throw error
    return false
  }
}

/** The same, with what each shard holds. */
export async function fullShards(place: StorePlace): Promise<FullShard[]> {
  const ctx = readContext(place)
  const found = await leaves(ctx, finding())
  if (found === undefined) throw notFound(place)
  const shards: FullShard[] = []
  for (const leaf of found) {
    try {
      shards.push(await describe(leaf))
    } finally {
      await closeLog(leaf.context, leaf.log)
    }
  }
  return shards
}

async function describe(leaf: Leaf): Promise<FullShard> {
  const { context, log } = leaf
  const state = leaf.seal ? (leaf.state ?? (await stateAt(context, log, leaf.n))) : leaf.state
  const { carried } = state
  const { first, last } = rangeOfLeaf(leaf)
  return {
    shard: {
      first,
      last,
      version: carried.version,
      log: toHex(log.logId),
      parents: (carried.own?.parents ?? []).map(({ logId }) => toHex(logId)),
      ...(leaf.seal && { sealed: leaf.n }),
    },
    tail: { entries: state.tail.length, bytes: tailBytes(state) },
    segments: bytesOf(state, log.path),
    turn: carried.turn,
  }
}

function bytesOf(state: ShardState, path: string): FullShard['segments'] {
  let [own, borrowed] = [0, 0]
  for (const { log, length } of segmentsOf(state)) {
    if (log === path) own += length
    else borrowed += length
  }
  return { own, borrowed }
}

/** All logs of a store, from the one with which it began; each is listed after those that it came of. */
export async function familyOf(place: StorePlace): Promise<FamilyLog[]> {
  const root = readContext(place)
  const seen = new Set<string>()
  const family: FamilyLog[] = []
  const visit = async (child: Child | undefined): Promise<void> => {
    const key = child ? toHex(child.logId) : ''
    if (seen.has(key)) return
    seen.add(key)
    const look = await lookAt(contextOf(root, child?.logId), child)
    if (look === undefined) {
      if (child) return
      throw notFound(place)
    }
    try {
      const children = look.seal ? ((await heirsOf(look))?.children ?? []) : []
      // Whoever came of several is listed behind the last of them.
      for (const each of children.toReversed()) await visit(each)
      const [log, sealed] = [toHex(look.log.logId), look.seal && look.n]
      const { first, last } = rangeOfLeaf(look)
      family.unshift({ first, last, log, sealed, children: children.map(({ logId }) => toHex(logId)) })
    } finally {
      await closeLog(look.context, look.log)
    }
  }
  await visit(undefined)
  return family
}

function readContext({ storage, name }: StorePlace): ReadContext {
  const clock = systemClock
  return { store: name, storage: deadlines(storage, { clock }), clock, durability: 'strict', warn: () => undefined }
}

function notFound({ name }: StorePlace): TidemarkError {
  return new TidemarkError('NOT_FOUND', `There is no store "${name}" in this storage; check its name and place.`)
}
