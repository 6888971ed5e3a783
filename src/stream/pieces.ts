/** Takes bytes that come in chunks apart into lines or records. Positions count bytes, never characters. */
import { concat } from '../bytes/concat.js'
import { crc32 } from '../bytes/crc32.js'
import { hexOfU32 } from '../bytes/hex.js'

/** A line or a record. */
export interface Piece {
  /** The bytes, with the newline. */
  readonly bytes: Uint8Array
  readonly at: number
  readonly next: number
  /** False for the rest at the end of the input, which somebody may still be writing. */
  readonly isWhole: boolean
  /** The bytes before `next` of which its fingerprint is made. */
  readonly before: () => Uint8Array
}

/** Looks through a chunk from `from` on; returns the index behind the end of the piece, or -1 when that comes later. */
export type FindEnd = (chunk: Uint8Array, from: number) => number

/** A fingerprint is made of so many bytes before a position. */
export const FINGERPRINT_BYTES = 1024

/**
 * The pieces of the bytes from position `start` on. `before` are the bytes in front of `start`. `tooLong` makes the error
 * for a piece that is longer than `limit` without its newline.
 */
export async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  start: number,
  before: Uint8Array,
  findEnd: FindEnd,
  limit: number,
  tooLong: (at: number) => Error,
): AsyncGenerator<Piece> {
  let at = start
  /** The beginning of a piece that no chunk has ended yet. */
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    const trail = before
    const until = (end: number) => (): Uint8Array => last([trail, chunk.subarray(0, end)])
    let from = 0
    for (;;) {
      const end = findEnd(chunk, from)
      const part = chunk.subarray(from, end < 0 ? undefined : end)
      length += part.length
      if (length - (end < 0 ? 0 : 1) > limit) throw tooLong(at)
      if (end < 0) {
        if (part.length > 0) parts.push(part)
        break
      }
      const bytes = parts.length === 0 ? part : concat([...parts, part])
      yield { bytes, at, next: at + length, isWhole: true, before: until(end) }
      at += length
      from = end
      parts = []
      length = 0
    }
    before = last([trail, chunk])
  }
  if (length === 0) return
  const end = before
  yield { bytes: concat(parts), at, next: at + length, isWhole: false, before: () => end }
}

function last(parts: readonly Uint8Array[]): Uint8Array {
  return concat(parts.map((part) => part.subarray(-FINGERPRINT_BYTES))).slice(-FINGERPRINT_BYTES)
}

/** Some characters that tell these bytes from others. */
export function fingerprintOf(...parts: readonly Uint8Array[]): string {
  return parts.map((part) => hexOfU32(crc32(part))).join('')
}

const [NEWLINE, RETURN] = [0x0a, 0x0d]

export const endOfLine: FindEnd = (chunk, from) => chunk.indexOf(NEWLINE, from) + 1 || -1

/** The bytes of a line without its newline. */
export function withoutNewline(bytes: Uint8Array): Uint8Array {
  const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length
  return bytes.subarray(0, bytes[end - 1] === RETURN && end < bytes.length ? end - 1 : end)
}
