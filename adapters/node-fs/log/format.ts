/**
 * The bytes of a log file (docs/format.md, "Log files"). Everything is little-endian.
 *
 *     header   0   4  magic "TDMK"                record   0   4  CRC-32 of the file's id, then of bytes 4 to the end
 *              4   1  format version, 1                    4   4  size: 40 + length of the payload; 0: nothing follows
 *              5   1  object kind, 5                       8   4  checksum of the record before; of the first: the body's
 *              6   2  flags, 0                            12   4  0
 *              8   4  length of the body, 40              16   8  number
 *             12   4  CRC-32 of bytes 0 to 11            24   8  synced: all up to this number was durable
 *             16  16  body: random id of the file         32   8  writer: the generation that first wrote the entry
 *             32   8        generation g of its owner     40   …  payload, then zeros up to a multiple of 8
 *             40   8        sequence among the owner's
 *             48   8        number of the first record
 *             56   4  CRC-32 of the body
 *             60   4  0, so that records begin at 64
 *
 * - A record is valid only in its own file, at its own place in the chain. Stale bytes of any other place never are (R49).
 * - A file gets its name when the tail with which it begins is durable, so a record of that tail says `synced` >= its own
 *   number. A record that was appended later says less.
 */
import { crc32 } from '../../../src/bytes/crc32.js'
import { ENVELOPE_HEAD, ENVELOPE_TAIL, seal, unseal } from '../../../src/bytes/envelope.js'

export const HEADER = 64
export const RECORD_HEAD = 40
/** The largest payload. The size of a record has 32 bits, and a buffer of Node has at most 2 GiB. */
export const LARGEST_PAYLOAD = 2 ** 31 - 1024

const BODY = 40
const SEALED = ENVELOPE_HEAD + BODY + ENVELOPE_TAIL

export interface LogFileHeader {
  readonly id: Uint8Array
  readonly g: number
  readonly seq: number
  readonly first: number
}

export interface RecordHead {
  readonly checksum: number
  readonly size: number
  readonly before: number
  readonly n: number
  readonly synced: number
  readonly writer: number
}

/** The checksums with which those of a file start: that of its id, and for the first record that of the header's body. */
export interface Seeds {
  readonly id: number
  readonly first: number
}

export function seedsOf(header: LogFileHeader): Seeds {
  return { id: crc32(header.id), first: crc32(encodeBody(header)) }
}

export function encodeHeader(header: LogFileHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER)
  bytes.set(seal('log file', encodeBody(header)))
  return bytes
}

function encodeBody({ id, g, seq, first }: LogFileHeader): Uint8Array {
  const body = new Uint8Array(BODY)
  const view = viewOf(body)
  body.set(id)
  setU64(view, 16, g)
  setU64(view, 24, seq)
  setU64(view, 32, first)
  return body
}

/** Reads a header. `CORRUPT` when it is damaged, `UNSUPPORTED_FORMAT` when a newer release wrote it. */
export function decodeHeader(bytes: Uint8Array, path: string): LogFileHeader {
  const body = unseal('log file', bytes.subarray(0, SEALED), `The log file ${path}`)
  const view = viewOf(body)
  return { id: body.slice(0, 16), g: getU64(view, 16), seq: getU64(view, 24), first: getU64(view, 32) }
}

/** How many bytes the record of a payload takes in its file. */
export function recordBytes(payload: number): number {
  return padded(RECORD_HEAD + payload)
}

function padded(size: number): number {
  return Math.ceil(size / 8) * 8
}

/** Writes the record at the start of `into`, padding included, and returns its checksum. */
export function encodeRecord(
  into: Uint8Array,
  idSeed: number,
  { before, n, synced, writer }: Pick<RecordHead, 'before' | 'n' | 'synced' | 'writer'>,
  payload: Uint8Array,
): number {
  const size = RECORD_HEAD + payload.length
  const view = viewOf(into)
  view.setUint32(4, size, true)
  view.setUint32(8, before, true)
  view.setUint32(12, 0, true)
  setU64(view, 16, n)
  setU64(view, 24, synced)
  setU64(view, 32, writer)
  into.set(payload, RECORD_HEAD)
  into.fill(0, size, padded(size))
  const checksum = crc32(into.subarray(4, size), idSeed)
  view.setUint32(0, checksum, true)
  return checksum
}

/** The fields at the start of `bytes`, not yet checked; `undefined` when no record can begin like this. */
export function recordHead(bytes: Uint8Array, at = 0): RecordHead | undefined {
  if (bytes.length < at + RECORD_HEAD) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_HEAD)
  const size = view.getUint32(4, true)
  const n = getU64(view, 16)
  if (size < RECORD_HEAD || view.getUint32(12, true) !== 0 || !Number.isSafeInteger(n)) return undefined
  return {
    checksum: view.getUint32(0, true),
    size,
    before: view.getUint32(8, true),
    n,
    synced: getU64(view, 24),
    writer: getU64(view, 32),
  }
}

/** Whether `record`, from its head to the end of its payload, has the checksum that its head says. */
export function isIntact(record: Uint8Array, head: RecordHead, idSeed: number): boolean {
  return record.length >= head.size && crc32(record.subarray(4, head.size), idSeed) === head.checksum
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
}
