/**
 * The envelope around every object that Tidemark stores: it is fixed for ever, so that every release can tell damage
 * from a newer format before it looks inside (docs/format.md, "Envelope").
 *
 *     0   4  magic "TDMK"
 *     4   1  format version
 *     5   1  object kind
 *     6   2  flags; 1: encrypted, the body begins with u8 cipher id and 16 key id. Others are a newer format
 *     8   4  length of the body
 *    12   4  CRC-32 of the twelve bytes before
 *    16   …  body
 *     …   4  CRC-32 of the body
 */
import { corrupt, damaged, unsupported } from '../errors.js'
import { checked } from './checked.js'
import { crc32 } from './crc32.js'
import { ByteReader } from './reader.js'
import { ByteWriter } from './writer.js'
import { toHex } from './hex.js'

const FORMAT_VERSION = 1
/** Where the version stands. */
export const VERSION_AT = 4
/** Of anchors of logs that were sealed: older releases refuse them by name. */
export const SEALED_VERSION = 2
export const ENVELOPE_HEAD = 16
export const ENVELOPE_TAIL = 4

export type ObjectKind = 'entry' | 'segment' | 'anchor' | 'pin' | 'log file' | 'lease'
const FLAG_ENCRYPTED = 1
const KEY_ID_BYTES = 16
const KIND_CODES: Record<ObjectKind, number> = { entry: 1, segment: 2, anchor: 3, pin: 4, 'log file': 5, lease: 6 }

const MAGIC = 0x4b4d4454 // "TDMK", little-endian

/** The sixteen bytes in front of a body. */
export function envelopeHead(kind: ObjectKind, bodyLength: number, version = FORMAT_VERSION): Uint8Array {
  const w = new ByteWriter(ENVELOPE_HEAD)
  w.u32(MAGIC)
  w.u8(version)
  w.u8(KIND_CODES[kind])
  w.u8(0)
  w.u8(0)
  w.u32(bodyLength)
  w.u32(crc32(w.finish()))
  return w.finish()
}

/** Begins an object: its body of about `size` bytes is to be written behind what is there, and then sealed. */
export function unsealed(size: number): ByteWriter {
  const w = new ByteWriter(ENVELOPE_HEAD + size + ENVELOPE_TAIL)
  w.raw(new Uint8Array(ENVELOPE_HEAD))
  return w
}

/** The whole object that was begun by `unsealed`. */
export function sealed(kind: ObjectKind, w: ByteWriter, version?: number): Uint8Array {
  const body = w.finish().subarray(ENVELOPE_HEAD)
  w.u32(crc32(body))
  const all = w.finish()
  all.set(envelopeHead(kind, body.length, version))
  return all
}

/** A whole object around `body`. */
export function seal(kind: ObjectKind, body: Uint8Array, version?: number): Uint8Array {
  const w = unsealed(body.length)
  w.raw(body)
  return sealed(kind, w, version)
}

/** The body, without a copy; `what` names the object in errors. `CORRUPT` or `UNSUPPORTED_FORMAT` otherwise. */
export function unseal(kind: ObjectKind, bytes: Uint8Array, what: string): Uint8Array {
  const length = unsealHead(kind, bytes, what)
  if (bytes.length !== ENVELOPE_HEAD + length + ENVELOPE_TAIL) {
    throw damaged(what, `it has ${bytes.length} bytes, not the ${ENVELOPE_HEAD + length + ENVELOPE_TAIL} of its header`)
  }
  return checked(bytes.subarray(ENVELOPE_HEAD), what)
}

/** Checks the sixteen bytes in front and returns the length of the body that they announce. */
function unsealHead(kind: ObjectKind, bytes: Uint8Array, what: string): number {
  if (bytes.length < ENVELOPE_HEAD) throw damaged(what, `only ${bytes.length} bytes are left of it`)
  const r = new ByteReader(bytes, what)
  if (r.u32() !== MAGIC) throw damaged(what, 'it is no object of Tidemark')
  checked(bytes.subarray(0, ENVELOPE_HEAD), what)
  const version = r.u8()
  const kindCode = r.u8()
  const flags = r.u8() | (r.u8() << 8)
  const isKnown = version === FORMAT_VERSION || (version === SEALED_VERSION && kindCode === KIND_CODES.anchor)
  if (!isKnown || flags > FLAG_ENCRYPTED) {
    throw unsupported(`${what} is written in format ${version}${flags === 0 ? '' : ` with flags ${flags}`}`)
  }
  if (flags === FLAG_ENCRYPTED) {
    const key = toHex(bytes.subarray(ENVELOPE_HEAD + 1, ENVELOPE_HEAD + 1 + KEY_ID_BYTES))
    throw unsupported(`${what} is encrypted (cipher ${bytes[ENVELOPE_HEAD]}, key ${key})`)
  }
  if (kindCode !== KIND_CODES[kind]) throw corrupt(`${what} is no ${kind}, though its name says so.`)
  return r.u32()
}
