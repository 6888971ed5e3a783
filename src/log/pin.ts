/**
 * A pin keeps a version for as long as the blob is there: a tag, or the hold of a fork on the store that it came from. It
 * has all that a reset to that version would have, and so needs no entry of the log (docs/format.md, "Pins"). That of a
 * reading keeps only the segments.
 */
import { seal, unseal } from '../bytes/envelope.js'
import { HASH_BYTES } from '../bytes/hash.js'
import { ByteReader } from '../bytes/reader.js'
import { ByteWriter } from '../bytes/writer.js'
import { unsupported } from '../errors.js'
import { readOffsets, type OffsetMap } from './offsets.js'
import { writeOffsets } from './write-offsets.js'
import { NO_SPANS, readSpans, type Spans } from './spans.js'
import { writeSpans } from './write-shard-parts.js'

const KINDS = ['tag', 'fork', 'reading', 'hold'] as const
export type PinKind = (typeof KINDS)[number]

export interface Pin {
  readonly kind: PinKind
  /** The name of the tag, the path of the fork's log, `reading`, or of a hold `<path of the log>#<number>`. */
  readonly name: string
  /** When the pin was made and when it ends, by the storage's clock; 0: never. */
  readonly made: number
  readonly expires: number
  /** The version that it keeps, when that was made, and the hash of its entry. */
  readonly version: number
  readonly versionTime: number
  readonly hash: Uint8Array
  readonly label: string | undefined
  readonly offsets: OffsetMap
  /** As in entries. */
  readonly spans: Spans
  readonly manifest: Uint8Array
  /** The changes after the manifest. */
  readonly delta: Uint8Array | undefined
}

export function encodePin(pin: Pin): Uint8Array {
  const w = new ByteWriter(256 + pin.manifest.length + (pin.delta?.length ?? 0))
  w.u8(KINDS.indexOf(pin.kind))
  w.string(pin.name)
  for (const n of [pin.made, pin.expires, pin.version, pin.versionTime]) w.varint(n)
  w.raw(pin.hash)
  w.u8((pin.label === undefined ? 0 : 1) | (pin.delta ? 2 : 0) | (pin.spans.size > 0 ? 4 : 0))
  if (pin.label !== undefined) w.string(pin.label)
  writeOffsets(w, pin.offsets)
  if (pin.spans.size > 0) writeSpans(w, pin.spans)
  w.bytes(pin.manifest)
  if (pin.delta) w.bytes(pin.delta)
  return seal('pin', w.finish())
}

export function decodePin(bytes: Uint8Array, what: string): Pin {
  const r = new ByteReader(unseal('pin', bytes, what), what)
  const kindCode = r.u8()
  const kind = KINDS[kindCode]
  if (!kind) throw unsupported(`${what} is of kind ${kindCode}`)
  const name = r.string()
  const [made, expires, version, versionTime] = [r.varint(), r.varint(), r.varint(), r.varint()]
  const hash = r.raw(HASH_BYTES)
  const flags = r.u8()
  if (flags > 7) throw unsupported(`${what} holds flags ${flags}`)
  const label = flags & 1 ? r.string() : undefined
  const offsets = readOffsets(r)
  const spans = flags & 4 ? readSpans(r) : NO_SPANS
  const manifest = r.bytes()
  const delta = flags & 2 ? r.bytes() : undefined
  r.end()
  return { kind, name, made, expires, version, versionTime, hash, label, offsets, spans, manifest, delta }
}
