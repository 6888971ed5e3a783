/**
 * Files as sources, for Node: lines of JSON, and CSV.
 *
 * - The offset of an event is the byte position of its line; `next` is the position after its newline. So a file may grow
 *   between runs, and the next run goes on at its first new line.
 * - What has no newline yet is no event yet: somebody may be writing it.
 * - Files are read as streams. One line is in memory at a time, with the chunk that it came in.
 * - A position is only ever taken from the bytes of the file, never from decoded text.
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { parse, type CsvError, type Info } from 'csv-parse'
import { setOwn } from '../bytes/codec.js'
import { TidemarkError, invalid, isTidemarkError } from '../errors.js'
import type { Position } from '../log/offsets.js'
import { keyFunction, type KeyOf, type Source, type SourceEvent } from './source.js'

export interface FileOptions<V> {
  /** A field of the values or a function of them. Default: events have no key. */
  readonly key?: KeyOf<V> | undefined
  /** The source's name, under which its position is committed. Default: the file's name without its folder. */
  readonly name?: string | undefined
}

/** The longest line or CSV record, in bytes. */
const MAX_LINE_BYTES = 64 << 20
const NEWLINE = 0x0a

/**
 * A source of one partition: each line of `path` is a JSON value. Empty lines are skipped.
 *
 * Errors while reading: `NOT_FOUND`; `INVALID_ARGUMENT` for a line that is not JSON in UTF-8 or longer than 64 MiB, with
 * its byte position, and for a file that does not fit the position committed before; `STORAGE_UNAVAILABLE`.
 */
export function ndjsonFile<V = unknown>(path: string, options: FileOptions<V> = {}): Source<V> {
  return fileSource(path, options, async function* (start) {
    for await (const { bytes, at, next } of linesOf(path, start)) {
      const value = parseLine(path, bytes, at)
      if (value !== undefined) yield { offset: at, next, value: value as V }
    }
  })
}

/**
 * A source of one partition: a CSV file (RFC 4180, UTF-8) with a header line. Values are objects of strings, one for each
 * column; quoted fields may hold commas, newlines and doubled quotes. Empty lines are skipped.
 *
 * Errors while reading: as `ndjsonFile` has them; a record with more or fewer columns than the header is malformed.
 */
export function csvFile<V = Record<string, string>>(path: string, options: FileOptions<V> = {}): Source<V> {
  return fileSource(path, options, async function* (start) {
    const header = await readHeader(path)
    if (header === undefined) return
    if (start > 0 && start < header.next) {
      throw invalid(`File "${path}" was changed: position ${start}, read up to before, lies within its header now.`)
    }
    const { fields: columns } = header
    for await (const { fields, at, next } of recordsOf(path, Math.max(start, header.next))) {
      if (fields.length !== columns.length) {
        throw malformed(path, at, `it has ${fields.length} columns, and the header has ${columns.length}`)
      }
      const value = {}
      for (let i = 0; i < columns.length; i++) setOwn(value, columns[i]!, fields[i])
      yield { offset: at, next, value: value as V }
    }
  })
}

function fileSource<V>(
  path: string,
  options: FileOptions<V>,
  eventsFrom: (start: number) => AsyncGenerator<SourceEvent<V>>,
): Source<V> {
  if (typeof path !== 'string' || path === '') throw invalid('path: the name of a file is expected.')
  const keyOf = keyFunction(options.key)
  return {
    name: options.name ?? basename(path),
    partitions: 1,
    async *read(_partition, from, { signal }) {
      try {
        const start = await checkStart(path, from)
        for await (const event of eventsFrom(start)) {
          if (signal.aborted) return
          yield keyOf === undefined ? event : { ...event, key: keyOf(event.value) }
        }
      } catch (error) {
        throw fileError(path, error)
      }
    },
  }
}

/** Where to start; throws when no line of the file starts there. */
async function checkStart(path: string, from: Position | undefined): Promise<number> {
  const start = from === undefined ? 0 : Number(from)
  if (typeof from === 'string' || !Number.isSafeInteger(start) || start < 0) {
    throw invalid(`File "${path}" has byte positions as offsets, but the store holds ${JSON.stringify(String(from))}.`)
  }
  const file = await open(path)
  try {
    const stat = await file.stat()
    if (stat.isDirectory()) throw invalid(`"${path}" is a folder; a file is expected.`)
    if (start === 0) return 0
    const before = await file.read(new Uint8Array(1), 0, 1, start - 1)
    if (before.bytesRead === 0) {
      throw invalid(
        `File "${path}" was read up to byte ${start} before, and now has ${stat.size} bytes: it was cut or replaced. Give the source another \`name\` to read it from the start.`,
      )
    }
    if (before.buffer[0] !== NEWLINE) {
      throw invalid(
        `File "${path}" was read up to byte ${start} before, where no line starts now: it was replaced. Give the source another \`name\` to read it from the start.`,
      )
    }
    return start
  } finally {
    await file.close()
  }
}

interface Line {
  /** Without its newline. */
  readonly bytes: Uint8Array
  readonly at: number
  readonly next: number
}

/** The complete lines from byte `start` on. */
async function* linesOf(path: string, start: number): AsyncGenerator<Line> {
  let at = start
  /** Of the line that began in an earlier chunk. */
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of createReadStream(path, { start }) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const rest = chunk.subarray(from, end)
      const bytes = parts.length === 0 ? rest : Buffer.concat([...parts, rest])
      if (bytes.length > MAX_LINE_BYTES) throw tooLong(path, at)
      const next = at + bytes.length + 1
      yield { bytes, at, next }
      at = next
      from = end + 1
      parts = []
      length = 0
    }
    if (from === chunk.length) continue
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > MAX_LINE_BYTES) throw tooLong(path, at)
  }
}

/** The byte order mark that may begin a file is left out by it too. */
const decoder = new TextDecoder('utf-8', { fatal: true })

/** `undefined` for an empty line. */
function parseLine(path: string, bytes: Uint8Array, at: number): unknown {
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch (cause) {
    throw malformed(path, at, 'it is not UTF-8', cause)
  }
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(path, at, `it is not JSON: ${(cause as Error).message}`, cause)
  }
}

interface CsvRecord {
  readonly fields: readonly string[]
  readonly at: number
  readonly next: number
}

async function readHeader(path: string): Promise<CsvRecord | undefined> {
  for await (const header of recordsOf(path, 0)) {
    const twice = header.fields.find((name, i) => header.fields.indexOf(name) !== i)
    if (twice !== undefined)
      throw malformed(path, header.at, `the header has the column ${JSON.stringify(twice)} twice`)
    return header
  }
  return undefined
}

/**
 * The complete records from byte `start` on, which is where one begins. The parser counts the bytes of each record. Its
 * errors are taken by `on_skip`, as an error of the stream would overtake the records before it.
 */
async function* recordsOf(path: string, start: number): AsyncGenerator<CsvRecord> {
  const file = createReadStream(path, { start })
  let parsed = 0
  let failure: { readonly error: CsvError; readonly after: number } | undefined
  const parser = parse({
    bom: start === 0,
    info: true,
    max_record_size: MAX_LINE_BYTES,
    on_record: (record) => (parsed++, record),
    on_skip: (error) => {
      failure ??= { error: error!, after: parsed }
      file.destroy()
      parser.end()
    },
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_records_with_error: true,
  })
  let lastByte = NEWLINE
  file.on('data', (chunk) => void (lastByte = (chunk as Buffer)[chunk.length - 1]!))
  file.on('error', (error) => parser.destroy(error))
  file.pipe(parser)
  let at = start
  let count = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      if (count++ === failure?.after) break
      const next = start + info.bytes
      // The last record has the last byte of the file; it is complete when that is its newline.
      if (file.readableEnded && next === start + file.bytesRead && lastByte !== NEWLINE) return
      const isEmpty = record.length === 1 && record[0] === '' && next - at <= 2
      if (!isEmpty) {
        if (record.some((field) => field.includes('\ufffd'))) await checkUtf8(path, at, next)
        yield { fields: record, at, next }
      }
      at = next
    }
  } finally {
    file.destroy()
    parser.destroy()
  }
  if (failure === undefined) return
  const { error } = failure
  if (error.code === 'CSV_MAX_RECORD_SIZE') throw tooLong(path, at)
  // A field still open, or anything that what is still to be written may put right.
  if (error.code === 'CSV_QUOTE_NOT_CLOSED' || !(await hasNewline(path, at))) return
  throw malformed(path, at, error.message, error)
}

/** The parser puts U+FFFD for bytes that are not UTF-8; that character may also stand in the file. */
async function checkUtf8(path: string, at: number, next: number): Promise<void> {
  const file = await open(path)
  try {
    const { buffer } = await file.read(new Uint8Array(next - at), 0, next - at, at)
    decoder.decode(buffer)
  } catch (cause) {
    if ((cause as Error).name === 'TypeError') throw malformed(path, at, 'it is not UTF-8', cause)
    throw cause
  } finally {
    await file.close()
  }
}

async function hasNewline(path: string, start: number): Promise<boolean> {
  for await (const chunk of createReadStream(path, { start }) as AsyncIterable<Buffer>) {
    if (chunk.includes(NEWLINE)) return true
  }
  return false
}

function malformed(path: string, at: number, what: string, cause?: unknown): TidemarkError {
  return invalid(`File "${path}": the line at byte ${at} is malformed: ${what}.`, cause)
}

function tooLong(path: string, at: number): TidemarkError {
  return invalid(`File "${path}": the line at byte ${at} is longer than ${MAX_LINE_BYTES} bytes.`)
}

function fileError(path: string, error: unknown): unknown {
  if (isTidemarkError(error)) return error
  const { code, syscall } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || syscall === undefined) return error
  if (code === 'ENOENT') return new TidemarkError('NOT_FOUND', `There is no file "${path}".`, { cause: error })
  if (code === 'EISDIR') return invalid(`"${path}" is a folder; a file is expected.`, error)
  return new TidemarkError('STORAGE_UNAVAILABLE', `File "${path}" could not be read (${code}).`, { cause: error })
}
