/** A file of text that is read on from a position: whether it is the one that was read before, and the pieces of it. */
import { invalid, type TidemarkError } from '../errors.js'
import { fieldsOf, recordEnds } from './csv.js'
import { FINGERPRINT_BYTES, fingerprintOf, piecesOf, withoutNewline } from './pieces.js'
import type { FindEnd, Piece } from './pieces.js'

/** The part of a `FileHandle` of Node that is used. */
interface OpenFile {
  stat(): Promise<{ readonly size: number; isDirectory(): boolean }>
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>
}

/** The longest line or CSV record, in bytes. */
const MAX_LINE_BYTES = 64 << 20
const CHUNK_BYTES = 64 << 10
const NEWLINE = 0x0a

/** First bytes of files that are no text in UTF-8, and how the error goes on. */
const FOREIGN: readonly (readonly [bytes: readonly number[], what: string])[] = [
  [[0xff, 0xfe], 'in UTF-16; convert it to UTF-8 first'],
  [[0xfe, 0xff], 'in UTF-16; convert it to UTF-8 first'],
  [[0x1f, 0x8b], 'compressed (gzip); unpack it first'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'compressed (zstd); unpack it first'],
  [[0x50, 0x4b, 0x03, 0x04], 'a ZIP archive; unpack it first'],
]
const MARK = [0xef, 0xbb, 0xbf]
const beginsWith = (bytes: Uint8Array, with_: readonly number[]): boolean => with_.every((byte, i) => bytes[i] === byte)

/** An open file. All that is read through it is of that one file, whatever takes its name meanwhile. */
export class TextFile {
  readonly path: string
  readonly #handle: OpenFile
  #start = 0
  #before: Uint8Array = new Uint8Array(0)
  #header: CsvRecord | undefined
  headerBytes = new Uint8Array(0)

  constructor(path: string, handle: OpenFile) {
    this.path = path
    this.#handle = handle
  }

  /** Throws `INVALID_ARGUMENT` when the file cannot be read on from `start`. */
  async open(start: number, hasHeader: boolean, fingerprint: string | undefined): Promise<void> {
    const stat = await this.#handle.stat()
    if (stat.isDirectory()) throw invalid(`"${this.path}" is a folder; a file is expected.`)
    const first = await this.#bytes(0, 4)
    const foreign = FOREIGN.find(([bytes]) => beginsWith(first, bytes))
    if (foreign) throw invalid(`File "${this.path}" is ${foreign[1]}.`)
    const again = `Give the source another \`name\` to read it from the start.`
    this.#before = await this.#bytes(Math.max(0, start - FINGERPRINT_BYTES), start)
    if (this.#before.length < Math.min(start, FINGERPRINT_BYTES)) {
      throw invalid(
        `File "${this.path}" was read up to byte ${start} before, and now has ${stat.size} bytes: it was cut or replaced. ${again}`,
      )
    }
    if (start > 0 && this.#before.at(-1) !== NEWLINE) {
      throw invalid(
        `File "${this.path}" was read up to byte ${start} before, where no line starts now: it was replaced. ${again}`,
      )
    }
    if (hasHeader) await this.#readHeader(beginsWith(first, MARK) ? MARK.length : 0)
    if (fingerprint !== undefined && fingerprint !== fingerprintOf(this.headerBytes, this.#before)) {
      throw invalid(
        `File "${this.path}" was read up to byte ${start} before, and what stands in front of that is not what was read: it was replaced. ${again}`,
      )
    }
    const next = this.#header?.piece.next ?? 0
    if (start > 0 && start < next) {
      throw invalid(
        `File "${this.path}" was changed: position ${start}, read up to before, lies within its header now.`,
      )
    }
    if (start >= next) this.#start = start
    else [this.#start, this.#before] = [next, await this.#bytes(Math.max(0, next - FINGERPRINT_BYTES), next)]
  }

  /** The first record; `undefined` while the file has none. */
  header(): CsvRecord | undefined {
    return this.#header
  }

  async #readHeader(start: number): Promise<void> {
    this.#start = start
    for await (const header of recordsOf(this)) {
      const { fields, piece } = header
      const twice = fields.find((name, i) => fields.indexOf(name) !== i)
      if (twice !== undefined)
        throw malformed(this.path, piece.at, `the header has the column ${JSON.stringify(twice)} twice`)
      if (piece.bytes.includes(0))
        throw malformed(this.path, piece.at, 'it has NUL bytes, as UTF-16 has; UTF-8 is expected')
      this.#header = header
      this.headerBytes = new Uint8Array(piece.bytes)
      return
    }
  }

  pieces(findEnd: FindEnd): AsyncGenerator<Piece> {
    const tooLong = (at: number): Error =>
      invalid(`File "${this.path}": the line at byte ${at} is longer than ${MAX_LINE_BYTES} bytes.`)
    return piecesOf(this.#chunks(), this.#start, this.#before, findEnd, MAX_LINE_BYTES, tooLong)
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (let at = this.#start; ;) {
      // Fingerprints look back into a chunk, so each has memory of its own.
      const chunk = await this.#bytes(at, at + CHUNK_BYTES)
      if (chunk.length === 0) return
      at += chunk.length
      yield chunk
    }
  }

  get start(): number {
    return this.#start
  }

  async #bytes(from: number, to: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(to - from)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await this.#handle.read(bytes, length, bytes.length - length, from + length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  }
}

/** Also leaves out the byte order mark that may begin a file. */
export const decoder = new TextDecoder('utf-8', { fatal: true })
/** Leaves nothing out: after the byte order mark, what looks like another one belongs to the text. */
const plainDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function decode(path: string, bytes: Uint8Array, at: number, using: TextDecoder): string {
  try {
    return using.decode(bytes)
  } catch (cause) {
    throw malformed(path, at, 'it is not UTF-8', cause)
  }
}

export interface CsvRecord {
  readonly fields: readonly string[]
  readonly piece: Piece
}

/** The complete records of a CSV file, from where it is to be read on. */
export async function* recordsOf(file: TextFile): AsyncGenerator<CsvRecord> {
  const { path } = file
  let at = file.start
  for await (const piece of file.pieces(recordEnds((why) => malformed(path, at, why)))) {
    if (!piece.isWhole) return
    at = piece.next
    const bytes = withoutNewline(piece.bytes)
    if (bytes.length > 0) yield { fields: fieldsOf(decode(path, bytes, piece.at, plainDecoder)), piece }
  }
}

export function malformed(path: string, at: number, what: string, cause?: unknown): TidemarkError {
  return invalid(`File "${path}": the line at byte ${at} is malformed: ${what}.`, cause)
}
