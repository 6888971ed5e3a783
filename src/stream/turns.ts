/** How whoever shares out shards takes part in a run on one of them. */
import type { Turn } from '../log/shard-parts.js'

export interface Turns {
  /** Before an event is begun and before a commit; an error ends the run, and with it what is uncommitted. */
  before(what: 'event' | 'commit'): Promise<void> | undefined
  /** What a commit says of whose turn it is; `isLast`: the run makes none after it. */
  turn(isLast: boolean): Turn | undefined
  /** A commit has moved the positions. */
  committed(): void
}
