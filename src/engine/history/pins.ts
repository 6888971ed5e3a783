/** The pins of a log: tags, the holds of forks, and what is being read. Immutable blobs, each of which keeps all that a version needs. */
import { equalBytes } from '../../bytes/compare.js'
import { TidemarkError, corrupt, isDamage, isFull } from '../../errors.js'
import { readAnchor } from '../../log/anchor.js'
import { decodeDelta, encodeDelta } from '../../log/delta.js'
import { emptyCarried, ID_BYTES } from '../../log/entry.js'
import { decodePin, encodePin, type Pin, type PinKind } from '../../log/pin.js'
import { decodeManifest, encodeManifest, type Manifest } from '../../manifest/manifest.js'
import { idOfBlob, logIdOfPath, pinName, pinsPrefix, segmentName, storeOfLog } from '../../manifest/names.js'
import type { Blobs, Storage } from '../../storage/contract.js'
import { pagesOf } from '../../storage/pages.js'
import { anchorName, currentTime, noteTime, type LogContext, type ShardContext } from '../context.js'
import { memtableOfDelta, memtableToDelta } from '../memtable.js'
import { expired } from './past.js'
import { readOn } from '../open/recovery.js'
import { payloadOf } from './reset.js'
import { dropUploads } from '../compaction/run-writer.js'
import type { ShardState } from '../state.js'

/** A pin, and the name of its blob. */
export interface StoredPin extends Pin {
  readonly blob: string
}

const READ_AT_ONCE = 16

export interface ListPins {
  /** Those that were read before: they are not read again. */
  readonly known?: ReadonlyMap<string, StoredPin>
  /** Is told of a pin that cannot be read, which is then passed over. Default: the list fails. */
  readonly damaged?: ((error: TidemarkError) => void) | undefined
}

/** All pins of a log, oldest first. */
export async function listPins(
  { blobs }: Pick<Storage, 'blobs'>,
  logPath: string,
  { known, damaged }: ListPins = {},
): Promise<StoredPin[]> {
  const names = await listPinNames(blobs, logPath)
  const pins: StoredPin[] = []
  for (let i = 0; i < names.length; i += READ_AT_ONCE) {
    const part = names.slice(i, i + READ_AT_ONCE)
    const read = await Promise.all(part.map(async (name) => known?.get(name) ?? readOrPass(blobs, name, damaged)))
    for (const pin of read) if (pin) pins.push(pin)
  }
  // Of one age the ids decide, which the list is sorted by.
  return pins.sort((a, b) => a.made - b.made)
}

const knownPins = new WeakMap<LogContext, ReadonlyMap<string, StoredPin>>()

/** The same for an open log: those that were read before never change. */
export async function listKnownPins(
  { storage }: Pick<ShardContext, 'storage'>,
  log: LogContext,
  damaged?: ListPins['damaged'],
): Promise<StoredPin[]> {
  const pins = await listPins(storage, log.path, { known: knownPins.get(log) ?? new Map(), damaged })
  knownPins.set(log, new Map(pins.map((pin) => [pin.blob, pin])))
  return pins
}

async function readOrPass(blobs: Blobs, name: string, damaged: ListPins['damaged']): Promise<StoredPin | undefined> {
  try {
    return await readPin(blobs, name)
  } catch (error) {
    if (!isDamage(error) || damaged === undefined) throw error
    damaged(error)
    return undefined
  }
}

/** The blobs that are pins of a log, whether or not they can be read. */
export async function listPinNames(blobs: Blobs, logPath: string): Promise<string[]> {
  const prefix = pinsPrefix(logPath)
  const names: string[] = []
  for await (const { items } of pagesOf(blobs, prefix)) {
    for (const { name } of items) if (idOfBlob(prefix, name)) names.push(name)
  }
  return names
}

/** `undefined` when it is gone again. */
export async function readPin(blobs: Blobs, blob: string): Promise<StoredPin | undefined> {
  const { bytes } = await blobs.get(blob)
  return bytes && { ...decodePin(bytes, `Pin ${blob}`), blob }
}

export function isOver(pin: Pin, now: number): boolean {
  return pin.expires > 0 && pin.expires <= now
}

export function manifestOfPin(pin: StoredPin, logPath: string): Manifest {
  return decodeManifest(pin.manifest, logPath, `The manifest in pin ${pin.blob}`)
}

/** The state that a pin keeps. */
export function stateOfPin(pin: StoredPin, logPath: string): ShardState {
  const { version, versionTime, offsets, delta } = pin
  const manifest = manifestOfPin(pin, logPath)
  const memtable = delta && memtableOfDelta(decodeDelta(delta, `The delta in pin ${pin.blob}`))
  const logId = logIdOfPath(storeOfLog(logPath), logPath)
  if (logId === undefined) throw corrupt(`${logPath} is no path of a log.`)
  return {
    logId,
    head: version,
    headHash: pin.hash,
    carried: {
      ...emptyCarried('exclusive'),
      time: versionTime,
      version,
      versionTime,
      offsets,
      covers: manifest.covers,
    },
    manifest,
    tail: memtable ? [{ n: version, time: versionTime, memtable, references: undefined, bytes: delta.length }] : [],
  }
}

export interface PinRequest {
  readonly kind: PinKind
  readonly name: string
  readonly ttlMs: number
  readonly label?: string | undefined
  /** What it keeps, and the pin that state was taken from, if it was. */
  readonly state: ShardState
  readonly from: StoredPin | undefined
  /** This handle holds the state until the pin is there: its own collections are not in the way. */
  readonly isHeld?: boolean | undefined
}

/**
 * Makes a pin, and looks afterwards whether what it keeps was collected while it was being made: a collection that came
 * before the pin could not see it (R35).
 */
export async function putPin(
  ctx: ShardContext,
  log: LogContext,
  present: () => ShardState,
  request: PinRequest,
): Promise<StoredPin> {
  const { kind, name, ttlMs, label, state, from } = request
  const { manifest, memtable } = await payloadOf(ctx, log, state, new AbortController().signal)
  const { version, versionTime, offsets } = state.carried
  const made = currentTime(ctx, log)
  const pin: Pin = {
    kind,
    name,
    made,
    expires: ttlMs > 0 ? made + ttlMs : 0,
    version,
    versionTime,
    hash: state.headHash!,
    label,
    offsets,
    manifest: encodeManifest({ ...manifest, covers: version - 1 }, log.path),
    delta: memtable && encodeDelta(memtableToDelta(memtable)),
  }
  const blob = pinName(log.path, ctx.clock.random(ID_BYTES))
  const { blobs } = ctx.storage
  const uploaded = manifest.runs.flat().filter(({ name }) => ctx.uploads.has(name))
  try {
    noteTime(ctx, log, (await blobs.put(blob, encodePin(pin))).time)
    const now = present()
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
    // What was uploaded for it is reached through it by now, or by nothing.
    ctx.uploads.drop(uploaded)
  }
}

/** Whether no collection that came before this moment has let go of a version. */
export async function isKept(ctx: ShardContext, log: LogContext, now: ShardState, version: number): Promise<boolean> {
  const { head, carried } = await readOn(ctx, { ...log }, now, 1, ({ collection }) => {
    for (const { ids } of collection ?? []) ctx.uploads.condemn(ids.map((id) => segmentName(log.path, id)))
  })
  if (carried.keeps > version) return false
  // After a long stall the entries that say so may themselves be gone: a head that is trimmed is none (R25).
  const { value } = await readAnchor(log.anchor, anchorName(ctx))
  return value === undefined || (equalBytes(value.logId, log.logId) && value.trim < head)
}

/** The newest tag of a name that is not over. */
export function tagNamed(pins: readonly StoredPin[], name: string, now: number): StoredPin | undefined {
  return pins.findLast((pin) => pin.kind === 'tag' && pin.name === name && !isOver(pin, now))
}

export function unknownTag(store: string, name: string): TidemarkError {
  return new TidemarkError('NOT_FOUND', `Store "${store}" has no tag "${name}"; tags() lists those that it has.`)
}
