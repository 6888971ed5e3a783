/** Keeping a version: a pin is put there, and then it is looked whether it came in time. */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, isFull } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import { ID_BYTES } from '../../log/entry.js'
import { encodePin, type PinKind } from '../../log/pin.js'
import { decodeSealedEnd } from '../../log/sealed-anchor.js'
import { pinName } from '../../manifest/listed-names.js'
import { dropUploads } from '../compaction/run-writer.js'
import { anchorName, currentTime, noteTime, type LogContext, type ShardContext } from '../context.js'
import { storedDelta } from '../stored-delta.js'
import { readOn } from '../open/recovery.js'
import type { OpenLog, ShardState } from '../state.js'
import { condemnedBy, condemnedIn, expired } from './past.js'
import { pinOf, readPin, type StoredPin } from './pins.js'
import { payloadOf } from './reset.js'

export interface PinRequest {
  readonly kind: PinKind
  readonly name: string
  readonly ttlMs: number
  readonly label?: string
  /** The state that it keeps, and the pin from which that was taken, if it was. */
  readonly state: ShardState
  readonly from: StoredPin | undefined
  /** This handle holds the state until the pin is there: its own collections are not in the way. */
  readonly isHeld?: boolean | undefined
  /** With more bytes than this, about, its changes after the manifest go into segments. Default: only what can't be in the pin. */
  readonly most?: number
  readonly signal?: AbortSignal
}

/**
 * Makes a pin, and looks afterwards whether what it keeps was collected while it was being made: a collection that came
 * before the pin could not see it (R35).
 */
export async function putPin(shard: OpenLog, request: PinRequest): Promise<StoredPin> {
  const { context: ctx, log } = shard
  const { state, from, signal = new AbortController().signal, most } = request
  const { manifest, memtable } = await payloadOf(shard, state, signal, most)
  const { version } = state.carried
  const delta = memtable && (await storedDelta(log, memtable))
  const pin = pinOf(state, log.path, manifest, delta, { label: undefined, ...request, made: currentTime(ctx, log) })
  const blob = pinName(log.path, ctx.clock.random(ID_BYTES))
  const { blobs } = ctx.storage
  const uploaded = manifest.runs.flat().filter(({ name }) => ctx.uploads.has(name))
  try {
    noteTime(ctx, log, (await blobs.put(blob, encodePin(pin))).time)
    const now = shard.state
    const keeps = !ctx.isShared && request.isHeld ? now.carried.keeps : 0
    const isThere = from
      ? (await readPin(blobs, from.blob)) !== undefined
      : await isKept(ctx, log, now, Math.max(version, keeps))
    const isCondemned = ctx.uploads.areCondemned(manifest.runs.flat())
    if (isThere && !isCondemned) return { ...pin, blob }
    await blobs.delete([blob])
    if (!isThere) throw expired(ctx.store, version)
    throw new TidemarkError(
      'CONFLICT',
      `Another writer collected in store "${ctx.store}" while version ${version} was being kept; try again.`,
    )
  } catch (error) {
    if (isFull(error)) await dropUploads(ctx, uploaded, error)
    throw error
  } finally {
    // The pin reaches what was uploaded for it by now, or nothing does.
    ctx.uploads.drop(uploaded)
  }
}

/**
 * Whether no collection that came before this moment has let go of a version. Of a log that was sealed the anchor says that: nothing
 * that comes behind a seal counts (S9).
 */
export async function isKept(ctx: ShardContext, log: LogContext, now: ShardState, version: number): Promise<boolean> {
  const condemn = (names: readonly string[]): void => ctx.uploads.condemn(names)
  const read = (): Promise<ShardState> =>
    readOn(ctx, { ...log }, now, undefined, (entry) => condemn(condemnedIn(entry, log.path)))
  const { head, carried } = now.seal ? now : await read()
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  if (value && !equalBytes(value.logId, log.logId)) return false
  if (value?.sealed) {
    const { keeps, collection } = decodeSealedEnd(value.sealed, anchorName(ctx))
    condemn(condemnedBy(collection, log.path))
    return keeps <= version
  }
  if (carried.keeps > version) return false
  // After a long stall the entries that say so may themselves be gone: a head that is trimmed is none (R25).
  return value === undefined || value.trim < head
}
