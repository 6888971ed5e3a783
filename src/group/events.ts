/** The events of a group. */
import type { ShardRange } from './program.js'

/** The events of a group, with what their listeners get. */
export interface GroupEvents {
  /** This member owns other shards than before. */
  rebalance: {
    /** The newest generation that is known. */
    readonly generation: number
    /** All shards that it owns now. */
    readonly assigned: readonly ShardRange[]
    /** Those of them that it did not own before. */
    readonly newlyAssigned: readonly ShardRange[]
    /** Shards that it has let go, each with its last commit. */
    readonly revoked: readonly ShardRange[]
    /** Shards that it has lost; what was not committed of them is gone. */
    readonly lost: readonly ShardRange[]
  }
  /** A shard has killed too many owners, and is given to nobody until `unpark`. */
  parked: { readonly shard: ShardRange }
  /** A member has come or gone. */
  member: { readonly member: string; readonly info: unknown; readonly change: 'joined' | 'gone' }
  /** Something went wrong that failed no call. */
  warning: { readonly message: string; readonly cause?: unknown }
}

export const GROUP_EVENTS: readonly (keyof GroupEvents)[] = ['rebalance', 'parked', 'member', 'warning']
