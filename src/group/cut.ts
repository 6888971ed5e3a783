/**
 * A cut over the shards of a store: the versions with which one and the same epoch was over in each of them. It is opened by
 * `at({ epoch })` of a follower of all shards, kept by a tag, and put back.
 */
import type { Clock } from '../clock.js'
import { checkFields, invalid, isTidemarkError } from '../errors.js'
import { pinsOf, tagNamed } from '../engine/history/pins.js'
import { rangeOf } from '../engine/shards/end.js'
import { ownLogs } from '../engine/shards/lineage.js'
import { epochEnds } from '../store/epochs.js'
import { checkTagName, findVersion, type When } from '../store/find.js'
import { StoreHandle } from '../store/handle.js'
import { logsOf, pinParts } from '../store/log-past.js'
import { resolveOptions, type ResolvedOptions } from '../store/open-options.js'
import { Store } from '../store/store.js'
import { checkTtl } from '../store/table-checks.js'
import type { StorePlace } from '../tools/place.js'

/** The options that all of these take. */
interface CutOptions {
  /**
   * Time and randomness.
   * @default the platform's
   * @when Only tests replace it.
   */
  readonly clock?: Clock | undefined
}

/** Options of `tagShards`. */
export interface TagShardsOptions extends CutOptions {
  /**
   * The epoch that is kept.
   * @default the newest one that is over in all shards
   * @unit epoch
   * @when Set it to keep an older state, such as that of the last day.
   */
  readonly epoch?: number | undefined
  /**
   * Instead of `epoch`: a moment, as each shard was then.
   * @default none
   * @when Set it where no epochs are marked.
   */
  readonly at?: Date | undefined
  /**
   * How long the tag keeps it, in milliseconds.
   * @default until it is removed from each shard by `untag`
   * @unit milliseconds
   * @when Set it when nobody will remember to remove the tag.
   */
  readonly ttlMs?: number | undefined
}

/** Options of `restoreShards`. */
export interface RestoreShardsOptions extends CutOptions {
  /**
   * Takes the shards from members of a group that own them. They take them back and go on from what was put back.
   * @default false
   * @when Set it when the group runs and is to work off its sources again from there.
   */
  readonly force?: boolean | undefined
}

/** A shard whose version was kept or put back. */
export interface ShardVersion {
  /** Its partitions, from the first … */
  readonly first: number
  /** … to the last. */
  readonly last: number
  /** The version that is kept, or the new one. */
  readonly version: number
}

/**
 * The newest epoch that is over in all shards of a store; `undefined` when there is none.
 * @throws `NOT_FOUND` when there is no such store
 */
export async function newestEpoch(place: StorePlace, options: CutOptions = {}): Promise<number | undefined> {
  return withAll(place, options, newestIn)
}

/**
 * Keeps a cut by a tag in each shard, without taking any shard from its owner. `at(name)` of a follower of all shows it, and
 * `restoreShards` puts it back.
 * @throws `NOT_FOUND` when not all shards have the epoch; `INVALID_ARGUMENT` when there is such a tag already
 * @example
 *     await tagShards({ storage, name: 'orders' }, 'end-of-may', { epoch: 5 })
 */
export async function tagShards(
  place: StorePlace,
  name: string,
  options: TagShardsOptions = {},
): Promise<readonly ShardVersion[]> {
  checkFields('tagShards', options, new Set(['epoch', 'at', 'ttlMs', 'clock']))
  const { epoch, at } = options
  const ttlMs = options.ttlMs === undefined ? 0 : checkTtl('ttlMs', options.ttlMs)
  checkTagName(name)
  return withAll(place, options, async (handle) => {
    const newest = epoch ?? (at === undefined ? await newestIn(handle) : undefined)
    if (newest === undefined && at === undefined) {
      throw invalid(
        'tagShards: no epoch is over in all shards; give `epoch` to group.run() or consume(), or a moment by `at`.',
      )
    }
    const logs = await logsOf(handle.shard)
    for (const { log } of logs) {
      if (!tagNamed(await pinsOf(log), name, handle.now())) continue
      throw invalid(
        `Store "${handle.options.name}" has a tag "${name}" already; untag() it first, or choose another name.`,
      )
    }
    const { parts, state, from } = await findVersion(handle.shard, newest === undefined ? at! : { epoch: newest })
    const all = parts ?? [{ of: handle.shard, ...rangeOf(handle.state), state, from }]
    const pins = await pinParts(name, ttlMs, all)
    return pins.map(({ version }, i) => ({ first: all[i]!.first, last: all[i]!.last, version }))
  })
}

/**
 * Puts a cut back in each shard, one after another: an epoch, a tag or a moment. Each shard gets a new version, so that nothing is lost.
 * When it fails on its way, it may be called again.
 * @throws `NOT_FOUND` when not all shards have it: then none is changed; `CONFLICT` when a member of a group owns one, without `force`
 * @example
 *     await restoreShards({ storage, name: 'orders' }, { epoch: 5 })
 */
export async function restoreShards(
  place: StorePlace,
  when: Exclude<When, number>,
  { clock, force }: RestoreShardsOptions = {},
): Promise<readonly ShardVersion[]> {
  const ranges = await withAll(place, { clock }, async (handle) => {
    await findVersion(handle.shard, when)
    return ownLogs(handle.shard).map(({ state }) => rangeOf(state))
  })
  const restored: ShardVersion[] = []
  for (const { first, last } of ranges) {
    const mode = 'exclusive'
    const handle = await StoreHandle.open(resolveOptions({ ...place, clock, shard: first, mode, force, create: false }))
    const store = new Store(handle, handle.spec('', handle.options.table))
    try {
      restored.push({ first, last, version: (await store.restore(when)).version })
    } finally {
      await store.close()
    }
  }
  return restored
}

async function withAll<T>(
  place: StorePlace,
  { clock }: CutOptions,
  act: (handle: StoreHandle) => Promise<T>,
): Promise<T> {
  const options: ResolvedOptions = resolveOptions({ ...place, clock, mode: 'follower', create: false })
  const handle = await StoreHandle.open(options)
  try {
    return await act(handle)
  } finally {
    await handle.close()
  }
}

async function newestIn(handle: StoreHandle): Promise<number | undefined> {
  const all = await logsOf(handle.shard)
  const own = ownLogs(handle.shard)
  const candidates = new Set<number>()
  for (const log of [...own, ...all.map((each) => each.log)])
    for await (const { epoch } of epochEnds(log)) candidates.add(epoch)
  for (const epoch of [...candidates].sort((a, b) => b - a)) {
    try {
      await findVersion(handle.shard, { epoch })
      return epoch
    } catch (error) {
      if (!isTidemarkError(error) || error.code !== 'NOT_FOUND') throw error
    }
  }
  return undefined
}
