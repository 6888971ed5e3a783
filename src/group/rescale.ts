/** Splits and merges the shards of a store from outside. */
import type { Clock } from '../clock.js'
import { checkFields, invalid } from '../errors.js'
import { evenCuts } from '../engine/shards/plan.js'
import type { StorePlace } from '../tools/place.js'
import { rescaleFromOutside } from './outside.js'

/** The shards that are wanted: how many, or where each but the first begins. */
export interface Scale {
  /**
   * How many shards there are to be, of like size.
   * @unit shards
   * @when Set it to how many processes share the store, or a few times as many.
   */
  readonly shards?: number | undefined
  /**
   * The first partition of each shard but the first, ascending.
   * @unit partitions
   * @when Set it when partitions are of unlike size.
   */
  readonly cuts?: readonly number[] | undefined
}

/** A shard: its partitions, from the first to the last. */
export interface ShardRange {
  readonly first: number
  readonly last: number
}

/**
 * Brings a store to the shards that are wanted. Nothing is copied, and readers and writers go on: a writer whose shard has ended is
 * `FENCED`, keeps its changes, and goes on after `reopen()`. Where members of a group live, they do it, as with `group.rescale()`.
 *
 * When it fails on its way, what was begun holds or goes on as it was, and the call may be made again.
 * @returns the shards that there are now
 * @throws `INVALID_ARGUMENT` when there can be no such shards
 * @throws `NOT_FOUND` when there is no such store; `CONFLICT` when others write too fast, or split and merge it at once, or a shard
 * that would have to change is parked
 * @throws `STORAGE_UNAVAILABLE`, `UNKNOWN_OUTCOME` or `CORRUPT`, as other calls
 * @example
 *     await rescale({ storage, name: 'orders' }, { shards: 8 })
 */
export async function rescale(
  place: StorePlace,
  scale: Scale,
  options: { readonly clock?: Clock | undefined } = {},
): Promise<readonly ShardRange[]> {
  const cutsOf = checkScale(scale)
  const shards = await rescaleFromOutside(place, cutsOf, options.clock)
  return shards.map(({ first, last }) => ({ first, last }))
}

/** The cuts that are wanted, given the number of partitions. */
export function checkScale(scale: Scale): (partitions: number) => readonly number[] {
  checkFields('rescale', scale, new Set(['shards', 'cuts']))
  const { shards, cuts } = scale
  if ((shards === undefined) === (cuts === undefined)) throw invalid('rescale: either `shards` or `cuts` is expected.')
  if (cuts !== undefined && !Array.isArray(cuts)) throw invalid('cuts: an array of partitions is expected.')
  return (partitions) => cuts ?? evenCuts(shards!, partitions)
}
