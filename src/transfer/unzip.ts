/**
 * Reads an archive as it streams by, and trusts nothing in it. A file is no longer than its header says and than the caller
 * allows, inflated bytes are counted as they come, and the directory at the end has to agree with the files before it.
 */
import { Inflate } from 'fflate'
import { isBytes } from '../bytes/kinds.js'
import { fromUtf8 } from '../bytes/utf8.js'
import { TidemarkError, corrupt, invalid, isTidemarkError } from '../errors.js'
import { CENTRAL, DEFLATED, ELSEWHERE, END, END64, LOCAL, LOCATOR64, STORED, crc32, type ZipEntry } from './zip.js'

/** The bytes of an archive: an iterable that gives them as they come, such as a stream of Node, a web stream, or all at once. */
export type ByteSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> | Uint8Array

/** The bytes of a stream, as many at a time as are asked for. */
class Bytes {
  readonly #from: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = new Uint8Array(0)
  /** How many bytes were taken. */
  at = 0

  constructor(source: ByteSource) {
    this.#from = iterate(source)
  }

  /** The next bytes, at most `length` of them; none at the end. */
  async some(length: number): Promise<Uint8Array> {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#from.next()
      if (done) return new Uint8Array(0)
      if (!isBytes(value)) throw invalid('importZip: a source of Uint8Arrays is expected.')
      this.#chunk = value
    }
    const taken = this.#chunk.subarray(0, length)
    this.#chunk = this.#chunk.subarray(taken.length)
    this.at += taken.length
    return taken
  }

  /** The next `length` bytes. Memory is taken as they come: `length` may be a lie. */
  async exactly(length: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for (let left = length; left > 0;) {
      const chunk = await this.some(left)
      if (chunk.length === 0) throw corrupt('The archive is cut off: it ends within a file or its directory.')
      chunks.push(chunk.slice())
      left -= chunk.length
    }
    return chunks.length === 1 ? chunks[0]! : joined(chunks, length)
  }

  async view(length: number): Promise<DataView> {
    const bytes = await this.exactly(length)
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  async close(): Promise<void> {
    // The sender must not wait for a reader that is gone. A failure of that changes nothing.
    await Promise.resolve(this.#from.return?.()).catch(() => undefined)
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

function iterate(source: ByteSource): AsyncIterator<Uint8Array> {
  if (isBytes(source)) return one(source)
  if (typeof (source as AsyncIterable<Uint8Array>)?.[Symbol.asyncIterator] === 'function') {
    return (source as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  }
  // Not every browser can iterate a stream.
  if (typeof (source as ReadableStream)?.getReader === 'function') return drain(source as ReadableStream<Uint8Array>)
  throw invalid('importZip: an AsyncIterable, a ReadableStream or a Uint8Array is expected.')
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array, undefined> {
  yield await Promise.resolve(bytes)
}

async function* drain(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

interface Seen extends ZipEntry {
  readonly offset: number
}

/** How many compressed bytes are inflated at once. They may grow a thousandfold. */
const INFLATE_SLICE = 4096
const LONGEST_NAME = 256

export class ZipReader {
  readonly #bytes: Bytes
  readonly #seen: Seen[] = []
  readonly #names = new Set<string>()

  constructor(source: ByteSource) {
    this.#bytes = new Bytes(source)
  }

  close(): Promise<void> {
    return this.#bytes.close()
  }

  /**
   * The header of the next file; its content has to be read next. `undefined` after the last file, once the directory is checked.
   */
  async next(): Promise<ZipEntry | undefined> {
    const offset = this.#bytes.at
    const signature = (await this.#bytes.view(4)).getUint32(0, true)
    if (signature !== LOCAL) {
      if (offset === 0) throw corrupt('This is no ZIP archive, or it is damaged.')
      await this.#directory(signature, offset)
      return undefined
    }
    const entry = await this.#header(await this.#bytes.view(26))
    if (this.#names.has(entry.name)) throw corrupt(`The archive has two files ${JSON.stringify(entry.name)}.`)
    this.#names.add(entry.name)
    this.#seen.push({ ...entry, offset })
    return entry
  }

  async #header(view: DataView): Promise<ZipEntry> {
    const u16 = (at: number): number => view.getUint16(at, true)
    const u32 = (at: number): number => view.getUint32(at, true)
    const [flags, method, crc, packed, size] = [u16(2), u16(4), u32(10), u32(14), u32(18)]
    const name = await this.#name(u16(22))
    await this.#bytes.exactly(u16(24))
    // Bits 1 and 2 tell the level of deflate, bit 11 that names are UTF-8.
    const isKnown = (flags & ~0x0806) === 0 && (method === STORED || method === DEFLATED)
    if (!isKnown || packed === ELSEWHERE || size === ELSEWHERE) {
      throw new TidemarkError(
        'UNSUPPORTED_FORMAT',
        `The archive holds ${JSON.stringify(name)} in a way that cannot be read as a stream (method ${method}, flags ${flags}). Export it again with exportZip().`,
      )
    }
    if (method === STORED && packed !== size) throw corrupt(`The header of ${JSON.stringify(name)} is damaged.`)
    return { name, method, crc, packed, size }
  }

  async #name(length: number): Promise<string> {
    if (length > LONGEST_NAME) throw corrupt('The archive has a file with a name that no export has.')
    try {
      return fromUtf8(await this.#bytes.exactly(length))
    } catch (cause) {
      if (isTidemarkError(cause) && cause.message.includes('cut off')) throw cause
      throw corrupt('The archive has a file with a name that no export has.', cause)
    }
  }

  /** The content of the file whose header came last, `limit` bytes at most. Its length and its checksum are checked. */
  async content({ name, method, crc, packed, size }: ZipEntry, limit: number): Promise<Uint8Array> {
    if (size > limit) {
      throw corrupt(`${JSON.stringify(name)} is said to have ${size} bytes; at most ${limit} are expected of it.`)
    }
    const bytes = method === STORED ? await this.#bytes.exactly(size) : await this.#inflate(name, packed, size)
    if (crc32(bytes) !== crc) throw corrupt(`${JSON.stringify(name)} is damaged: its checksum does not match.`)
    return bytes
  }

  async #inflate(name: string, packed: number, size: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let length = 0
    const inflate = new Inflate((chunk) => {
      length += chunk.length
      if (length > size) throw corrupt(`${JSON.stringify(name)} is damaged: it is longer than its header says.`)
      chunks.push(chunk.slice())
    })
    for (let left = packed; left > 0;) {
      const slice = await this.#bytes.exactly(Math.min(left, INFLATE_SLICE))
      left -= slice.length
      try {
        inflate.push(slice, left === 0)
      } catch (cause) {
        if (isTidemarkError(cause)) throw cause
        throw corrupt(`${JSON.stringify(name)} is damaged: it cannot be inflated.`, cause)
      }
    }
    if (length !== size) throw corrupt(`${JSON.stringify(name)} is damaged: it is shorter than its header says.`)
    return joined(chunks, length)
  }

  /** Reads the directory that follows the last file, and compares it with the files. */
  async #directory(first: number, start: number): Promise<void> {
    let signature = first
    for (const entry of this.#seen) {
      if (signature !== CENTRAL) throw corrupt('The directory of the archive is damaged.')
      await this.#directoryEntry(entry)
      signature = (await this.#bytes.view(4)).getUint32(0, true)
    }
    const length = this.#bytes.at - 4 - start
    if (signature === END64) {
      const view = await this.#bytes.view(52 + 16)
      const isRight =
        view.getBigUint64(0, true) === 44n &&
        [20, 28].every((at) => view.getBigUint64(at, true) === BigInt(this.#seen.length)) &&
        view.getBigUint64(36, true) === BigInt(length) &&
        view.getBigUint64(44, true) === BigInt(start) &&
        view.getUint32(52, true) === LOCATOR64
      if (!isRight) throw corrupt('The directory of the archive is damaged.')
      await this.#bytes.exactly(4)
      signature = (await this.#bytes.view(4)).getUint32(0, true)
    }
    const view = signature === END ? await this.#bytes.view(18) : undefined
    const count = Math.min(this.#seen.length, 0xffff)
    const isRight =
      view?.getUint16(4, true) === count &&
      view.getUint16(6, true) === count &&
      view.getUint32(8, true) === Math.min(length, ELSEWHERE) &&
      view.getUint32(12, true) === Math.min(start, ELSEWHERE)
    if (!view || !isRight) throw corrupt('The directory of the archive is damaged.')
    await this.#bytes.exactly(view.getUint16(16, true))
    if ((await this.#bytes.some(1)).length > 0) throw corrupt('The archive goes on after its end.')
  }

  async #directoryEntry({ name, method, crc, packed, size, offset }: Seen): Promise<void> {
    const view = await this.#bytes.view(42)
    const u32 = (at: number): number => view.getUint32(at, true)
    const [nameLength, extra, comment] = [24, 26, 28].map((at) => view.getUint16(at, true)) as [number, number, number]
    const isRight =
      view.getUint16(6, true) === method &&
      u32(12) === crc &&
      u32(16) === packed &&
      u32(20) === size &&
      (u32(38) === offset || (u32(38) === ELSEWHERE && offset >= ELSEWHERE)) &&
      (await this.#name(nameLength)) === name
    if (!isRight) throw corrupt('The directory of the archive is damaged.')
    await this.#bytes.exactly(extra + comment)
  }
}
