/**
 * One log file as its readers know it: an index of its records. A scan goes on where the one before has ended.
 *
 * - Only intact records are indexed, in an unbroken chain of numbers and checksums.
 * - The rest behind the chain is the torn end of a crash, or is being written just now. But if a record of this file says that
 *   the missing one was durable, the file is damaged, and no record behind that place counts.
 * - Lengths are checked against the size of the file before memory is taken for them.
 */
import { corrupt, damaged } from '../../../src/errors.js'
import { errno } from '../errors.js'
import type { FileSystem } from '../file-system.js'
import { logFileName, pastName, type LogDirectory, type LogFileName } from './directory.js'
import {
  HEADER,
  RECORD_HEAD,
  decodeHeader,
  isIntact,
  recordHead,
  recordBytes,
  seedsOf,
  type LogFileHeader,
  type Seeds,
} from './format.js'
import { ZEROS, isZero, readUpTo } from '../write.js'

/** The size of the pieces in which a file is read at first. Later scans find little that is new. */
const FIRST_CHUNK = 256 << 10
const NEXT_CHUNK = 8 << 10

const CANNOT_SYNC = new Set(['EBADF', 'EPERM', 'EACCES', 'EINVAL', 'EROFS', 'ENOTSUP'])

export interface LogRecord {
  readonly n: number
  /** The generation that first wrote the entry. */
  readonly writer: number
  readonly payload: Uint8Array
}

export class LogFile {
  readonly name: string
  readonly path: string
  readonly header: LogFileHeader
  readonly seeds: Seeds
  readonly #fs: FileSystem
  readonly #offsets: number[] = []
  #end = HEADER
  #checksum: number
  /** The highest number of which a record of this file says that it was durable. */
  #claimed = 0
  /** The end of the chain behind which the rest was searched for a record that claims the missing one. */
  #searchedAt = 0
  #syncFailed = false
  #descriptor: Descriptor | undefined

  /** `fd`, if given, stays open until `close`. */
  constructor(directory: LogDirectory, header: LogFileHeader, fd?: number, name = logFileName(header)) {
    this.name = name
    this.path = directory.place(this.name)
    this.header = header
    this.seeds = seedsOf(header)
    this.#fs = directory.fs
    this.#checksum = this.seeds.first
    this.#descriptor = fd === undefined ? undefined : new Descriptor(this.#fs, fd)
  }

  /** Opens a file, and reads and checks its header. With `keep` the file stays open. */
  static async open(directory: LogDirectory, { name }: LogFileName, keep: boolean): Promise<LogFile> {
    const path = directory.place(name)
    const fd = await directory.fs.open(path, 'read')
    let file: LogFile | undefined
    try {
      const header = decodeHeader(await readUpTo(directory.fs, fd, 0, HEADER), path)
      if (pastName(logFileName(header)) !== pastName(name))
        throw damaged(`The log file ${path}`, 'its header belongs to another name')
      file = new LogFile(directory, header, keep ? fd : undefined, name)
      return file
    } finally {
      if (!keep || !file) await directory.fs.close(fd)
    }
  }

  get first(): number {
    return this.header.first
  }

  /** The number of the last intact record; `first - 1` when there is none. */
  get last(): number {
    return this.header.first + this.#offsets.length - 1
  }

  /** The place where the next record begins, and the checksum that it continues. */
  get end(): number {
    return this.#end
  }
  get checksum(): number {
    return this.#checksum
  }

  /** The number up to which the records themselves show that they are durable. */
  get proven(): number {
    return Math.min(this.#claimed, this.last)
  }

  /** The place where record n begins. */
  offset(n: number): number {
    return this.#offsets[n - this.header.first] ?? this.#end
  }

  /** Adds the record at `end` to the index: a scan has found it, or the owner has written it. */
  add({ payload, checksum, synced }: { payload: number; checksum: number; synced: number }): void {
    this.#offsets.push(this.#end)
    this.#end += recordBytes(payload)
    this.#checksum = checksum
    this.#claimed = Math.max(this.#claimed, synced)
  }

  /**
   * Finds the records that were written since the last scan. Scans must not overlap. `CORRUPT` when a durable record is damaged.
   */
  async scan(): Promise<void> {
    await this.#use(async (fd) => {
      const isFirst = this.#searchedAt === 0
      for (let suspect = 0; ; suspect = this.#end) {
        const window = new Window(this.#fs, fd, isFirst ? FIRST_CHUNK : NEXT_CHUNK)
        // It saves a read beyond the end.
        if (isFirst) await window.size()
        const stop = await this.#scanChain(window)
        const search = isFirst || (stop === 'invalid' && this.#searchedAt !== this.#end)
        // A file gets its name when the tail with which it begins is durable, so that it has one record at least.
        const whole = this.#offsets.length > 0 && this.#claimed <= this.last
        if (whole && !(search && (await this.#isClaimedAhead(window)))) break
        // At the first look the owner may have written between reading and searching. A second look at the same end proves
        // damage.
        if (this.#end === suspect) throw this.#corrupt(this.last + 1)
      }
      this.#searchedAt = this.#end
    })
  }

  /** The record with number n, checked; `undefined` when the index has none. */
  async read(n: number): Promise<LogRecord | undefined> {
    return (await this.readFrom(n, n, 1))[0]
  }

  /** The records from n to `last`, checked: as many as `most` bytes hold, and one at least. None when the index does not have n. */
  async readFrom(n: number, last = this.last, most = Infinity): Promise<LogRecord[]> {
    if (n < this.first || n > this.last) return []
    const start = this.offset(n)
    let end = n + 1
    while (end <= Math.min(last, this.last) && this.offset(end + 1) - start <= most) end++
    return this.#use(async (fd) => {
      const records: LogRecord[] = []
      for (let again = false; ;) {
        const from = this.offset(n + records.length)
        const bytes = await readUpTo(this.#fs, fd, from, this.offset(end) - from)
        const before = records.length
        for (let i = n + before; i < end; i++) {
          const record = this.#record(i, bytes.subarray(this.offset(i) - from, this.offset(i + 1) - from))
          if (!record) break
          records.push(record)
        }
        if (n + records.length === end) return records
        // The first look may have met it while it was being written.
        if (again && records.length === before) throw this.#corrupt(n + before)
        again = true
      }
    })
  }

  #record(n: number, bytes: Uint8Array): LogRecord | undefined {
    const head = recordHead(bytes)
    if (head?.n !== n || !isIntact(bytes, head, this.seeds.id)) return undefined
    return { n, writer: head.writer, payload: bytes.subarray(RECORD_HEAD, head.size) }
  }

  /** Makes the file durable; `false` where a descriptor that only reads cannot do that. */
  async sync(): Promise<boolean> {
    // After a failed sync the pages count as clean, so that the next sync would succeed and write nothing.
    if (this.#syncFailed) return false
    return this.#use(async (fd) => {
      try {
        await this.#fs.fdatasync(fd)
        return true
      } catch (error) {
        this.#syncFailed = true
        if (CANNOT_SYNC.has(errno(error) ?? '')) return false
        throw error
      }
    })
  }

  /** Closes the descriptor. The index stays, and later reads open the file again. */
  async close(): Promise<void> {
    const descriptor = this.#descriptor
    this.#descriptor = undefined
    await descriptor?.drop()
  }

  async #scanChain(window: Window): Promise<'end' | 'invalid'> {
    for (;;) {
      let bytes = await window.at(this.#end, RECORD_HEAD)
      if (bytes.length < 8 || (bytes[4]! | bytes[5]! | bytes[6]! | bytes[7]!) === 0) return 'end'
      const head = recordHead(bytes)
      if (!head || head.n !== this.last + 1 || head.before !== this.#checksum) return 'invalid'
      if (head.size > bytes.length) {
        if (this.#end + head.size > (await window.size())) return 'invalid'
        bytes = await window.at(this.#end, head.size)
      }
      if (!isIntact(bytes, head, this.seeds.id)) return 'invalid'
      this.add({ payload: head.size - RECORD_HEAD, checksum: head.checksum, synced: head.synced })
    }
  }

  /** Whether an intact record behind the end of the chain says that the missing one was durable (R50). */
  async #isClaimedAhead(window: Window): Promise<boolean> {
    const missing = this.last + 1
    const size = await window.size()
    for (let at = this.#end + 8; at + RECORD_HEAD <= size;) {
      const bytes = (await window.at(at, RECORD_HEAD)).subarray(0, ZEROS.length)
      const ends = bytes.length - RECORD_HEAD
      if (ends < 0) return false
      // Most of the rest is zeros. The second word of a record, its size, is never zero.
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
      for (let i = isZero(bytes) ? bytes.length : 0; i <= ends; i += 8) {
        if (words[(i >>> 2) + 1] === 0) continue
        const head = recordHead(bytes, i)
        if (!head || head.n <= missing || head.synced < missing || at + i + head.size > size) continue
        const record = await window.at(at + i, head.size)
        if (isIntact(record, head, this.seeds.id)) return true
      }
      at += ends - (ends % 8) + 8
    }
    return false
  }

  #corrupt(n: number): Error {
    return corrupt(`The log file ${this.path} is damaged at entry ${n}. Restore the file, or the store, from a copy.`)
  }

  async #use<T>(act: (fd: number) => Promise<T>): Promise<T> {
    if (this.#descriptor) return this.#descriptor.use(act)
    const fd = await this.#fs.open(this.path, 'read')
    try {
      return await act(fd)
    } finally {
      await this.#fs.close(fd)
    }
  }
}

/** A descriptor that is closed when its last user is done. Right after that its number may be another file's. */
class Descriptor {
  readonly #fs: FileSystem
  readonly #fd: number
  #users = 1

  constructor(fs: FileSystem, fd: number) {
    this.#fs = fs
    this.#fd = fd
  }

  async use<T>(act: (fd: number) => Promise<T>): Promise<T> {
    this.#users++
    try {
      return await act(this.#fd)
    } finally {
      await this.drop()
    }
  }

  async drop(): Promise<void> {
    if (--this.#users === 0) await this.#fs.close(this.#fd)
  }
}

/** Reads a file from front to back in pieces of at least `chunk` bytes. */
class Window {
  readonly #fs: FileSystem
  readonly #fd: number
  readonly #chunk: number
  #size: number | undefined
  #bytes: Uint8Array = new Uint8Array(0)
  #start = 0

  constructor(fs: FileSystem, fd: number, chunk: number) {
    this.#fs = fs
    this.#fd = fd
    this.#chunk = chunk
  }

  /** The size of the file when it was first asked for. Nothing beyond that is read then. */
  async size(): Promise<number> {
    return (this.#size ??= (await this.#fs.stat(this.#fd)).size)
  }

  /** The bytes at `position`: at least `length` bytes, fewer only at the end of the file. */
  async at(position: number, length: number): Promise<Uint8Array> {
    const from = position - this.#start
    if (from >= 0 && from + length <= this.#bytes.length) return this.#bytes.subarray(from)
    const rest = Math.max(0, (this.#size ?? Infinity) - position)
    this.#bytes = await readUpTo(this.#fs, this.#fd, position, Math.min(rest, Math.max(length, this.#chunk)))
    this.#start = position
    return this.#bytes
  }
}
