/**
 * The anchor: one small object of fixed name per shard that tells an opener where to begin. It says which log is the
 * store's (its id is random per creation), up to where entries are trimmed, and where a manifest is. It is a hint but for
 * the log id and the trim number; those two are law (R24, R25).
 */
import { SEALED_VERSION, unseal, VERSION_AT } from '../bytes/envelope.js'
import { ByteReader } from '../bytes/reader.js'
import { corrupt } from '../errors.js'
import type { Anchor, CallOptions } from '../storage/contract.js'
import { ID_BYTES } from './entry.js'

export interface AnchorValue {
  readonly logId: Uint8Array
  readonly trim: number
  readonly manifestAt: number
  readonly covers: number
  readonly time: number
  /** That of a log that was sealed says more (sealed-anchor.ts); it is kept by every swap (S6). */
  readonly sealed?: Uint8Array | undefined
}

export interface AnchorReading {
  readonly value: AnchorValue | undefined
  readonly token: string | undefined
  /** The storage's time of the answer. */
  readonly time: number | undefined
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
    ...(bytes[VERSION_AT] === SEALED_VERSION && { sealed: r.raw(r.left) }),
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
