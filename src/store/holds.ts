/** What keeps a state readable for as long as somebody reads it. */
import type { Held } from '../engine/context.js'
import { following, type Shard } from '../engine/shard.js'
import type { ShardState } from '../engine/state.js'
import type { shardContext } from './context.js'
import type { Mode } from './options.js'

export interface Hold {
  /** A step of the reading. Returns whether the last one was so lately that collection has left the state alone. */
  use(): boolean
  release(): void
}

/** See `StoreHandle.hold`. */
export function holdIn(
  ctx: ReturnType<typeof shardContext>,
  shard: Shard,
  mode: Mode,
  state: ShardState,
  waiting: Promise<unknown> | undefined,
  trim: number,
): Hold {
  const { held, resident, graceMs, clock } = ctx
  const own: Held = { state, usedAt: waiting ? Infinity : clock.monotonic(), trim, keptAt: shard.log.free }
  let isOver = false
  const release = (): void => {
    isOver = true
    held.delete(own)
    resident?.sweep()
    void own.reading?.end()
  }
  held.add(own)
  waiting?.then(release, release)
  return {
    use: () => {
      const now = clock.monotonic()
      const isFresh = own.usedAt > now - graceMs
      own.usedAt = now
      // What was not used for so long was let go.
      if (!isOver) held.add(own)
      if (mode !== 'exclusive') following.loaded?.tellReading(shard, state, own)
      return isFresh
    },
    release,
  }
}
