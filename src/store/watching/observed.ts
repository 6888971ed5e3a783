/** The side of a handle that watches and live ranges see. */
import type { Clock } from '../../clock.js'
import type { SegmentCache } from '../../segment/cache.js'
import type { DamageDetector } from '../../engine/repair/detector.js'
import type { ShardState } from '../../engine/state.js'
import type { TableHost } from '../table-host.js'
import type { Specs } from '../specs.js'

export interface Observed extends Pick<TableHost, 'hold' | 'now' | 'assertOpen' | 'catchUp'> {
  readonly options: { readonly clock: Clock }
  readonly shard: { readonly detector: DamageDetector }
  readonly state: ShardState
  readonly cache: SegmentCache
  readonly specs: Specs
  /** Tells of something that failed no call. */
  report(message: string, cause?: unknown): void
}

/** Before a read that failed is tried again. */
export const FIRST_PAUSE_MS = 500
export const LONGEST_PAUSE_MS = 30_000

/** Reads states that may turn out to be damaged: then once more, from equal ones that are repaired. They are held meanwhile. */
export async function readRepaired<T>(
  handle: Observed,
  states: readonly ShardState[],
  read: (...states: readonly ShardState[]) => Promise<T>,
): Promise<T> {
  for (let from = states; ;) {
    try {
      const reading = read(...from)
      for (const state of from) handle.hold(state, reading)
      return await reading
    } catch (error) {
      const damaged = from
      from = await handle.shard.detector.about(error, (repairer) => repairer.repairAll(damaged, error))
    }
  }
}
