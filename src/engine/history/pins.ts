/** The pins of a log: tags, the holds of forks, and what is being read. Immutable blobs, each of which keeps all that a version needs. */
import { TidemarkError, corrupt, isDamage } from '../../errors.js'
import { decodeDelta } from '../../log/delta.js'
import { emptyCarried } from '../../log/entry.js'
import { decodePin, type Pin } from '../../log/pin.js'
import { encodeManifest } from '../../manifest/encode.js'
import { decodeManifest, type Manifest } from '../../manifest/manifest.js'
import { idOfBlob, logIdOfPath, pinsPrefix, shardOfLog, storeOfLog } from '../../manifest/listed-names.js'
import type { Blobs, Storage } from '../../storage/contract.js'
import { pagesOf } from '../../storage/pages.js'
import type { Platform } from '../../storage/platform.js'
import type { LogContext } from '../context.js'
import { memtableOfDelta } from '../memtable.js'
import type { OpenLog, ShardState } from '../state.js'

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
  const read = async (name: string): Promise<StoredPin | undefined> => {
    try {
      return known?.get(name) ?? (await readPin(blobs, name))
    } catch (error) {
      if (!isDamage(error) || damaged === undefined) throw error
      damaged(error)
      return undefined
    }
  }
  for (let i = 0; i < names.length; i += READ_AT_ONCE) {
    for (const pin of await Promise.all(names.slice(i, i + READ_AT_ONCE).map(read))) if (pin) pins.push(pin)
  }
  // Where two are of one age their ids decide, by which the list is sorted.
  return pins.sort((a, b) => a.made - b.made)
}

const knownPins = new WeakMap<LogContext, ReadonlyMap<string, StoredPin>>()

/** The same for an open log: those that were read before never change. One that cannot be read is passed over with a warning. */
export async function pinsOf(
  { context, log }: Pick<OpenLog, 'context' | 'log'>,
  damaged: ListPins['damaged'] = (error) => {
    context.warn(`A tag or fork of store "${context.store}" cannot be read. ${error.message}`, error)
  },
): Promise<StoredPin[]> {
  const pins = await listPins(context.storage, log.path, { known: knownPins.get(log) ?? new Map(), damaged })
  knownPins.set(log, new Map(pins.map((pin) => [pin.blob, pin])))
  return pins
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

/** The pin of a state, which stands on that manifest and those changes. */
export function pinOf(
  { carried, headHash }: ShardState,
  path: string,
  manifest: Manifest,
  delta: Uint8Array | undefined,
  { kind, name, label, made, ttlMs }: Pick<Pin, 'kind' | 'name' | 'label' | 'made'> & { readonly ttlMs: number },
): Pin {
  const { version, versionTime, offsets, spans } = carried
  return {
    kind,
    name,
    made,
    expires: ttlMs > 0 ? made + Math.ceil(ttlMs) : 0,
    version,
    versionTime,
    hash: headHash!,
    label,
    offsets,
    spans,
    manifest: encodeManifest({ ...manifest, covers: version - 1 }, path),
    delta,
  }
}

/** The state that a pin keeps. */
export async function stateOfPin(platform: Platform, pin: StoredPin, logPath: string): Promise<ShardState> {
  const { version, versionTime, offsets, spans, delta } = pin
  const manifest = manifestOfPin(pin, logPath)
  const memtable = delta && memtableOfDelta(await decodeDelta(platform, delta, `The delta in pin ${pin.blob}`))
  const logId = logIdOfPath(storeOfLog(logPath), logPath, shardOfLog(logPath))
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
      spans,
      covers: manifest.covers,
    },
    manifest,
    tail: memtable ? [{ n: version, time: versionTime, memtable, references: undefined, bytes: memtable.bytes }] : [],
  }
}

/** The newest tag of a name that is not over. */
export function tagNamed(pins: readonly StoredPin[], name: string, now: number): StoredPin | undefined {
  return pins.findLast((pin) => pin.kind === 'tag' && pin.name === name && !isOver(pin, now))
}

export function unknownTag(store: string, name: string): TidemarkError {
  return new TidemarkError('NOT_FOUND', `Store "${store}" has no tag "${name}"; tags() lists those that it has.`)
}
