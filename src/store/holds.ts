/** Keeps what readers need: collection leaves a state alone that is held and was used lately. */
import type { Held, ShardContext } from '../engine/context.js'
import { following, type Shard } from '../engine/shard.js'
import type { ShardState } from '../engine/state.js'
import type { Mode } from './open-options.js'
import type { Residency } from './resident.js'
import type { Hold } from './table-host.js'

export function holdState(
  ctx: ShardContext & { readonly resident: Residency | undefined },
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
      // Collection may have let go of it meanwhile.
      if (!isOver) held.add(own)
      if (state.of) state.of.keep(own)
      // Anybody collects the logs that it came of.
      else if (mode !== 'exclusive' || state.carried.own) {
        following.use((part) => part.tellReading(shard, state, own)).catch(() => undefined)
      }
      return isFresh
    },
    release,
  }
}
