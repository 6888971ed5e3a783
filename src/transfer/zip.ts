/**
 * The part of the ZIP format that exports use (PKWARE APPNOTE 6.3). Local headers say lengths and checksums up front, so that
 * the reader of a stream knows them before the bytes come. A directory stands at the end, with ZIP64 where it has to be.
 */
import { deflateSync } from 'fflate'
import { utf8 } from '../bytes/utf8.js'

export const LOCAL = 0x04034b50
export const CENTRAL = 0x02014b50
export const END = 0x06054b50
export const END64 = 0x06064b50
export const LOCATOR64 = 0x07064b50
/** The value of a field of four bytes whose true value is in the ZIP64 extra field. */
export const ELSEWHERE = 0xffffffff
export const STORED = 0
export const DEFLATED = 8
/** The flag that names are UTF-8. */
const UTF8 = 0x0800
/** The date of all files, 1980-01-01. The version's own time is in the metadata. */
const DATE = 0x0021

export interface ZipEntry {
  readonly name: string
  readonly method: number
  readonly crc: number
  /** The length in the archive, and the true one. */
  readonly packed: number
  readonly size: number
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let c = byte
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c
})

/** CRC-32 as in ZIP and zlib. */
export function crc32(bytes: Uint8Array): number {
  let c = -1
  for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8)
  return ~c >>> 0
}

type Field = readonly [bytes: 2 | 4 | 8, value: number]

function packed(...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [length]) => sum + length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [length, value] of fields) {
    if (length === 2) view.setUint16(at, value, true)
    else if (length === 4) view.setUint32(at, value, true)
    else view.setBigUint64(at, BigInt(value), true)
    at += length
  }
  return bytes
}

/** The fields that local headers and the directory share: from the version needed to the lengths of name and extra field. */
function common({ name, method, crc, packed: length, size }: ZipEntry, extra: number): Field[] {
  return [
    [2, extra > 0 ? 45 : 20],
    [2, UTF8],
    [2, method],
    [2, 0],
    [2, DATE],
    [4, crc],
    [4, length],
    [4, size],
    [2, utf8(name).length],
    [2, extra],
  ]
}

/** Writes an archive. The bytes that its methods return are to be sent in this order. */
export class ZipWriter {
  readonly #entries: { readonly entry: ZipEntry; readonly offset: number }[] = []
  #at = 0

  /** Adds a file, deflated or as it is. */
  add(name: string, bytes: Uint8Array, deflate: boolean): Uint8Array[] {
    const body = deflate ? deflateSync(bytes) : bytes
    const method = deflate ? DEFLATED : STORED
    const entry = { name, method, crc: crc32(bytes), packed: body.length, size: bytes.length }
    this.#entries.push({ entry, offset: this.#at })
    return this.#send(packed([4, LOCAL], ...common(entry, 0)), utf8(name), body)
  }

  end(): Uint8Array[] {
    const start = this.#at
    const chunks = this.#entries.flatMap(({ entry, offset }) => {
      const far = offset >= ELSEWHERE
      const extra = far ? packed([2, 1], [2, 8], [8, offset]) : new Uint8Array(0)
      const rest = packed([2, 0], [2, 0], [2, 0], [4, 0], [4, far ? ELSEWHERE : offset])
      const head = packed([4, CENTRAL], [2, far ? 45 : 20], ...common(entry, extra.length))
      return this.#send(head, rest, utf8(entry.name), extra)
    })
    const [count, length, at] = [this.#entries.length, this.#at - start, this.#at]
    if (count >= 0xffff || start >= ELSEWHERE || length >= ELSEWHERE) {
      const sizes: Field[] = [8, 8, 8, 8].map((bytes, i) => [bytes as 8, [count, count, length, start][i]!])
      chunks.push(...this.#send(packed([4, END64], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], ...sizes)))
      chunks.push(...this.#send(packed([4, LOCATOR64], [4, 0], [8, at], [4, 1])))
    }
    const counts = Math.min(count, 0xffff)
    const sizes: Field[] = [length, start].map((value) => [4, Math.min(value, ELSEWHERE)])
    chunks.push(...this.#send(packed([4, END], [2, 0], [2, 0], [2, counts], [2, counts], ...sizes, [2, 0])))
    return chunks
  }

  #send(...chunks: Uint8Array[]): Uint8Array[] {
    for (const { length } of chunks) this.#at += length
    return chunks.filter(({ length }) => length > 0)
  }
}
