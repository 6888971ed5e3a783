/**
 * Holds: a restore across a seal is about to name segments that the state of its log does not name, so that nothing but the hold tells
 * a collector of them. It is a pin in the log that has the version, put before the entry is sent, and names the log and the number that
 * the entry will take. It goes when the entry's fate is known, or when somebody finds that the number is taken (S9).
 */
import { ID_BYTES } from '../../log/entry.js'
import { encodePin } from '../../log/pin.js'
import { pinName } from '../../manifest/listed-names.js'
import { currentTime, noteTime } from '../context.js'
import { expired } from '../history/past.js'
import { isKept } from '../history/pin-version.js'
import { pinOf, readPin, type StoredPin } from '../history/pins.js'
import { runsOf, type OpenLog, type ShardState } from '../state.js'
import { holdName, type HoldTarget } from './taken.js'

export interface Hold {
  /** Lets go when the fate of the entry is known. One of which nothing is known may still land, and is held until its number is taken. */
  release(outcome: 'committed' | 'lost' | 'unknown'): Promise<void>
}

/**
 * Holds `state`, a version of the log `source`, for the entry that will take it over. An entry that is tried at another number takes a
 * hold of its own, before the former one is released.
 * @param from the pin that the state was taken from, if it was: then that must still be there
 * @throws `VERSION_EXPIRED` when what it reads was collected before the hold was there
 */
export async function holdFor(source: OpenLog, state: ShardState, target: HoldTarget, from?: StoredPin): Promise<Hold> {
  const { context: ctx, log } = source
  const { blobs } = ctx.storage
  const blob = pinName(log.path, ctx.clock.random(ID_BYTES))
  const kept = {
    kind: 'hold',
    name: holdName(target),
    label: undefined,
    ttlMs: 0,
    made: currentTime(ctx, log),
  } as const
  const manifest = { ...state.manifest, runs: runsOf(state) }
  noteTime(ctx, log, (await blobs.put(blob, encodePin(pinOf(state, log.path, manifest, undefined, kept)))).time)
  const { version } = state.carried
  const isThere = from ? (await readPin(blobs, from.blob)) !== undefined : await isKept(ctx, log, source.state, version)
  if (!isThere) {
    await blobs.delete([blob])
    throw expired(ctx.store, version)
  }
  return {
    async release(outcome) {
      // One that stays goes with the next collection.
      if (outcome !== 'unknown') await blobs.delete([blob]).catch(() => undefined)
    },
  }
}
