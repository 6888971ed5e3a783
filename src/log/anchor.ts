/**
 * The anchor: one small object of fixed name per shard that tells an opener where to begin. It says which log is the
 * store's (its id is random per creation), up to where entries are trimmed, and where a manifest is. It is a hint but for
 * the log id and the trim number; those two are law (R24, R25).
 */
import { seal, unseal } from '../bytes/envelope.js'
import { equalBytes } from '../bytes/compare.js'
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { corrupt } from '../errors.js'
import type { Anchor, CallOptions } from '../storage/contract.js'
import { ID_BYTES, type Carried } from './entry.js'

export interface AnchorValue {
  readonly logId: Uint8Array
  readonly trim: number
  readonly manifestAt: number
  readonly covers: number
  readonly time: number
}

export interface AnchorReading {
  readonly value: AnchorValue | undefined
  readonly token: string | undefined
  /** The storage's time of the answer. */
  readonly time: number | undefined
}

/** The anchor that an entry calls for by its header. */
export function anchorAfter(logId: Uint8Array, { trim, manifestAt, covers, time }: Carried): AnchorValue {
  return { logId, trim, manifestAt, covers, time }
}

export function encodeAnchor(value: AnchorValue): Uint8Array {
  const w = new ByteWriter(64)
  w.raw(value.logId)
  w.varint(value.trim)
  w.varint(value.manifestAt)
  w.varint(value.covers)
  w.varint(value.time)
  return seal('anchor', w.finish())
}

/** The trim in the anchor of a store that is being destroyed (tombstone.ts): all numbers count as trimmed. */
export const ALL_TRIMMED = Number.MAX_SAFE_INTEGER

export function decodeAnchor(bytes: Uint8Array, what: string): AnchorValue {
  const r = new ByteReader(unseal('anchor', bytes, what), what)
  const value = {
    logId: r.raw(ID_BYTES),
    trim: r.varint(),
    manifestAt: r.varint(),
    covers: r.varint(),
    time: r.varint(),
  }
  if (value.manifestAt <= value.covers) r.fail('an impossible manifest')
  r.end()
  if (value.trim === ALL_TRIMMED) {
    throw corrupt(`${what} says that the store is being destroyed; call destroyStore() again to finish that.`)
  }
  return value
}

export async function readAnchor(anchor: Anchor, what: string, options: CallOptions = {}): Promise<AnchorReading> {
  const { bytes, token, time } = await anchor.read(options)
  return { value: bytes && decodeAnchor(bytes, what), token, time }
}

/** Takes the later of two values in every field: trim number and hint never go back. `undefined` when the logs differ. */
function laterAnchor(a: AnchorValue, b: AnchorValue): AnchorValue | undefined {
  if (!equalBytes(a.logId, b.logId)) return undefined
  const hint = a.manifestAt >= b.manifestAt ? a : b
  return { ...hint, trim: Math.max(a.trim, b.trim), time: Math.max(a.time, b.time) }
}

const SWAP_TRIES = 4

/**
 * Raises the anchor to at least `wanted`, in as many swaps as it takes, up to four. Resolves with what is known to be
 * there, or `undefined` when the swaps stayed without a known result or the anchor names another log.
 */
export async function raiseAnchor(
  anchor: Anchor,
  what: string,
  wanted: AnchorValue,
  options: CallOptions = {},
): Promise<AnchorValue | undefined> {
  for (let left = SWAP_TRIES; left > 0; left--) {
    const found = await readAnchor(anchor, what, options)
    const target = found.value ? laterAnchor(found.value, wanted) : wanted
    if (target === undefined) return undefined
    if (found.value && found.value.trim === target.trim && found.value.manifestAt >= target.manifestAt)
      return found.value
    const { outcome } = await anchor.swap(found.token, encodeAnchor(target), target.trim, options)
    if (outcome === 'committed') return target
  }
  return undefined
}
