/**
 * Files as sources, for Node: lines of JSON, and CSV.
 *
 * - The offset of an event is the byte position of its line; `next` is the position after its newline. So a file may grow
 *   between runs, and the next run goes on at its first new line.
 * - A line without its newline is no event yet, since somebody may be writing it.
 * - A position is committed with a fingerprint of the bytes before it, so that another file of the same name is found out.
 * - One line is in memory at a time, with the chunk that it came in.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { setOwn } from '../bytes/codec.js'
import type { Key } from '../bytes/keys.js'
import { TidemarkError, invalid, isTidemarkError } from '../errors.js'
import type { Position } from '../log/offsets.js'
import { endOfLine, fingerprintOf, type Piece } from './pieces.js'
import { keyFunction, type KeyOf, type Source, type SourceEvent } from './source.js'
import { TextFile, decode, decoder, malformed, recordsOf } from './text-file.js'

/** Options of `ndjsonFile` and `csvFile`. */
export interface FileOptions<V> {
  /**
   * The key of an event: a field of its value, or a function of that.
   * @default none: events have no key
   * @when Set it when the state is kept by key.
   */
  readonly key?: KeyOf<V> | undefined
  /**
   * The source's name, under which its position is committed.
   * @default the file's name without its folder
   * @when Set it when the file may be renamed, or two files have the same name.
   */
  readonly name?: string | undefined
}

/** The part of `FileOptions` that says nothing of keys. */
interface Named {
  /**
   * The source's name, under which its position is committed.
   * @default the file's name without its folder
   * @when Set it when the file may be renamed, or two files have the same name.
   */
  readonly name?: string | undefined
}

const RETURN = 0x0d

/* JSON.parse returns `any`, too. */
/* oxlint-disable typescript/no-explicit-any */
/**
 * A source of one partition: each line of the file at `path` is a JSON value. Empty lines are skipped. Nothing is opened
 * before the source is read; these errors come then:
 *
 * @throws `NOT_FOUND` when there is no such file
 * @throws `INVALID_ARGUMENT` for a line that is not JSON in UTF-8 or is longer than 64 MiB, with its byte position, and for
 *   a file that is not the one that was read before
 * @throws `STORAGE_UNAVAILABLE` when the file cannot be read
 * @example
 *     ndjsonFile('./clicks.ndjson', { key: (click: { page: string }) => click.page })
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
 * column; quoted fields may hold commas, newlines and doubled quotes. Empty lines are skipped. Nothing is opened before the
 * source is read.
 *
 * @throws as `ndjsonFile`: `NOT_FOUND`, `INVALID_ARGUMENT`, `STORAGE_UNAVAILABLE`. A record that has more or fewer columns
 *   than the header is malformed, and a file with another header is not the one that was read before
 * @example
 *     csvFile('./orders.csv', { key: 'id' })
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

/** An event of a file. Its fingerprint is a method, as only commits ask for it. */
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

/** The value of a line; `undefined` when the line is empty. */
function parseLine(path: string, bytes: Uint8Array, at: number): unknown {
  const text = decode(path, bytes, at, decoder)
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(path, at, `it is not JSON: ${(cause as Error).message}`, cause)
  }
}

/** Refuses lines that end in a carriage return alone: their end would be waited for for ever. */
function assertNotReturns(path: string, rest: Uint8Array, at: number): void {
  const end = rest.indexOf(RETURN)
  if (end < 0 || end === rest.length - 1) return
  try {
    JSON.parse(decoder.decode(rest.subarray(0, end)))
  } catch {
    // The carriage return is white space in a value that is not complete yet.
    return
  }
  throw malformed(path, at, 'it ends in a carriage return alone; lines end in a line feed')
}

function fileError(path: string, error: unknown): unknown {
  if (isTidemarkError(error)) return error
  const { code, syscall } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || syscall === undefined) return error
  if (code === 'ENOENT') return new TidemarkError('NOT_FOUND', `There is no file "${path}".`, { cause: error })
  if (code === 'EISDIR') return invalid(`"${path}" is a folder; a file is expected.`, error)
  return new TidemarkError('STORAGE_UNAVAILABLE', `File "${path}" could not be read (${code}).`, { cause: error })
}
