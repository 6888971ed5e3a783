/**
 * Files as sources, for Node: lines of JSON, and CSV.
 *
 * - The offset of an event is the byte position of its line; `next` is the position after its newline. So a file may grow
 *   between runs, and the next run goes on at its first new line.
 * - What has no newline yet is no event yet: somebody may be writing it.
 * - With a position goes a fingerprint of what stands before it, so that another file of the same name is found out.
 * - One line is in memory at a time, with the chunk that it came in.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { setOwn } from '../bytes/codec.js'
import type { Key } from '../bytes/keys.js'
import { TidemarkError, invalid, isTidemarkError } from '../errors.js'
import type { Position } from '../log/offsets.js'
import { fieldsOf, recordEnds } from './csv.js'
import { FINGERPRINT_BYTES, endOfLine, fingerprintOf, piecesOf, withoutNewline } from './pieces.js'
import type { FindEnd, Piece } from './pieces.js'
import { keyFunction, type KeyOf, type Source, type SourceEvent } from './source.js'

export interface FileOptions<V> {
  /** A field of the values or a function of them. Default: events have no key. */
  readonly key?: KeyOf<V> | undefined
  /** The source's name, under which its position is committed. Default: the file's name without its folder. */
  readonly name?: string | undefined
}

interface Named {
  readonly name?: string | undefined
}

/** The longest line or CSV record, in bytes. */
const MAX_LINE_BYTES = 64 << 20
const CHUNK_BYTES = 64 << 10
const [NEWLINE, RETURN] = [0x0a, 0x0d]

/* What JSON.parse returns is `any`, too. */
/* oxlint-disable typescript/no-explicit-any */
/**
 * A source of one partition: each line of `path` is a JSON value. Empty lines are skipped.
 *
 * Errors while reading: `NOT_FOUND`; `INVALID_ARGUMENT` for a line that is not JSON in UTF-8 or longer than 64 MiB, with
 * its byte position, and for a file that is not the one read before; `STORAGE_UNAVAILABLE`.
 */
export function ndjsonFile<V = any, K extends Key | undefined = Key>(
  path: string,
  options: Named & { readonly key: (value: V) => K },
): Source<V, K>
export function ndjsonFile<V = any, F extends keyof V & string = keyof V & string>(
  path: string,
  options: Named & { readonly key: F },
): Source<V, V[F]>
export function ndjsonFile<V = any>(path: string, options?: FileOptions<V>): Source<V>
export function ndjsonFile<V>(path: string, options: FileOptions<V> = {}): Source<V> {
  return fileSource(path, options, async function* (file) {
    for await (const piece of file.pieces(endOfLine)) {
      const { bytes, at, isWhole } = piece
      if (isWhole) {
        const value = parseLine(path, bytes, at)
        if (value !== undefined) yield { piece, value: value as V }
      } else assertNotReturns(path, bytes, at)
    }
  })
}
/* oxlint-enable typescript/no-explicit-any */

/**
 * A source of one partition: a CSV file (RFC 4180, UTF-8) with a header line. Values are objects of strings, one for each
 * column; quoted fields may hold commas, newlines and doubled quotes. Empty lines are skipped.
 *
 * Errors while reading: as `ndjsonFile` has them; a record with more or fewer columns than the header is malformed, and a
 * file with another header is not the one read before.
 */
export function csvFile<V = Record<string, string>, K extends Key | undefined = Key>(
  path: string,
  options: Named & { readonly key: (value: V) => K },
): Source<V, K>
export function csvFile<V = Record<string, string>, F extends keyof V & string = keyof V & string>(
  path: string,
  options: Named & { readonly key: F },
): Source<V, V[F]>
export function csvFile<V = Record<string, string>>(path: string, options?: FileOptions<V>): Source<V>
export function csvFile<V>(path: string, options: FileOptions<V> = {}): Source<V> {
  return fileSource(
    path,
    options,
    async function* (file) {
      const header = file.header()
      if (header === undefined) return
      const { fields: columns } = header
      for await (const { fields, piece } of recordsOf(file)) {
        if (fields.length !== columns.length) {
          throw malformed(path, piece.at, `it has ${fields.length} columns, and the header has ${columns.length}`)
        }
        const value = {}
        for (let i = 0; i < columns.length; i++) setOwn(value, columns[i]!, fields[i])
        yield { piece, value: value as V }
      }
    },
    true,
  )
}

interface Found<V> {
  readonly piece: Piece
  readonly value: V
}

/** An event of a file. Its fingerprint is no property of its own: only commits ask for it. */
class FileEvent<V> implements SourceEvent<V> {
  readonly offset: number
  readonly next: number
  readonly key: Key | undefined
  readonly value: V
  readonly #piece: Piece
  readonly #header: Uint8Array

  constructor({ piece, value }: Found<V>, key: Key | undefined, header: Uint8Array) {
    this.offset = piece.at
    this.next = piece.next
    this.key = key
    this.value = value
    this.#piece = piece
    this.#header = header
  }

  fingerprint(): string {
    return fingerprintOf(this.#header, this.#piece.before())
  }
}

function fileSource<V>(
  path: string,
  options: FileOptions<V>,
  eventsOf: (file: TextFile) => AsyncGenerator<Found<V>>,
  hasHeader = false,
): Source<V> {
  if (typeof path !== 'string' || path === '') throw invalid('path: the name of a file is expected.')
  const keyOf = keyFunction(options.key)
  return {
    name: options.name ?? basename(path),
    partitions: 1,
    async *read(_partition, from, { signal, fingerprint }) {
      let handle: FileHandle | undefined
      try {
        const start = startOf(path, from)
        handle = await open(path)
        const file = new TextFile(path, handle)
        await file.open(start, hasHeader, fingerprint)
        for await (const found of eventsOf(file)) {
          if (signal.aborted) return
          yield new FileEvent(found, keyOf?.(found.value), file.headerBytes)
        }
      } catch (error) {
        throw fileError(path, error)
      } finally {
        await handle?.close()
      }
    },
  }
}

function startOf(path: string, from: Position | undefined): number {
  const start = from === undefined ? 0 : Number(from)
  if (typeof from === 'string' || !Number.isSafeInteger(start) || start < 0) {
    throw invalid(`File "${path}" has byte positions as offsets, but the store holds ${JSON.stringify(String(from))}.`)
  }
  return start
}

/** What the first bytes of a file say that it is, where that is no text in UTF-8. */
const FOREIGN: readonly (readonly [bytes: readonly number[], what: string])[] = [
  [[0xff, 0xfe], 'in UTF-16; convert it to UTF-8 first'],
  [[0xfe, 0xff], 'in UTF-16; convert it to UTF-8 first'],
  [[0x1f, 0x8b], 'compressed (gzip); unpack it first'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'compressed (zstd); unpack it first'],
  [[0x50, 0x4b, 0x03, 0x04], 'a ZIP archive; unpack it first'],
]
const MARK = [0xef, 0xbb, 0xbf]
const beginsWith = (bytes: Uint8Array, with_: readonly number[]): boolean => with_.every((byte, i) => bytes[i] === byte)

/** A file that is open: all that is read of it is of one file, whatever takes its name meanwhile. */
class TextFile {
  readonly path: string
  readonly #handle: FileHandle
  #start = 0
  #before: Uint8Array = new Uint8Array(0)
  #header: CsvRecord | undefined
  headerBytes = new Uint8Array(0)

  constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /** Throws when it can't be read on from `start`. */
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

  /** The first record; `undefined` while it is not there. */
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
      // Fingerprints look back into it: each has memory of its own.
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

/** The byte order mark that may begin a file is left out by it too. */
const decoder = new TextDecoder('utf-8', { fatal: true })
/** Where a byte order mark has been left out, what looks like one belongs to the text. */
const plainDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(path: string, bytes: Uint8Array, at: number, using: TextDecoder): string {
  try {
    return using.decode(bytes)
  } catch (cause) {
    throw malformed(path, at, 'it is not UTF-8', cause)
  }
}

/** `undefined` for an empty line. */
function parseLine(path: string, bytes: Uint8Array, at: number): unknown {
  const text = decode(path, bytes, at, decoder)
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(path, at, `it is not JSON: ${(cause as Error).message}`, cause)
  }
}

/** Lines that end in a carriage return alone would be waited for without end. */
function assertNotReturns(path: string, rest: Uint8Array, at: number): void {
  const end = rest.indexOf(RETURN)
  if (end < 0 || end === rest.length - 1) return
  try {
    JSON.parse(decoder.decode(rest.subarray(0, end)))
  } catch {
    // White space in a value that is not complete.
    return
  }
  throw malformed(path, at, 'it ends in a carriage return alone; lines end in a line feed')
}

interface CsvRecord {
  readonly fields: readonly string[]
  readonly piece: Piece
}

/** The complete records from where the file is to be read on. */
async function* recordsOf(file: TextFile): AsyncGenerator<CsvRecord> {
  const { path } = file
  let at = file.start
  for await (const piece of file.pieces(recordEnds((why) => malformed(path, at, why)))) {
    if (!piece.isWhole) return
    at = piece.next
    const bytes = withoutNewline(piece.bytes)
    if (bytes.length > 0) yield { fields: fieldsOf(decode(path, bytes, piece.at, plainDecoder)), piece }
  }
}

function malformed(path: string, at: number, what: string, cause?: unknown): TidemarkError {
  return invalid(`File "${path}": the line at byte ${at} is malformed: ${what}.`, cause)
}

function fileError(path: string, error: unknown): unknown {
  if (isTidemarkError(error)) return error
  const { code, syscall } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || syscall === undefined) return error
  if (code === 'ENOENT') return new TidemarkError('NOT_FOUND', `There is no file "${path}".`, { cause: error })
  if (code === 'EISDIR') return invalid(`"${path}" is a folder; a file is expected.`, error)
  return new TidemarkError('STORAGE_UNAVAILABLE', `File "${path}" could not be read (${code}).`, { cause: error })
}
