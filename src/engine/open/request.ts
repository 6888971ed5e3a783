/** Requests to open a shard. */
import type { WriteMode } from '../../log/entry.js'
import type { Turn } from '../../log/shard-parts.js'
import type { StoreConfig } from '../../manifest/manifest.js'
import type { ShardState } from '../state.js'

/** How many numbers in a row may be lost (R22). */
export const CLAIM_TRIES = 8

export interface ClaimRequest {
  /** Ends the opening before it takes anything over. */
  readonly signal: AbortSignal | undefined
  /** Looks at what is there before it is taken over, and throws when this is not the store that was meant. */
  readonly check: (state: ShardState | undefined) => void | Promise<void>
  /** Whose turn it is, where a group shares out who owns what. */
  readonly turn?: Turn | undefined
  /** The fence carries a fold of a long tail. */
  readonly folds?: boolean
}

export interface OpenRequest extends ClaimRequest {
  readonly mode: WriteMode | 'follower'
  /** It may be opened although its recorded mode is another, and whoever writes in that has not closed it. */
  readonly force: boolean
  /** True: it must not exist yet; false: it must exist. */
  readonly create: boolean | undefined
  /** The configuration of a store that is to be created. */
  readonly config: () => StoreConfig
  /** The partition whose shard is wanted; left out: that of all. */
  readonly shard?: number | undefined
}
